import { createRequire } from 'node:module';
import path from 'node:path';
import type * as Package from 'express-referrals';
import type { DataSource } from 'typeorm';
import type * as Typeorm from 'typeorm';

export const thisCheckout = path.join(__dirname, '..', '..');

/** Loads modules as a file of a built checkout does: the package, what it depends on, and files of its build. */
export function requireOf(checkout: string): <T>(module: string) => T {
  return createRequire(path.join(path.resolve(checkout), 'package.json')) as <T>(module: string) => T;
}

/** A DataSource on a new schema with the tables of a checkout, in place of what a Node before has left there. */
export async function openSchema(
  url: string,
  schema: string,
  poolSize = 10,
  checkout = thisCheckout,
): Promise<DataSource> {
  const load = requireOf(checkout);
  const { entities, migrations, runMigrations } = load<typeof Package>('express-referrals');
  const { DataSource } = load<typeof Typeorm>('typeorm');
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, migrations, poolSize });
  await dataSource.initialize();
  await dataSource.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  return dataSource;
}
