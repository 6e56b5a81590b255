import type { QueryRunner } from 'typeorm';

/** The key of the advisory lock for migrations: "referral", as typed on the keypad of a telephone. */
export const migrationLock = 73337725;

/**
 * Runs the statements of a migration in one process only, even if several processes have found it pending. The others
 * wait for the lock, find the migration's row in TypeORM's table and run nothing. They delete that row, because TypeORM
 * inserts it again for each process.
 */
export async function once(queryRunner: QueryRunner, name: string, statements: readonly string[]): Promise<void> {
  const { options } = queryRunner.connection;
  const { schema } = options as { schema?: string };
  const table = [schema, options.migrationsTableName ?? 'migrations']
    .filter((part) => part !== undefined)
    .map((part) => queryRunner.connection.driver.escape(part))
    .join('.');
  // The lock is held until the commit: by default, TypeORM runs migrations in a transaction.
  await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
  const found = (await queryRunner.query(
    `WITH taken AS (DELETE FROM ${table} WHERE name = $1 RETURNING 1) SELECT 1 FROM taken`,
    [name],
  )) as unknown[];
  if (found.length > 0) return;
  for (const statement of statements) await queryRunner.query(statement);
}

/** Returns a function that quotes a table's name and qualifies it with the DataSource's `schema`, if there is one. */
export function inSchemaOf(queryRunner: QueryRunner): (table: string) => string {
  const { schema } = queryRunner.connection.options as { schema?: string };
  return (table) =>
    schema === undefined ? `"${table}"` : `${queryRunner.connection.driver.escape(schema)}."${table}"`;
}
