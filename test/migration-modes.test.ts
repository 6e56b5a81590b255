import { randomBytes } from 'node:crypto';
import request from 'supertest';
import { DataSource, type DataSourceOptions, type MigrationInterface, type QueryRunner } from 'typeorm';
import { entities, migrations, Referral, runMigrations } from '../lib';
import { firefox } from './support/browser';
import { closeAll, databaseUrl, openDataSource, startHost } from './support/host';
import { hasPgBouncer, startPgBouncer } from './support/pgbouncer';

afterEach(closeAll);

/** Migrations of the host's: one before ours, and one after them that counts on ours. */
class First1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ${schemaOf(runner)}.hosts (runs int)`);
  }
  async down(): Promise<void> {}
}
class Last1990000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`INSERT INTO ${schemaOf(runner)}.hosts SELECT count(*) FROM ${schemaOf(runner)}.referrals`);
  }
  async down(): Promise<void> {}
}
/** PostgreSQL refuses it in a transaction. */
class Concurrently1980000000000 implements MigrationInterface {
  readonly transaction = false;
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_hosts ON ${schemaOf(runner)}.hosts (runs)`);
  }
  async down(): Promise<void> {}
}
const schemaOf = ({ connection }: QueryRunner): string => `"${(connection.options as { schema: string }).schema}"`;

type Mode = 'all' | 'each' | 'none';
const inTransaction = [First1700000000000, Last1990000000000];

interface Given {
  mode: Mode;
  url?: string;
  schema: string;
  own?: (new () => MigrationInterface)[];
}

/** A process that starts: its pool has one connection. */
async function starter({ mode, url = databaseUrl(), schema, own = inTransaction }: Given): Promise<DataSource> {
  const options: DataSourceOptions = {
    ...{ type: 'postgres', url, schema, entities, migrations: [...migrations, ...own] },
    ...{ migrationsTransactionMode: mode, poolSize: 1, applicationName: schema },
  };
  return new DataSource(options).initialize();
}

async function freshSchema(): Promise<{ schema: string; admin: DataSource }> {
  const schema = `modes ${randomBytes(6).toString('hex')}`;
  return { schema, admin: await openDataSource({ schema, migrate: false, entities }) };
}

/** How often each migration is listed as run; the locks that are left. */
async function outcome(admin: DataSource, schema: string) {
  const listed: { name: string; times: string }[] = await admin.query(
    `SELECT name, count(*) AS times FROM "${schema}".migrations GROUP BY name`,
  );
  const [left] = await admin.query(
    `SELECT count(*)::int AS locks FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND application_name = $1`,
    [schema],
  );
  return { times: Object.fromEntries(listed.map(({ name, times }) => [name, Number(times)])), ...left };
}
const once = (own = inTransaction) => Object.fromEntries([...migrations, ...own].map(({ name }) => [name, 1]));

test.each(['all', 'each'] as const)('six starters at once, with migrationsTransactionMode %s', async (mode) => {
  const { schema, admin } = await freshSchema();
  const starters = await Promise.all([1, 2, 3, 4, 5, 6].map(() => starter({ mode, schema })));
  const ran = (await Promise.all(starters.map((one) => runMigrations(one)))).flat();
  expect(ran.sort()).toEqual(Object.keys(once()).sort());
  expect(await outcome(admin, schema)).toEqual({ times: once(), locks: 0 });
  expect(await admin.query(`SELECT * FROM "${schema}".hosts`)).toEqual([{ runs: 0 }]);
  for (const one of starters) await one.destroy();
});

test('six starters at once, with migrationsTransactionMode none, and no migrations of the host’s', async () => {
  const { schema, admin } = await freshSchema();
  const starters = await Promise.all([1, 2, 3, 4, 5, 6].map(() => starter({ mode: 'none', schema, own: [] })));
  const ran = (await Promise.all(starters.map((one) => runMigrations(one)))).flat();
  expect(ran.sort()).toEqual(Object.keys(once([])).sort());
  expect(await outcome(admin, schema)).toEqual({ times: once([]), locks: 0 });
  for (const one of starters) await one.destroy();
});

test.each(['each', 'none'] as const)(
  'a migration of the host’s without a transaction, in the mode %s',
  async (mode) => {
    const { schema, admin } = await freshSchema();
    const own = [...inTransaction, Concurrently1980000000000];
    const one = await starter({ mode, schema, own });
    await runMigrations(one);
    expect(await runMigrations(one)).toEqual([]);
    expect(await outcome(admin, schema)).toEqual({ times: once(own), locks: 0 });
    await one.destroy();
  },
);

test.each(['all', 'each', 'none'] as const)('TypeORM’s own runMigrations, in the mode %s', async (mode) => {
  const { schema, admin } = await freshSchema();
  const one = await starter({ mode, schema });
  await one.runMigrations();
  expect(await outcome(admin, schema)).toEqual({ times: once(), locks: 0 });
  await one.destroy();
});

test('a role whose transactions are repeatable reads by default sees what another starter has committed', async () => {
  const { schema, admin } = await freshSchema();
  const url = new URL(databaseUrl());
  url.searchParams.set('options', '-c default_transaction_isolation=serializable');
  const starters = await Promise.all([1, 2, 3].map(() => starter({ mode: 'all', schema, url: url.href })));
  await Promise.all(starters.map((one) => runMigrations(one)));
  expect(await outcome(admin, schema)).toEqual({ times: once(), locks: 0 });
  for (const one of starters) await one.destroy();
});

(hasPgBouncer ? describe : describe.skip)('behind PgBouncer in transaction mode', () => {
  let pooler: Awaited<ReturnType<typeof startPgBouncer>>;
  beforeAll(async () => {
    pooler = await startPgBouncer(databaseUrl(), 2);
  });
  afterAll(() => pooler.stop());

  test.each(['all', 'each'] as const)('six starters at once, in the mode %s, on two connections', async (mode) => {
    const { schema, admin } = await freshSchema();
    const starters = await Promise.all([1, 2, 3, 4, 5, 6].map(() => starter({ mode, schema, url: pooler.url })));
    await Promise.all(starters.map((one) => runMigrations(one)));
    expect(await outcome(admin, schema)).toEqual({ times: once(), locks: 0 });
    for (const one of starters) await one.destroy();
  });

  test('clicks, sign-ups and purchases', async () => {
    const { schema } = await freshSchema();
    const dataSource = await openDataSource({ schema, url: pooler.url });
    const { app, referrals, errors } = await startHost({ dataSource, preparedStatements: false });
    const link = await Referral.create({ user: 'anna', code: 'POOLED', redirectTo: '/' });
    await Promise.all([1, 2, 3, 4].map(() => request(app).get('/r/POOLED').set('User-Agent', firefox).expect(302)));
    expect(await link.responseCount()).toBe(4);
    expect(await Referral.recordSignup(null, 'boris', { code: 'POOLED' })).toMatchObject({ referrerId: 'anna' });
    await referrals.recordPurchase('boris', { amount: 100, reference: 'first' });
    expect(await referrals.verify()).toMatchObject({ ok: true });
    expect(errors).toEqual([]);
  });
});
