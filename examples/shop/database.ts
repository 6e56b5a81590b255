import { entities, migrations, runMigrations } from 'express-referrals';
import { DataSource } from 'typeorm';
import { Order, Product, User } from './entities';
import { AddOrderCredit1791000001000, CreateShop1790000001000, StockShop1790000002000 } from './migrations';

/** One DataSource for the shop's entities and the package's: that is what lets them share a transaction. */
export async function openDatabase(url: string): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    connectTimeoutMS: 3000, // pg's own default is to wait for good
    entities: [...entities, User, Product, Order],
    migrations: [...migrations, CreateShop1790000001000, StockShop1790000002000, AddOrderCredit1791000001000],
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
