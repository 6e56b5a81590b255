import { ReferralError } from '../../errors';
import type { LinkFigures, Rows } from '../../types/figures';
import type { WithUrl } from '../../types/pages';
import { Button, Code, Count, DownloadCsv, Empty, Field, Form, Pager, Section, Table, When } from '../views/components';
import { fieldText } from '../views/page-router';
import { useView } from '../views/view';
import { type Refused, type ScreenCall, screen } from './screen';

interface LinksData extends Rows<WithUrl<LinkFigures>> {
  refused: Refused | null;
}

type Create = (user: string, input: { redirectTo: string; label: string }) => Promise<unknown>;

/** The user's links by label, and a form for a new one. */
export const links = (create: Create) =>
  screen<LinksData>({
    name: 'links',
    path: '/links',
    title: ({ links: { title } }) => title,
    load: async ({ reader, view }, refused) => ({
      ...(await reader.data.links({ after: view.query.get('after') })),
      refused,
    }),
    submit: (call) => createLink(call, create),
    Body: ({ data }) => (
      <>
        <List data={data} />
        <NewLink refused={data.refused} />
      </>
    ),
  });

async function createLink({ fields, reader, view }: ScreenCall, create: Create): Promise<{ goTo: string } | Refused> {
  const { links: words } = view.texts;
  const typed = { destination: fieldText(fields, 'destination').trim(), label: fieldText(fields, 'label').trim() };
  if (typed.destination === '') return { typed, errors: { destination: words.destinationMissing } };
  try {
    await create(reader.id, { redirectTo: typed.destination, label: typed.label });
  } catch (error) {
    if (!(error instanceof ReferralError) || error.code !== 'INVALID_INPUT') throw error;
    if (error.field === 'label') return { typed, errors: { label: words.labelWrong } };
    if (error.field === 'redirectTo') return { typed, errors: { destination: words.destinationWrong } };
    throw error;
  }
  return { goTo: view.url('/links', { done: 'link-created' }) };
}

function List({ data: { rows, next } }: { data: LinksData }) {
  const view = useView();
  const { links: words, figures: names, share } = view.texts;
  return (
    <Section title={words.yours} aside={rows.length > 0 && <DownloadCsv href={view.url('/links.csv')} />}>
      <Table
        caption={words.yours}
        rows={rows}
        rowKey={({ id }) => id}
        columns={[
          {
            key: 'link',
            title: words.link,
            cell: ({ id, label, url, isExpired }) => (
              <span class="rf-stack">
                <strong>{label === '' ? words.noLabel : label}</strong>
                <span class="rf-url" id={`rf-link-${id}`}>
                  {url}
                </span>
                {isExpired && <small>{words.ended}</small>}
              </span>
            ),
          },
          { key: 'to', title: words.destination, cell: ({ redirectTo }) => <Code>{redirectTo}</Code> },
          { key: 'clicks', title: names.clicks, align: 'end', cell: ({ clicks }) => <Count value={clicks} /> },
          { key: 'visitors', title: names.visitors, align: 'end', cell: ({ visitors }) => <Count value={visitors} /> },
          { key: 'signups', title: names.signups, align: 'end', cell: ({ signups }) => <Count value={signups} /> },
          { key: 'since', title: words.since, align: 'end', cell: ({ createdAt }) => <When time={createdAt} /> },
          {
            key: 'copy',
            title: words.actions,
            align: 'end',
            cell: ({ id, code }) => (
              <span class="rf-row-actions">
                <button
                  type="button"
                  class="rf-button rf-button-plain"
                  hidden
                  data-rf-copy={`rf-link-${id}`}
                  data-rf-done={share.copied}
                >
                  <span data-rf-said="" aria-live="polite">
                    {share.copyShort}
                  </span>
                </button>
                <Button href={view.url('/qr.svg', { code })}>{words.qr}</Button>
              </span>
            ),
          },
        ]}
        empty={
          <Empty title={words.none}>
            <p>{words.noneText}</p>
          </Empty>
        }
      />
      <Pager
        first={view.query.has('after') ? view.url('/links') : null}
        next={next && view.url('/links', { after: next })}
      />
    </Section>
  );
}

function NewLink({ refused }: { refused: Refused | null }) {
  const view = useView();
  const { links: words } = view.texts;
  return (
    <Section title={words.create} lead={words.createText} id="new">
      <Form action={view.url('/links')}>
        <Field
          name="destination"
          label={words.destination}
          hint={words.destinationHint}
          value={refused?.typed['destination']}
          error={refused?.errors['destination']}
          inputMode="url"
          isRequired
          maxLength={2048}
        />
        <Field
          name="label"
          label={words.label}
          hint={words.labelHint}
          value={refused?.typed['label']}
          error={refused?.errors['label']}
          maxLength={100}
        />
        <Button tone="main">{words.createButton}</Button>
      </Form>
    </Section>
  );
}
