import type { ListName, ListPage, ListRecords, Lists } from '../../../rewards/stories/lists';
import { Empty, Section } from '../../views/components';
import { type Query, useView } from '../../views/view';
import type { List } from '../lists/list';
import { ListTable, rowsOf, type ShownRows } from '../lists/list-table';
import { namedIds } from '../lists/named-ids';
import type { ColumnKey } from '../lists/value';

/** The newest records of a list, as a part of a story. */
export interface StoryList {
  readonly shown: ShownRows;
  readonly hasMore: boolean;
  /** The filters with which the list has all of them. */
  readonly query: Query;
}

/** What a part of a story is made of: a list, its newest records, and the filters with which the list has all of them. */
export type StoryPart = readonly [list: List, newest: ListPage<ListRecords[ListName]>, query: Query];

/** Makes the parts of a story. What the records in them are called is read once for all parts. */
export async function storyLists<Name extends string>(
  lists: Lists,
  parts: Readonly<Record<Name, StoryPart>>,
): Promise<Readonly<Record<Name, StoryList>>> {
  const made = Object.entries<StoryPart>(parts).map(
    ([name, [list, { records, next }, query]]) =>
      [name, { list, rows: rowsOf(list, records), hasMore: next !== null, query }] as const,
  );
  const values = made.flatMap(([, { rows }]) => rows.map((row) => row.values));
  const names = await lists.names(namedIds(values));
  return Object.fromEntries(
    made.map(([name, { list, rows, ...more }]) => [name, { shown: { list, rows, names }, ...more }]),
  ) as Record<Name, StoryList>;
}

interface StoryListProps {
  list: StoryList;
  title?: string;
  without?: readonly ColumnKey[];
}

/** A part of a story: the newest records of a list, and the way to all of them. */
export function StorySection({ list: { shown, hasMore, query }, title, without = [] }: StoryListProps) {
  const view = useView();
  const { admin } = view.texts;
  const { list } = shown;
  const words = admin.lists[list.name];
  const named = title ?? words.title;
  return (
    <Section title={named} aside={hasMore && <a href={view.url(list.path, query)}>{admin.list.more}</a>}>
      <ListTable shown={shown} caption={named} empty={<Empty title={words.none} />} without={without} />
    </Section>
  );
}
