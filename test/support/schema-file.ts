import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { migrations } from '../../migrations';
import { dumpSchema } from './schema-dump';

export const schemaFile = path.join(__dirname, '..', 'schema.sql');

const heading = `-- The schema after all migrations. Written by \`npm run schema\`, and compared by test/schema.test.ts.\n\n`;

/** What the file should hold: all migrations, run in a schema of their own that is dropped afterwards. */
export async function schemaAfterMigrations(url: string): Promise<string> {
  const schema = `dump_${randomBytes(6).toString('hex')}`;
  const dataSource = new DataSource({ type: 'postgres', url, schema, migrations });
  await dataSource.initialize();
  try {
    await dataSource.query(`CREATE SCHEMA ${schema}`);
    await dataSource.runMigrations();
    return heading + (await dumpSchema(dataSource.manager, schema, ['migrations']));
  } finally {
    await dataSource.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await dataSource.destroy();
  }
}
