import type { CreditEntry, OwnCredit, Rows } from '../../types/figures';
import type { CreditsData } from '../../types/pages';
import { notFound } from '../http-error';
import {
  Badge,
  DownloadCsv,
  Empty,
  Figure,
  Figures,
  Money,
  Pager,
  Section,
  Table,
  type Tone,
  When,
} from '../views/components';
import { useView } from '../views/view';
import { screen } from './screen';

const tones: Readonly<Record<OwnCredit['state'], Tone>> = {
  'open': 'good',
  'early': 'wait',
  'expired': 'neutral',
  'used-up': 'neutral',
};

/** The user's credits, with what is left and until when. */
export const credits = screen<CreditsData>({
  name: 'credits',
  path: '/credits',
  title: ({ credits: { title } }) => title,
  load: ({ reader, view }) => reader.data.credits({ after: view.query.get('after') }),
  Body: ({ data: { rows, next, available, held } }) => {
    const view = useView();
    const { credits: words, terms } = view.texts;
    return (
      <>
        <Section>
          <Figures>
            <Figure name={words.available} value={<Money amount={available} />} />
            {Number(held) !== 0 && <Figure name={words.held} value={<Money amount={held} />} note={words.heldNote} />}
          </Figures>
        </Section>
        <Section title={words.yours} aside={rows.length > 0 && <DownloadCsv href={view.url('/credits.csv')} />}>
          <Table
            caption={words.yours}
            rows={rows}
            rowKey={({ id }) => id}
            columns={[
              {
                key: 'kind',
                title: words.credit,
                cell: ({ id, kind, friend }) => (
                  <span class="rf-stack">
                    <a href={view.url(`/credits/${id}`)}>{words.kinds[kind]}</a>
                    {friend !== null && <small>{terms.forFriend(friend)}</small>}
                  </span>
                ),
              },
              {
                key: 'state',
                title: words.state,
                cell: ({ state }) => <Badge tone={tones[state]}>{words.states[state]}</Badge>,
              },
              { key: 'until', title: words.until, cell: ({ until }) => <When time={until} isRelative /> },
              { key: 'initial', title: words.initial, align: 'end', cell: ({ initial }) => <Money amount={initial} /> },
              { key: 'left', title: words.left, align: 'end', cell: ({ left }) => <Money amount={left} /> },
            ]}
            empty={
              <Empty title={words.none}>
                <p>{words.noneText}</p>
                <p>
                  <a href={view.url('/')}>{words.noneNext}</a>
                </p>
              </Empty>
            }
          />
          <Pager
            first={view.query.has('after') ? view.url('/credits') : null}
            next={next && view.url('/credits', { after: next })}
          />
          <p>
            <DownloadCsv href={view.url('/entries.csv')}>{words.allEntries}</DownloadCsv>
          </p>
        </Section>
      </>
    );
  },
});

type EntriesData = Rows<CreditEntry> & { id: number };

/** The entries of one credit. */
export const creditEntries = screen<EntriesData>({
  name: 'credit',
  path: '/credits/:id',
  title: ({ credits: { entries } }) => entries,
  async load({ reader, view, params }) {
    const id = Number(params['id']);
    if (!/^\d{1,15}$/.test(params['id']!) || id === 0) throw notFound();
    const after = view.query.get('after');
    const { rows, next } = await reader.data.entries({ credit: id, after });
    // Each credit has an entry for what was granted. So it is another's, or there is none.
    if (rows.length === 0) throw notFound();
    return { id, rows, next };
  },
  Body: ({ data: { id, rows, next } }) => {
    const view = useView();
    const { credits: words } = view.texts;
    const path = `/credits/${id}`;
    return (
      <Section>
        <p>
          <a href={view.url('/credits')}>{words.back}</a>
        </p>
        <Table
          caption={words.entries}
          rows={rows}
          rowKey={({ id: key }) => key}
          columns={[
            { key: 'when', title: words.when, cell: ({ createdAt }) => <When time={createdAt} isExact /> },
            { key: 'what', title: words.what, cell: ({ kind }) => words.entryKinds[kind] },
            { key: 'for', title: words.description, cell: ({ description }) => description },
            { key: 'value', title: words.amount, align: 'end', cell: ({ value }) => <Money amount={value} /> },
          ]}
        />
        <Pager first={view.query.has('after') ? view.url(path) : null} next={next && view.url(path, { after: next })} />
      </Section>
    );
  },
});
