import type { ComponentChildren } from 'preact';
import type { ListName, ListRecords, Lists, Names } from '../../../rewards/stories/lists';
import { type Column, None, Table } from '../../views/components';
import { useView } from '../../views/view';
import { actionUrl } from '../actions/action-url';
import { Cell, isEmpty, isNumeric } from './cell';
import type { List, RowAction } from './list';
import { csvValue } from './list-csv';
import { namedIds } from './named-ids';
import type { ColumnKey, Value } from './value';

/** The rows of a list, as a table shows them. */
export interface ShownRows {
  readonly list: List;
  readonly rows: readonly { readonly values: readonly Value[]; readonly actions: readonly RowAction[] }[];
  readonly names: Names;
}

/** Makes rows of records, and reads what the records in them are called. */
export async function shownRows(
  lists: Lists,
  list: List,
  records: readonly ListRecords[ListName][],
): Promise<ShownRows> {
  const rows = rowsOf(list, records);
  return { list, rows, names: await lists.names(namedIds(rows.map(({ values }) => values))) };
}

/** Makes rows of records. */
export function rowsOf(list: List, records: readonly ListRecords[ListName][]): ShownRows['rows'] {
  return records.map((record) => ({
    values: list.columns.map((column) => column.value(record)),
    actions: list.actions?.(record) ?? [],
  }));
}

/** A table of more columns shows each row as a card, at every width: its words would break, or it would not fit. */
const mostColumns = 5;

interface ListTableProps {
  shown: ShownRows;
  caption: string;
  empty?: ComponentChildren;
  /** Columns that say the same in each row, and are left out. */
  without?: readonly ColumnKey[];
}

/** A table of a list, with what staff can do with each row. A column without a value in any row is left out. */
export function ListTable({ shown: { list, rows, names }, caption, empty, without = [] }: ListTableProps) {
  const { admin } = useView().texts;
  type Row = ShownRows['rows'][number];
  const columns: Column<Row>[] = list.columns.flatMap(({ key, isInCsvOnly }, place) => {
    if (isInCsvOnly || without.includes(key) || rows.every(({ values }) => isEmpty(values[place]!))) return [];
    const value = rows[0]?.values[place];
    return {
      key,
      title: admin.columns[key],
      cell: ({ values }: Row) => <ListCell value={values[place]!} names={names} />,
      ...(value && isNumeric(value) && { align: 'end' as const }),
    };
  });
  if (rows.some(({ actions }) => actions.length > 0))
    columns.push({
      key: 'actions',
      title: admin.list.actions,
      cell: ({ actions }) => (actions.length === 0 ? <None /> : <RowActions actions={actions} />),
    });
  const table = <Table columns={columns} rows={rows} caption={caption} empty={empty} />;
  return <div class={columns.length > mostColumns ? 'rf-records' : 'rf-rows'}>{table}</div>;
}

/** A cell whose words keep together, unless one of them is so long that the table would not fit. */
function ListCell(props: { value: Value; names: Names }) {
  const cell = <Cell {...props} />;
  const isLong = props.value.is !== 'time' && /\S{21}/.test(String(csvValue(props.value, props.names)));
  return isLong ? <span class="rf-long">{cell}</span> : cell;
}

/** Links to the forms of actions. */
export function RowActions({ actions }: { actions: readonly RowAction[] }) {
  const view = useView();
  const words: Readonly<Record<string, string>> = view.texts.admin.do;
  return (
    <span class="rf-row-actions">
      {actions.map(({ name, params }) => (
        <a key={name} href={actionUrl(view, name, params)}>
          {words[name] ?? name}
        </a>
      ))}
    </span>
  );
}
