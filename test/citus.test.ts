import { randomUUID } from 'node:crypto';
import request from 'supertest';
import type { DataSource } from 'typeorm';
import { Referral, ReferralDailyCount, ReferralResponse } from '../lib';
import { resultsOfAll } from './support/all-calls';
import { firefox } from './support/browser';
import { clusterUrl, distribute, inSchema } from './support/cluster';
import { closeAll, cookieOf, type Host, openDataSource, startHost, StatementLog, waitFor } from './support/host';

if (clusterUrl === undefined) console.log('CITUS_URL is not set: no test runs on Citus');

const plainUrl = process.env['TEST_DATABASE_URL'];
const useCluster = () => (process.env['TEST_DATABASE_URL'] = clusterUrl!);

let links = 0;
const link = (given: object = {}): Promise<Referral> =>
  Referral.create({ user: 'anna', redirectTo: '/', label: `${++links}`, ...given });

const times = <T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));

const click = ({ app }: Host, { code }: Referral, headers: object = {}) =>
  request(app)
    .get(`/r/${code}`)
    .set({ 'User-Agent': firefox, ...headers })
    .expect(302);

/** Keeps statements with their parameters, as PostgreSQL's EXPLAIN takes them. */
class ParameterLog extends StatementLog {
  queries: [text: string, parameters: unknown[]][] = [];
  override logQuery(text: string, parameters: unknown[] = []): void {
    this.queries.push([text, parameters]);
  }
}

/** The session cookie of a browser that has signed in. */
const signedIn = async ({ app }: Host, user: string): Promise<string> =>
  cookieOf(await request(app).post(`/login/${user}`), 'connect.sid')!;

const rowsOf = (dataSource: DataSource): Promise<ReferralResponse[]> =>
  dataSource.getRepository(ReferralResponse).find({ order: { id: 'ASC' } });

(clusterUrl === undefined ? describe.skip : describe)('on a Citus cluster', () => {
  beforeEach(useCluster);
  afterEach(closeAll);
  afterAll(() => (process.env['TEST_DATABASE_URL'] = plainUrl));

  describe('with the layout of the guide', () => {
    test('the tables of clicks are on every worker, and all others on the coordinator', async () => {
      const { dataSource } = await startHost();
      const placed = await dataSource.query<{ table: string; shards: number; nodes: number }[]>(
        `SELECT split_part(table_name::text, '.', 2) AS table, count(*)::int AS shards, count(DISTINCT nodeport)::int AS nodes
         FROM citus_shards WHERE table_name::text LIKE $1 GROUP BY 1 ORDER BY 1`,
        [`"${(dataSource.options as { schema: string }).schema}".%`],
      );
      expect(placed).toEqual([
        { table: 'referral_daily_counts', shards: 4, nodes: 2 },
        { table: 'referral_responses', shards: 4, nodes: 2 },
      ]);
    });

    test('every call returns what it returns on plain tables', async () => {
      process.env['TEST_DATABASE_URL'] = plainUrl;
      const expected = await resultsOfAll();
      await closeAll();
      useCluster();
      expect(await resultsOfAll()).toEqual(expected);
    });

    test('clicks of two processes on many links are each recorded and counted once', async () => {
      const first = await startHost();
      const { dataSource } = first;
      const { schema } = dataSource.options as { schema: string };
      const open = await times(12, () => link());
      const expired = await link({ expiredAt: new Date(0) });
      const second = await startHost({ dataSource: await openDataSource({ schema, migrate: false }) });
      const seen: number[] = [];
      second.referrals.on('response', ({ id }) => void seen.push(id));
      const all = [...open, expired];
      await times(13 * 8, (index) => click(index % 2 ? first : second, all[index % 13]!));
      expect(await Promise.all(all.map((one) => one.responseCount()))).toEqual([...Array<number>(12).fill(8), 0]);
      const rows = await rowsOf(dataSource);
      expect(rows).toHaveLength(96);
      expect(new Set(rows.map(({ id }) => id)).size).toBe(96);
      expect(seen).toHaveLength(48);
      expect([...first.errors, ...second.errors]).toEqual([]);
    });

    test('sign-in in several tabs links each response to each referral once', async () => {
      const host = await startHost();
      const events: number[] = [];
      host.referrals.on('userLinkedToResponse', ({ id }) => void events.push(id));
      const open = await times(6, () => link());
      let cookie = '';
      for (const one of open) cookie = cookieOf(await click(host, one, cookie ? { Cookie: cookie } : {}))!;
      const sessions = await times(4, () => signedIn(host, 'dora'));
      await Promise.all(
        sessions.map((session) =>
          request(host.app).get('/whose').set('Cookie', `${cookie}; ${session}`).expect({ code: open[5]!.code }),
        ),
      );
      const rows = await rowsOf(host.dataSource);
      expect(rows.map(({ userId }) => userId)).toEqual(Array(6).fill('dora'));
      expect(events.sort((a, b) => a - b)).toEqual(rows.map(({ id }) => id));
      expect(host.errors).toEqual([]);
    });

    test('a visitor id is one user’s, also of two who sign in at once', async () => {
      const host = await startHost();
      const open = await times(4, () => link());
      for (let round = 0; round < 5; round++) {
        const visitorId = randomUUID();
        await host.dataSource
          .getRepository(ReferralResponse)
          .insert(open.map(({ id }) => ({ referralId: id, visitorId, action: 'RESPONDED' })));
        const users = ['a', 'b', 'c'].map((name) => `${name}${round}`);
        const linked = await Promise.all(
          users.flatMap((user) => open.map((one) => one.linkResponsesToUser(user, visitorId))),
        );
        expect(linked.flat()).toHaveLength(4);
        const rows = await host.dataSource.getRepository(ReferralResponse).findBy({ visitorId });
        expect(new Set(rows.map(({ userId }) => userId)).size).toBe(1);
      }
    });

    test('a link that is deleted under clicks and sign-ins leaves none of its clicks behind', async () => {
      const host = await startHost();
      const kept = await times(3, () => link());
      for (let round = 0; round < 5; round++) {
        const doomed = await link();
        const cookie = cookieOf(await click(host, doomed))!;
        const session = await signedIn(host, `erik ${round}`);
        await Promise.all([
          ...kept.flatMap((one) => [click(host, one), click(host, doomed)]),
          host.referrals.referralCodes.delete(doomed.id),
          request(host.app).get('/whose').set('Cookie', `${cookie}; ${session}`),
          ...kept.map((one) => click(host, one)),
        ]);
        for (const table of [ReferralResponse, ReferralDailyCount])
          expect(await host.dataSource.getRepository(table).countBy({ referralId: doomed.id })).toBe(0);
      }
      expect(await Promise.all(kept.map((one) => one.responseCount()))).toEqual([10, 10, 10]);
      expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
    });

    test('attribution and lists ask the shards for rows of theirs, and copy no table of the coordinator to them', async () => {
      const logger = new ParameterLog();
      const dataSource = await openDataSource({ logger });
      const host = await startHost({ dataSource });
      const one = await link();
      const cookie = cookieOf(await click(host, one))!;
      const session = await signedIn(host, 'dora');
      logger.queries = [];
      // At sign-in with the touch that is carried, and then by user.
      for (const cookies of [`${cookie}; ${session}`, session])
        await request(host.app).get('/whose').set('Cookie', cookies).expect({ code: one.code });
      await host.referrals.explainSignup('dora');
      await Referral.responsesForReferrer('anna', { take: 3 });
      const shards = logger.queries.filter(([text]) => text.includes('referral_responses'));
      expect(shards.length).toBeGreaterThan(3);
      for (const [text, parameters] of shards) {
        const rows = await dataSource.query<{ 'QUERY PLAN': unknown }[]>(`EXPLAIN (FORMAT JSON) ${text}`, parameters);
        const read = [...JSON.stringify(rows[0]!['QUERY PLAN']).matchAll(/"Relation Name":"(\w+?)(_\d+)?"/g)];
        expect(new Set(read.map(([, table]) => table))).not.toContain('referrals');
      }
    });

    test('in the host’s transaction, responses come and go with it', async () => {
      const host = await startHost({}, (app, dataSource) => {
        app.post('/buy/:end', (req, res, next) => {
          const work = dataSource.transaction(async (manager) => {
            await Referral.recordResponse(req, 'BOUGHT', { manager });
            if (req.params.end === 'rollback') throw new Error('no');
          });
          work.then(() => res.sendStatus(204), next);
        });
      });
      const one = await link();
      const cookie = cookieOf(await click(host, one))!;
      await request(host.app).post('/buy/rollback').set('Cookie', cookie).expect(500);
      await request(host.app).post('/buy/commit').set('Cookie', cookie).expect(204);
      expect((await rowsOf(host.dataSource)).map(({ action }) => action)).toEqual(['RESPONDED', 'BOUGHT']);
    });

    test('lists are the same in pages as in one', async () => {
      const host = await startHost();
      const open = await times(5, () => link());
      for (let round = 0; round < 4; round++) await Promise.all(open.map((one) => click(host, one)));
      const ids = (rows: ReferralResponse[]): number[] => rows.map(({ id }) => id);
      const all = ids(await Referral.responsesForReferrer('anna'));
      expect(all).toHaveLength(20);
      const pages: number[] = [];
      for (let skip = 0; skip < 21; skip += 3)
        pages.push(...ids(await Referral.responsesForReferrer('anna', { take: 3, skip })));
      expect(pages).toEqual(all);
      expect(ids(await open[0]!.filteredResponses({ take: 3 }))).toHaveLength(3);
      expect(await Referral.responsesForReferrer('nobody', { take: 3 })).toEqual([]);
    });
  });

  /** Tables that are laid out by other statements than the guide's. */
  async function startWith(statements: string): Promise<Host> {
    const dataSource = await openDataSource({ migrate: false });
    await dataSource.runMigrations();
    await inSchema(dataSource, statements);
    return startHost({ dataSource });
  }

  test.each([
    [
      'referrals as a reference table',
      `SELECT create_distributed_table('referral_responses', 'referral_id');
       SELECT create_distributed_table('referral_daily_counts', 'referral_id');
       SELECT create_reference_table('referrals')`,
      /"referrals" is a reference table/,
    ],
    [
      'a schema that is distributed',
      `SELECT citus_schema_distribute(quote_ident(current_schema)::regnamespace)`,
      /"referral_responses" is in a distributed schema/,
    ],
    [
      'responses by the visitor',
      `ALTER TABLE referral_responses DROP CONSTRAINT pk_referral_responses;
       SELECT create_distributed_table('referral_responses', 'visitor_id')`,
      /pk_referral_responses|"referral_responses" is distributed by visitor_id/,
    ],
  ])('%s: refused at start', async (_layout, statements, message) => {
    const host = await startWith(statements);
    await waitFor(() => Promise.resolve(host.errors.length > 0));
    expect((host.errors[0] as Error).message).toMatch(message);
  });

  test('all tables plain on the coordinator; when they are distributed later, what is recorded stays', async () => {
    const before = await startWith('SELECT 1');
    const one = await link();
    await times(20, () => click(before, one));
    expect(await one.responseCount()).toBe(20);
    await before.referrals.close();
    await distribute(before.dataSource);
    const after = await startHost({ dataSource: before.dataSource });
    const again = await Referral.findByCode(one.code);
    await times(5, () => click(after, one));
    expect(await again!.responseCount()).toBe(25);
    const rows = await rowsOf(after.dataSource);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(25);
    expect([...before.errors, ...after.errors]).toEqual([]);
  });
});
