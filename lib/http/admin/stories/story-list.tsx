import type { ListName, ListPage, ListRecords, Lists } from '../../../rewards/stories/lists';
import { Empty, Section } from '../../views/components';
import { type Query, useView } from '../../views/view';
import type { List } from '../lists/list';
import { ListTable, shownRows, type ShownRows } from '../lists/list-table';
import type { ColumnKey } from '../lists/value';

/** The newest records of a list, as a part of a story. */
export interface StoryList {
  readonly shown: ShownRows;
  readonly hasMore: boolean;
  /** The filters with which the list has all of them. */
  readonly query: Query;
}

/** Makes a part of a story of the newest records of a list. */
export async function storyList(
  lists: Lists,
  list: List,
  { records, next }: ListPage<ListRecords[ListName]>,
  query: Query,
): Promise<StoryList> {
  return { shown: await shownRows(lists, list, records), hasMore: next !== null, query };
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
