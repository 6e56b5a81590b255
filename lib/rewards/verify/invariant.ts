import type { Database } from '../../database/database';

/** Something that holds in every snapshot of the database. */
export interface Invariant {
  /** Its stable name, as `verify` returns it. */
  name: string;
  /** The table whose rows it is about. */
  table: keyof Database['tables'];
  /**
   * A query for the rows where it does not hold, with the columns `id`, `expected` and `found`. The id is that of the
   * row; or the text `user/reference` or similar, in a table whose rows the host's ids identify.
   */
  sql: string;
}
