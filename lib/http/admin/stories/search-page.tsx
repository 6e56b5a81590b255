import { isIP } from 'node:net';
import type { Found, FoundKind } from '../../../rewards/stories/staff-search';
import type { Stories } from '../../../rewards/stories/stories';
import { Button, Empty, Field, Form, None, Section, Table } from '../../views/components';
import type { Answer, PageCall } from '../../views/page-router';
import { type Query, useView } from '../../views/view';
import { userPath } from '../paths';
import type { StaffFrame } from '../staff-frame';

/** Answers with what a search finds. */
export async function searchPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const text = (call.view.query.get('q') ?? '').trim();
  const found = text === '' ? [] : await stories.find(text);
  const { title } = call.view.texts.admin.search;
  return { page: frame({ title, children: <Search text={text} found={found} /> }, call) };
}

/** The field to search with. */
export function SearchForm({ text = '' }: { text?: string }) {
  const view = useView();
  const { search } = view.texts.admin;
  return (
    <Form method="get" action={view.url('/search')} isInline>
      <Field name="q" type="search" label={search.field} value={text} maxLength={255} />
      <Button tone="main">{search.button}</Button>
    </Form>
  );
}

/** Where each kind of record is seen. */
const places: Readonly<Record<FoundKind, (found: Found) => readonly [path: string, query?: Query]>> = {
  user: ({ id }) => [userPath(id)],
  referral: ({ id }) => [`/referrals/${id}`],
  program: ({ text }) => ['/programs', { name: text }],
  account: ({ userId }) => [userPath(userId!)],
  signup: ({ userId }) => [userPath(userId!)],
  purchase: ({ text }) => ['/purchases', { reference: text }],
  refund: ({ text }) => ['/purchases', { reference: text }],
  usage: ({ userId }) => [userPath(userId!)],
  earnOut: ({ id }) => ['/payouts', { id }],
  credit: ({ text }) => ['/credits', { reference: text }],
  spend: ({ userId, text }) => ['/credit-entries', { user: userId, reference: text }],
  adjustment: ({ userId, text }) => ['/adjustments', { user: userId, reference: text }],
};

function Search({ text, found }: { text: string; found: readonly Found[] }) {
  const view = useView();
  const { search, words, columns } = view.texts.admin;
  const nothing = (
    <Empty title={search.none}>
      <p>{search.noneHint}</p>
    </Empty>
  );
  return (
    <>
      <SearchForm text={text} />
      {text !== '' && (
        <Section
          title={search.found(text)}
          aside={isIP(text) !== 0 && <a href={view.url('/responses', { ipAddress: text })}>{search.clicksFrom}</a>}
        >
          <Table
            caption={search.found(text)}
            rows={found}
            empty={nothing}
            columns={[
              {
                key: 'text',
                title: search.text,
                cell: (one) => <a href={view.url(...places[one.kind](one))}>{one.text}</a>,
              },
              { key: 'what', title: search.what, cell: ({ kind }) => words.found[kind] },
              {
                key: 'user',
                title: columns.user,
                cell: ({ userId }) => (userId === null ? <None /> : <a href={view.url(userPath(userId))}>{userId}</a>),
              },
            ]}
          />
        </Section>
      )}
    </>
  );
}
