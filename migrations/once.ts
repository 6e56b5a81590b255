import type { DataSource, QueryRunner } from 'typeorm';
import { refuseNames, tableNameOf } from '../lib/database/names';
import { referralError } from '../lib/errors';

/** The key of the advisory lock for migrations: "referral", as typed on the keypad of a telephone. */
const migrationLock = 73337725;

/**
 * Runs work in a transaction that holds the advisory lock for migrations; in the current one if there is one. The lock
 * ends with the transaction, so that it works behind a pooler too, and of a process that dies.
 */
export async function locked<T>(queryRunner: QueryRunner, work: () => Promise<T>): Promise<T> {
  const isOwn = !queryRunner.isTransactionActive;
  // READ COMMITTED, because what other processes have committed while the lock was awaited must be seen.
  if (isOwn) await queryRunner.startTransaction('READ COMMITTED');
  try {
    await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    const result = await work();
    if (isOwn) await queryRunner.commitTransaction();
    return result;
  } catch (error) {
    if (isOwn) await queryRunner.rollbackTransaction().catch(() => undefined);
    throw error;
  }
}

/**
 * Runs the statements of a migration in one process only, even if several processes have found it pending. The others
 * wait for the lock, find the migration's row in TypeORM's table and run nothing. They delete that row, because TypeORM
 * inserts it again for each process.
 */
export async function once(queryRunner: QueryRunner, name: string, statements: readonly string[]): Promise<void> {
  const { connection } = queryRunner;
  refuseNames(connection);
  // With `migrationsTransactionMode: 'none'`, TypeORM inserts the row after this transaction. It stays, because the
  // process can die in between: a migration whose tables exist must not be pending.
  const table = tableOfMigrations(connection);
  const find = queryRunner.isTransactionActive
    ? `WITH taken AS (DELETE FROM ${table} WHERE name = $1 RETURNING 1) SELECT 1 FROM taken`
    : `SELECT 1 FROM ${table} WHERE name = $1`;
  await locked(queryRunner, async () => {
    const found = (await queryRunner.query(find, [name])) as unknown[];
    if (found.length > 0) return;
    for (const statement of statements)
      await queryRunner.query(statement).catch((error: Error & { code?: string }) => {
        throw alreadyExists.has(error.code) ? referralError('TABLE_EXISTS', error.message) : error;
      });
  });
}

/** The SQLSTATEs of a table or index, and of a type or constraint, that exists. */
const alreadyExists = new Set<string | undefined>(['42P07', '42710']);

/** Returns TypeORM's table of the migrations that have run, quoted. */
export function tableOfMigrations({ driver, options }: DataSource): string {
  const { schema } = options as { schema?: string };
  return [schema, options.migrationsTableName ?? 'migrations']
    .filter((part) => part !== undefined)
    .map((part) => driver.escape(part))
    .join('.');
}

/**
 * Returns a function that quotes a name and qualifies it with the DataSource's `schema`, if there is one. The name of a
 * table becomes the one that it has in the host's database.
 */
export function inSchemaOf(queryRunner: QueryRunner): (name: string) => string {
  const { connection } = queryRunner;
  const { schema } = connection.options as { schema?: string };
  return (given) => {
    const name = `"${tableNameOf(connection, given)}"`;
    return schema === undefined ? name : `${connection.driver.escape(schema)}.${name}`;
  };
}

/**
 * Returns the names of indexes that `CREATE INDEX CONCURRENTLY` has not finished. They stay under their names and answer
 * nothing, and `IF NOT EXISTS` would take them for the indexes.
 */
export async function unfinishedIndexes(
  queryRunner: QueryRunner,
  indexes: readonly (readonly [name: string, table: string, ...rest: unknown[]])[],
): Promise<string[]> {
  const table = inSchemaOf(queryRunner);
  const rows = (await queryRunner.query(
    `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = ANY ($1::regclass[]) AND c.relname = ANY ($2) AND NOT i.indisvalid`,
    [[...new Set(indexes.map(([, on]) => table(on)))], indexes.map(([name]) => name)],
  )) as { name: string }[];
  return rows.map(({ name }) => name);
}
