import path from 'node:path';
import { entities, migrations, runMigrations } from 'express-referrals';
import { DataSource } from 'typeorm';
import { type Postgres, startPostgres } from '../../test/postgres/start';
import { Order, Product, User } from './entities';
import {
  AddEarnings1792000001000,
  AddOrderCredit1791000001000,
  AddStaff1797000001000,
  CreateShop1790000001000,
  DropPayouts1793000001000,
  StockShop1790000002000,
} from './migrations';

const defaultFolder = path.join(__dirname, '..', '..', '.postgres', 'shop');

/**
 * Connects to the PostgreSQL of `DATABASE_URL`, else starts one for the shop. Only one process at a time can use the
 * latter: other processes get an error with its `status`. `say` is called with a line for each step.
 */
export function startDatabase(status: string, say?: (line: string) => void): Promise<Postgres> {
  return startPostgres({ folder: process.env['DATA_FOLDER'] ?? defaultFolder, persistent: true, status, say });
}

/** How many connections a pool opens. */
export const poolSize = 2;

const ours = [
  CreateShop1790000001000,
  StockShop1790000002000,
  AddOrderCredit1791000001000,
  AddEarnings1792000001000,
  DropPayouts1793000001000,
  AddStaff1797000001000,
];

/** Opens one DataSource for the entities of the shop and of the package, so that they share transactions. */
export async function openDatabase(url: string, say: (line: string) => void = () => undefined): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    connectTimeoutMS: 3000, // by default, pg waits without a limit
    poolSize, // no call of the shop or of the package holds a connection while it waits for another one
    entities: [...entities, User, Product, Order],
    migrations: [...migrations, ...ours],
  });
  await dataSource.initialize();
  try {
    say('Running migrations…');
    const ran = await runMigrations(dataSource);
    say(ran.length > 0 ? `Ran ${ran.join(', ')}` : 'No migration was pending');
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}
