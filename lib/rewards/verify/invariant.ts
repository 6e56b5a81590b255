import type { Database } from '../../database/database';

/** A condition that holds in every snapshot of the database. */
export interface Invariant {
  /** Its stable name, as `verify` returns it. */
  name: string;
  /** The table whose rows it is about. */
  table: keyof Database['tables'];
  /**
   * A query for the rows where it does not hold, with the columns `id`, `expected` and `found`. The id is that of the
   * row. In a table without ids, it is a text of the primary key, such as `user/reference`.
   */
  sql: string;
}
