import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { clickTables, userColumns } from '../../entities/user-columns';

type Table = keyof typeof userColumns;

/** The tables with users' ids that hold books: all but those of the click path. */
export const bookTables = (Object.keys(userColumns) as Table[]).filter(
  (name) => !(clickTables as readonly string[]).includes(name),
);

/**
 * Twice the default `deadlock_timeout`. PostgreSQL ends the transaction that notices a deadlock, which is one that has
 * waited for `deadlock_timeout`. So this one gives up, or is ended, before a transaction of the host's is.
 */
const timeoutMs = 2000;

/**
 * Keeps every other transaction from writing to the books until this one ends. Reading goes on, and so do clicks.
 *
 * Row locks are not enough to change a user's id. A purchase reads in its snapshot who referred the buyer, and inserts
 * rows with that id: no row lock of this transaction makes it wait, or read again. A statement that waits for a table
 * takes its snapshot afterwards.
 */
export async function lockBooks(database: Database, manager: EntityManager): Promise<void> {
  const [before] = await database.query<{ timeout: string }>(
    `SELECT current_setting('lock_timeout') AS timeout, set_config('lock_timeout', '${timeoutMs}', true)`,
    manager,
  );
  const tables = bookTables.map((name) => database.tables[name]);
  await database.query(`LOCK TABLE ${tables.join(', ')} IN SHARE ROW EXCLUSIVE MODE`, manager);
  await database.query({ text: `SELECT set_config('lock_timeout', $1, true)`, values: [before!.timeout] }, manager);
}
