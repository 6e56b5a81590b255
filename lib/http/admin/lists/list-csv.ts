import type { CsvValue } from '../../../csv';
import type { Condition } from '../../../rewards/stories/conditions';
import type { ListName, ListPage, ListRecords, Lists, Names } from '../../../rewards/stories/lists';
import type { CsvColumn } from '../../views/csv';
import type { List } from './list';
import { namedIds } from './named-ids';
import type { Value } from './value';

/** How many rows are read at once. */
const rowsOfPage = 1000;

interface Row {
  readonly values: readonly Value[];
  readonly names: Names;
}

/** The columns of a list's CSV: those of its page, and some more. */
export function csvColumnsOf(list: List): CsvColumn<Row>[] {
  return list.columns.map(({ key }, place) => ({
    title: key,
    value: ({ values, names }) => csvValue(values[place]!, names),
  }));
}

/**
 * Reads all rows of a list, newest first, page by page: no connection waits for the client, and only one page is in memory. A row
 * that is added meanwhile is not in it.
 */
export async function* csvRowsOf(lists: Lists, list: List, conditions: readonly Condition[]): AsyncGenerator<Row> {
  let after: string | null = null;
  do {
    const page: ListPage<ListRecords[ListName]> = await lists.page(list.name, conditions, { take: rowsOfPage, after });
    const rows = page.records.map((record) => list.columns.map((column) => column.value(record)));
    const names = await lists.names(namedIds(rows));
    for (const values of rows) yield { values, names };
    after = page.next;
  } while (after !== null);
}

/** A cell of the CSV: what programs read, whatever the language of the reader. */
export function csvValue(value: Value, names: Names): CsvValue {
  switch (value.is) {
    case 'text':
    case 'code':
    case 'address':
      return value.text;
    case 'user':
    case 'id':
      return value.id;
    case 'referral':
      return value.id === null ? null : (names.referrals.get(value.id)?.code ?? value.id);
    case 'program':
      return value.id === null ? null : (names.programs.get(value.id) ?? value.id);
    case 'creditType':
      return value.id === null ? null : (names.creditTypes.get(value.id) ?? value.id);
    case 'money':
      return value.currency && value.amount !== null ? `${value.amount} ${value.currency}` : value.amount;
    case 'share':
      return value.share;
    case 'count':
      return value.count;
    case 'time':
      return value.time;
    case 'word':
      return value.word;
    case 'flag':
      return value.flag;
    case 'texts':
      return value.texts.join(' ');
    case 'facts':
      return value.facts && JSON.stringify(value.facts);
    case 'change':
      return JSON.stringify({ before: value.before, after: value.after });
  }
}
