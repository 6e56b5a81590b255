import pg from 'pg';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { Referral, ReferralResponse } from '../lib';
import { resultsOfAll } from './support/all-calls';
import { firefox } from './support/browser';
import { closeAll, databaseUrl, openDataSource, startHost, StatementLog } from './support/host';

afterAll(closeAll);

/** The types of which hosts set parsers, and their arrays: by their OIDs in `pg_type`. */
const oids = {
  ...{ boolean: 16, smallint: 21, integer: 23, bigint: 20, numeric: 1700, float8: 701 },
  ...{ timestamptz: 1184, timestamp: 1114, date: 1082, interval: 1186, json: 114, jsonb: 3802, uuid: 2950 },
};
const arrays = {
  ...{
    boolean: 1000,
    smallint: 1005,
    integer: 1007,
    bigint: 1016,
    numeric: 1231,
    float8: 1022,
    text: 1009,
    varchar: 1015,
  },
  ...{ timestamptz: 1185, timestamp: 1115, date: 1182, json: 199, jsonb: 3807, uuid: 2951 },
};

type Parse = (text: string) => unknown;

/** Runs work while the host's parsers are set. They are global. */
async function withParsers<T>(parsers: Readonly<Record<number, Parse>>, work: () => Promise<T>): Promise<T> {
  const before = Object.keys(parsers).map(
    (oid) => [Number(oid), pg.types.getTypeParser(Number(oid)) as Parse] as const,
  );
  for (const [oid, parse] of Object.entries(parsers)) pg.types.setTypeParser(Number(oid), parse);
  try {
    return await work();
  } finally {
    for (const [oid, parse] of before) pg.types.setTypeParser(oid, parse);
  }
}

const every = (parse: Parse): Record<number, Parse> =>
  Object.fromEntries([...Object.values(oids), ...Object.values(arrays)].map((oid) => [oid, parse]));

/** What hosts make of the types. */
const parserSets: Record<string, Record<number, Parse>> = {
  'strings': every((text) => text),
  'objects': every((text) => ({ isHosts: true, text })),
  // `integer` stays a number, because TypeORM can't read another one into the host's own entities.
  'other numbers': {
    ...every((text) => [text]),
    [oids.bigint]: BigInt,
    [oids.numeric]: parseFloat,
    [oids.integer]: Number,
  },
};

describe('what fails after a commit', () => {
  test('does not count a click twice', async () => {
    const logger = Object.assign(new StatementLog(), {
      logQuerySlow: (_ms: unknown, text: string) => {
        // With the SQLSTATE of a statement of the host's, which writes its log to a table.
        if (/INSERT INTO .*referral_responses/.test(text))
          throw Object.assign(new Error('log is full'), { code: '23505' });
      },
    });
    const dataSource = await openDataSource();
    Object.assign(dataSource, { logger, options: { ...dataSource.options, maxQueryExecutionTime: -1 } });
    const { app, errors } = await startHost({ dataSource });
    const link = await Referral.create({ user: 'anna', code: 'ONCE', redirectTo: '/' });
    await Promise.all([1, 2, 3].map(() => request(app).get('/r/ONCE').set('User-Agent', firefox).expect(302)));
    expect(new Set(errors)).toEqual(new Set([expect.objectContaining({ message: 'log is full' })]));
    expect(await link.responseCount()).toBe(3);
    expect(await dataSource.getRepository(ReferralResponse).count()).toBe(3);
  });

  test.each(['40001', '40P01', '23505'])(
    'is not made again for the SQLSTATE %s of the host’s own code',
    async (code) => {
      const { dataSource, referrals } = await startHost();
      const type = await referrals.creditTypes.create({ name: 'money' });
      let commits = 0;
      dataSource.subscribers.push({
        afterTransactionCommit: () => {
          commits++;
          throw Object.assign(new Error('the audit failed'), { code, constraint: 'uq_referral_programs_name' });
        },
      });
      const credit = { user: 'anna', creditType: type, initialBalance: 5, durationDays: 9 };
      await expect(referrals.credits.create(credit)).rejects.toThrow('the audit failed');
      await expect(referrals.programs.create({ name: 'launch' })).rejects.toThrow('the audit failed');
      expect(commits).toBe(2);
      expect(await referrals.credits.count()).toBe(1);
      expect(await referrals.programs.count()).toBe(1);
    },
  );
});

afterEach(closeAll);

let expected: Record<string, string>;
beforeAll(async () => {
  expected = await resultsOfAll();
  await closeAll();
});

describe('every call returns the same', () => {
  test('twice', async () => {
    expect(await resultsOfAll()).toEqual(expected);
  });

  test.each(Object.keys(parserSets))('if the host makes %s of the values that the driver reads', async (name) => {
    expect(await resultsOfAll({}, (work) => withParsers(parserSets[name]!, work))).toEqual(expected);
  });

  test.each([
    ['SQL, DMY', 'Asia/Kolkata', 'sql_standard'],
    ['German', 'America/St_Johns', 'postgres_verbose'],
    ['Postgres, MDY', 'Pacific/Chatham', 'iso_8601'],
  ])('if the role has the DateStyle %s and the TimeZone %s', async (dateStyle, timeZone, intervalStyle) => {
    const admin = new DataSource({ type: 'postgres', url: databaseUrl() });
    await admin.initialize();
    const role = `set_${dateStyle.slice(0, 3).toLowerCase()}_${process.pid}`;
    const url = Object.assign(new URL(databaseUrl()), { username: role, password: 'set' });
    const before = process.env['TEST_DATABASE_URL'];
    try {
      await admin.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD 'set'`);
      // A schema of the search path has tables that are called like ours.
      await admin.query(`CREATE SCHEMA ${role}`);
      await admin.query(`CREATE TABLE ${role}.referrals (id text); CREATE TABLE ${role}.referral_responses (id text)`);
      const settings = {
        ...{ DateStyle: dateStyle, TimeZone: timeZone, IntervalStyle: intervalStyle },
        ...{ extra_float_digits: '-15' },
      };
      for (const [name, value] of Object.entries(settings))
        await admin.query(`ALTER ROLE ${role} SET ${name} = '${value}'`);
      await admin.query(`ALTER ROLE ${role} SET search_path = ${role}, public`);
      process.env['TEST_DATABASE_URL'] = url.href;
      expect(await resultsOfAll()).toEqual(expected);
    } finally {
      process.env['TEST_DATABASE_URL'] = before;
      await closeAll();
      await admin.query(`DROP SCHEMA ${role} CASCADE`);
      await admin.query(`DROP OWNED BY ${role} CASCADE`);
      await admin.query(`DROP ROLE ${role}`);
      await admin.destroy();
    }
  });
});
