import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { DataSource, type MigrationInterface } from 'typeorm';
import { entities, migrations, Referral, runMigrations } from '../lib';
import { closeAll, databaseUrl, openDataSource } from './support/host';
import { SnakeNamingStrategy } from './support/naming';

afterAll(closeAll);

const run = promisify(execFile);
const freshName = (): string => `migrate_${randomBytes(6).toString('hex')}`;

async function tables(dataSource: DataSource, schema: string): Promise<string[]> {
  const rows = await dataSource.query<{ name: string }[]>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1',
    [schema],
  );
  return rows.map(({ name }) => name);
}

const ours = [
  'referral_account_totals',
  'referral_accounts',
  'referral_adjustments',
  'referral_aliases',
  'referral_audit',
  'referral_buyers',
  'referral_channels',
  'referral_closed_days',
  'referral_commission_entries',
  'referral_commissions',
  'referral_credit_refunds',
  'referral_credit_spends',
  'referral_credit_transactions',
  'referral_credit_types',
  'referral_credits',
  'referral_daily_counts',
  'referral_earn_out_entries',
  'referral_earn_outs',
  'referral_late_attributions',
  'referral_programs',
  'referral_purchases',
  'referral_redemptions',
  'referral_referees',
  'referral_referrer_periods',
  'referral_refunds',
  'referral_responses',
  'referral_reviews',
  'referral_reward_counts',
  'referral_signup_refusals',
  'referral_signups',
  'referral_usages',
  'referral_user_counts',
  'referral_user_days',
  'referral_user_links',
  'referral_visitor_clicks',
  'referral_visitors',
  'referrals',
];

test('up, again, down, and up again, in a schema of the host', async () => {
  const schema = "odd schema; --'";
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl(), schema, entities, migrations });
  await dataSource.initialize();
  const quoted = dataSource.driver.escape(schema);
  await dataSource.query(`CREATE SCHEMA ${quoted}`);
  expect((await dataSource.runMigrations()).map(({ name }) => name)).toEqual(migrations.map(({ name }) => name));
  expect(await dataSource.runMigrations()).toEqual([]);
  expect(await tables(dataSource, schema)).toEqual(['migrations', ...ours]);
  for (let left = migrations.length; left > 0; left--) await dataSource.undoLastMigration();
  expect(await tables(dataSource, schema)).toEqual(['migrations']);
  await runMigrations(dataSource);
  expect(await tables(dataSource, schema)).toEqual(['migrations', ...ours]);
  await dataSource.query(`DROP SCHEMA ${quoted} CASCADE`);
  await dataSource.destroy();
});

test('in a database of its own without a schema, in the table of migrations that the host names', async () => {
  const name = freshName();
  const admin = new DataSource({ type: 'postgres', url: databaseUrl() });
  await admin.initialize();
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(databaseUrl());
  url.pathname = `/${name}`;
  const dataSource = new DataSource({
    type: 'postgres',
    url: url.href,
    entities,
    migrations,
    migrationsTableName: 'done',
  });
  await dataSource.initialize();
  expect(await runMigrations(dataSource)).toEqual(migrations.map((migration) => migration.name));
  expect(await tables(dataSource, 'public')).toEqual(['done', ...ours]);
  expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
  await dataSource.destroy();
  await admin.query(`DROP DATABASE ${name}`);
  await admin.destroy();
});

test('leave the schema builder of TypeORM nothing to do, whatever naming strategy the host has', async () => {
  for (const namingStrategy of [undefined, new SnakeNamingStrategy()]) {
    const dataSource = await openDataSource({ namingStrategy, entities });
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  }
});

test('have a unique name with a time each, and are in order', () => {
  const names = migrations.map((Migration) => (new Migration() as MigrationInterface & { name: string }).name);
  expect(names).toEqual(migrations.map(({ name }) => name));
  const times = names.map((name) => Number(/\d{13}$/.exec(name)?.[0]));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(new Set(names).size).toBe(names.length);
});

/** Keeps the statements that a migration runs, in a transaction that is rolled back. */
async function statementsOf(dataSource: DataSource): Promise<string[]> {
  const runner = dataSource.createQueryRunner();
  const run: string[] = [];
  const query = runner.query.bind(runner);
  runner.query = (text: string, ...rest: never[]): never => {
    run.push(text);
    return query(text, ...rest) as never;
  };
  const all = migrations.map((Migration) => new Migration());
  await runner.startTransaction();
  await query(`CREATE TABLE "${(dataSource.options as { schema: string }).schema}".migrations (name varchar)`);
  for (const migration of all) await migration.up(runner);
  for (const migration of all.reverse()) await migration.down(runner);
  await runner.rollbackTransaction();
  await runner.release();
  return run.map((text) => text.replace(/\s+/g, ' ').trim());
}

test('alter a table by one thing at a time, so that they run where tables are distributed', async () => {
  const statements = await statementsOf(await openDataSource({ migrate: false }));
  const altered = statements.filter((text) => text.startsWith('ALTER TABLE'));
  expect(altered.length).toBeGreaterThan(0);
  /** Every `ADD`, `ALTER`, `DROP` of a statement, outside of parentheses and names. */
  const subcommands = (text: string): string[] => {
    let outside = text.replace(/"[^"]*"/g, 'name').replace(/'[^']*'/g, 'text');
    for (let before = ''; before !== outside;) [before, outside] = [outside, outside.replace(/\([^()]*\)/g, '')];
    return outside
      .split(',')
      .map(
        (part) =>
          /\b(ADD COLUMN|ADD|DROP|ALTER|RENAME|SET|VALIDATE|OWNER)\b/.exec(part.replace(/^ALTER TABLE/, ''))![0],
      );
  };
  const wrong = altered.filter((text) => {
    const found = subcommands(text);
    return found.length > 1 && found.some((subcommand) => subcommand !== 'ADD COLUMN');
  });
  expect(wrong).toEqual([]);
  // Columns that share a statement bring no constraint along.
  const together = altered.filter((text) => subcommands(text).length > 1);
  expect(together.filter((text) => /\b(CONSTRAINT|REFERENCES|CHECK|UNIQUE|PRIMARY KEY)\b/.test(text))).toEqual([]);
});

describe('20 processes that start at once', () => {
  const start = (schema: string, how: string): Promise<unknown>[] =>
    Array.from({ length: 20 }, () =>
      run(process.execPath, [path.join(__dirname, 'support', 'starter.js'), how], {
        env: { ...process.env, SCHEMA: schema },
      }),
    );

  test('on an empty database, with runMigrations(dataSource)', async () => {
    const admin = await openDataSource({ schema: freshName(), migrate: false });
    const { schema } = admin.options as { schema: string };
    await Promise.all(start(schema, 'ours'));
    expect(await tables(admin, schema)).toEqual(['migrations', ...ours]);
    expect(await admin.query(`SELECT name FROM "${schema}".migrations`)).toEqual(
      migrations.map(({ name }) => ({ name })),
    );
  });

  test('where the table of migrations is there already, with dataSource.runMigrations() too', async () => {
    const admin = await openDataSource({ schema: freshName(), migrate: false });
    const { schema } = admin.options as { schema: string };
    await admin.query(
      `CREATE TABLE "${schema}".migrations (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL)`,
    );
    await Promise.all(start(schema, 'typeorm'));
    expect(await tables(admin, schema)).toEqual(['migrations', ...ours]);
    expect(await admin.query(`SELECT name FROM "${schema}".migrations`)).toEqual(
      migrations.map(({ name }) => ({ name })),
    );
  });

  test('a starter that fails frees the others', async () => {
    const admin = await openDataSource({ schema: freshName(), migrate: false });
    const { schema } = admin.options as { schema: string };
    await admin.query(`CREATE TABLE "${schema}".referrals (mine int)`);
    await expect(runMigrations(admin)).rejects.toThrow('already exists'); // never takes a table of the host's for ours
    await admin.query(`DROP TABLE "${schema}".referrals`);
    await runMigrations(admin);
    expect(await admin.getRepository(Referral).count()).toBe(0);
  });
});
