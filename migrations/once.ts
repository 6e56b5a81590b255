import type { QueryRunner } from 'typeorm';

/** The advisory lock under which migrations take turns; 'referral' in the letters of a telephone's keys. */
export const migrationLock = 73337725;

/**
 * Runs a migration's statements in one process only, when several that start at once have all found it pending. The others
 * wait, then find it on record and do nothing; the record they found is taken away, because TypeORM adds it again
 * for each of them.
 */
export async function once(queryRunner: QueryRunner, name: string, statements: readonly string[]): Promise<void> {
  const { options } = queryRunner.connection;
  const { schema } = options as { schema?: string };
  const table = [schema, options.migrationsTableName ?? 'migrations']
    .filter((part) => part !== undefined)
    .map((part) => queryRunner.connection.driver.escape(part))
    .join('.');
  // In a transaction the lock is held until the commit; that is TypeORM's default for migrations.
  await queryRunner.query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
  const found = (await queryRunner.query(
    `WITH taken AS (DELETE FROM ${table} WHERE name = $1 RETURNING 1) SELECT 1 FROM taken`,
    [name],
  )) as unknown[];
  if (found.length > 0) return;
  for (const statement of statements) await queryRunner.query(statement);
}

/** What turns a table's name into the host's: quoted, in the host's schema if there is one. */
export function inSchemaOf(queryRunner: QueryRunner): (table: string) => string {
  const { schema } = queryRunner.connection.options as { schema?: string };
  return (table) =>
    schema === undefined ? `"${table}"` : `${queryRunner.connection.driver.escape(schema)}."${table}"`;
}
