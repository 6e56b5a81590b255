import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { DataSource } from 'typeorm';

/** The coordinator of a Citus cluster with two workers, as a superuser; undefined where there is none. */
export const clusterUrl = process.env['CITUS_URL'];

const ddl = readFileSync(path.join(__dirname, '..', '..', 'examples', 'hosting', 'citus.sql'), 'utf8');

/** Runs statements in the schema of a DataSource, in a session whose settings end with them. */
export async function inSchema(dataSource: DataSource, statements: string): Promise<void> {
  const { schema } = dataSource.options as { schema: string };
  const runner = dataSource.createQueryRunner();
  try {
    await runner.query(`SET search_path TO "${schema}"`);
    // One by one, as psql runs them: a transaction can't distribute any tables in any order.
    for (const statement of statements.split(/;\s*/).filter(Boolean)) await runner.query(statement);
  } finally {
    await runner.query('RESET ALL');
    await runner.release();
  }
}

/** Distributes the tables of clicks with the DDL of the guide. */
export const distribute = (dataSource: DataSource): Promise<void> => inSchema(dataSource, ddl);
