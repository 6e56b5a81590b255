import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { createShop, type ShopOptions } from '../../examples/shop/app';
import { Bank } from '../../examples/shop/bank';
import { openDatabase, poolSize } from '../../examples/shop/database';
import { databaseUrl } from './host';

/** A demo shop on a database of its own. */
export interface OpenedShop extends Awaited<ReturnType<typeof createShop>> {
  dataSource: Awaited<ReturnType<typeof openDatabase>>;
  close: () => Promise<void>;
}

const databases: string[] = [];
const shops: OpenedShop[] = [];

async function withAdmin<T>(work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client(databaseUrl());
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** Makes an empty database, and returns its URL. `closeShops` drops it. */
export async function createDatabase(): Promise<string> {
  const name = `shop_${randomBytes(6).toString('hex')}`;
  await withAdmin((admin) => admin.query(`CREATE DATABASE ${name}`));
  databases.push(name);
  return Object.assign(new URL(databaseUrl()), { pathname: `/${name}` }).href;
}

export async function openShop(url: string, options: Partial<ShopOptions> = {}): Promise<OpenedShop> {
  const pool = new pg.Pool({ connectionString: url, max: poolSize });
  pool.on('error', () => undefined); // of connections that are closing when the database is dropped
  const dataSource = await openDatabase(url);
  const created = await createShop({
    dataSource,
    pool,
    bank: new Bank(),
    baseUrl: 'http://localhost',
    ...options,
  }).catch(async (error: unknown) => {
    await dataSource.destroy();
    await pool.end();
    throw error;
  });
  let closed: Promise<void> | undefined;
  const opened = { ...created, dataSource, close: () => (closed ??= close()) };
  async function close(): Promise<void> {
    await created.referrals.close();
    await dataSource.destroy();
    await pool.end();
  }
  shops.push(opened);
  return opened;
}

/** Closes all shops of a test file, and drops their databases. */
export async function closeShops(): Promise<void> {
  for (const { close } of shops.splice(0)) await close();
  await withAdmin(async (admin) => {
    for (const name of databases.splice(0)) await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  });
}
