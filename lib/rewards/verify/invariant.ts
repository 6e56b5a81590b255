import type { Database } from '../../database/database';

/** A condition that holds in every snapshot of the database. */
export type Invariant = {
  /** Its stable name, as `verify` returns it. */
  name: string;
  /** The table whose rows it is about. */
  table: keyof Database['tables'];
} & (BrokenRows | RowCondition);

interface BrokenRows {
  /**
   * A query for the rows where it does not hold, with the columns `id`, `expected` and `found`. The id is that of the
   * row. In a table without ids, it is a text of the primary key, such as `user/reference`.
   */
  sql: string;
}

/** A condition on each row. Invariants on the same rows are checked in one pass over them. */
export interface RowCondition {
  /** What follows FROM: tables with their joins. */
  rows: string;
  /** SQL: whether it does not hold for a row; null counts as holding. It must not fail, whatever the row contains. */
  isBroken: string;
  /** SQL: the id of the row, as above. */
  id: string;
  /** SQL: the value that the row should have. */
  expected: string;
  /** SQL: the value that the row has. */
  found: string;
}

/** Returns a function that makes the invariants of one table on the same rows. */
export function conditionsOn(
  table: Invariant['table'],
  { rows, id }: Pick<RowCondition, 'rows' | 'id'>,
): (name: string, condition: Omit<RowCondition, 'rows' | 'id'>) => Invariant {
  return (name, condition) => ({ name, table, rows, id, ...condition });
}
