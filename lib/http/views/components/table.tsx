import type { ComponentChildren } from 'preact';
import { useView } from '../view';

export interface Column<Row> {
  key: string;
  title: string;
  cell: (row: Row) => ComponentChildren;
  /** Numbers and money are at the end. Default: at the start. */
  align?: 'start' | 'end';
  /** The name of the order by this column, if the table can be ordered by it. */
  sort?: string;
}

export interface TableProps<Row> {
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** What is shown without a row. */
  empty?: ComponentChildren;
  /** What the table is about, for who does not see it. */
  caption: string;
  /** The order of the rows: the name of a column's, with a `-` before it for the largest first. */
  order?: string;
  /** The address of the same page in another order. */
  orderUrl?: (order: string) => string;
  rowKey?: (row: Row) => string | number;
}

// The roles are those that the elements have. On a phone the style shows rows as cards, and browsers then forget the roles.

/** A table, whose rows become cards on a phone. The first column is the name of the row. */
export function Table<Row>({ columns, rows, empty, caption, order, orderUrl, rowKey }: TableProps<Row>) {
  if (rows.length === 0 && empty) return <>{empty}</>;
  return (
    <table class="rf-table" role="table">
      <caption class="rf-unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <Head key={column.key} column={column} order={order} orderUrl={orderUrl} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row, index) => (
          <tr key={rowKey ? rowKey(row) : index} role="row">
            {columns.map((column, place) =>
              place === 0 ? (
                <th key={column.key} scope="row" role="rowheader" class={alignOf(column)}>
                  {column.cell(row)}
                </th>
              ) : (
                <td key={column.key} role="cell" class={alignOf(column)} data-title={column.title}>
                  <span class="rf-cell">{column.cell(row)}</span>
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  order: string | undefined;
  orderUrl: ((order: string) => string) | undefined;
}

function Head<Row>({ column, order, orderUrl }: HeadProps<Row>) {
  const { texts } = useView();
  const { sort, title } = column;
  const isUp = sort !== undefined && order === sort;
  const isDown = sort !== undefined && order === `-${sort}`;
  return (
    <th
      scope="col"
      role="columnheader"
      class={alignOf(column)}
      aria-sort={isUp ? 'ascending' : isDown ? 'descending' : undefined}
    >
      {sort !== undefined && orderUrl ? (
        <a class="rf-sort" href={orderUrl(isDown ? sort : `-${sort}`)} title={texts.kit.orderBy(title)}>
          {title}
          <span aria-hidden="true">{isUp ? ' ↑' : isDown ? ' ↓' : ''}</span>
        </a>
      ) : (
        title
      )}
    </th>
  );
}

function alignOf<Row>({ align }: Column<Row>): string | undefined {
  return align === 'end' ? 'rf-end' : undefined;
}
