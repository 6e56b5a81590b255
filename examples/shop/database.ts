import path from 'node:path';
import { entities, migrations, runMigrations } from 'express-referrals';
import { DataSource } from 'typeorm';
import { type Postgres, startPostgres } from '../../test/postgres/start';
import { Order, Payout, Product, User } from './entities';
import {
  AddEarnings1792000001000,
  AddOrderCredit1791000001000,
  CreateShop1790000001000,
  StockShop1790000002000,
} from './migrations';

/** The PostgreSQL of `DATABASE_URL`, else one of the shop's own. */
export function startDatabase(): Promise<Postgres> {
  return startPostgres({ folder: path.join(__dirname, '..', '..', '.postgres', 'shop'), persistent: true });
}

/** One DataSource for the shop's entities and the package's: that is what lets them share a transaction. */
export async function openDatabase(url: string): Promise<DataSource> {
  const ours = [CreateShop1790000001000, StockShop1790000002000, AddOrderCredit1791000001000, AddEarnings1792000001000];
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    connectTimeoutMS: 3000, // pg's own default is to wait for good
    entities: [...entities, User, Product, Order, Payout],
    migrations: [...migrations, ...ours],
  });
  await dataSource.initialize();
  try {
    await runMigrations(dataSource);
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
  return dataSource;
}
