import { entities, migrations, runMigrations } from 'express-referrals';
import { DataSource } from 'typeorm';

/** A DataSource on a new schema with our tables. */
export async function openSchema(url: string, schema: string, poolSize = 10): Promise<DataSource> {
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, migrations, poolSize });
  await dataSource.initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  return dataSource;
}
