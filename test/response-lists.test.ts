import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import type { SelectQueryBuilder } from 'typeorm';
import { migrations, Referral, type ReferralResponse } from '../lib';
import { Database } from '../lib/database/database';
import type { Settings } from '../lib/options';
import { ClickLayout } from '../lib/tracking/click-layout';
import { ResponseLists } from '../lib/tracking/response-lists';
import { closeAll, type Host, openDataSource, startHost, StatementLog } from './support/host';
import { dumpSchema } from './support/schema-dump';
import { schemaFile } from './support/schema-file';

afterAll(closeAll);

const visitor = '00000000-0000-4000-8000-000000000001';
const millisecond = `interval '1 millisecond'`;

/** Keeps each statement with its parameters. */
class ExplainableLog extends StatementLog {
  readonly sent: { text: string; parameters: unknown[] }[] = [];
  override logQuery(text: string, parameters: unknown[] = []): void {
    this.sent.push({ text, parameters });
  }
}

interface Lister {
  host: Host;
  log: ExplainableLog;
  lists: ResponseLists;
  sql(text: string, parameters?: unknown[]): Promise<{ id: string }[]>;
  /** Creates referrals of a user, and returns their ids. */
  links(owner: string, count: number): Promise<number[]>;
}

/** What the option `responsesFilter` does at the moment. */
let filter = (query: SelectQueryBuilder<ReferralResponse>): typeof query => query;

async function lister(): Promise<Lister> {
  const log = new ExplainableLog();
  const dataSource = await openDataSource({ logger: log });
  const host = await startHost({ dataSource, responsesFilter: (query) => filter(query) });
  const { schema } = dataSource.options as { schema: string };
  const sql: Lister['sql'] = (text, parameters) => dataSource.query(text.replaceAll('@', `"${schema}".`), parameters);
  const settings = { dataSource, preparedStatements: true, responsesFilter: filter } as unknown as Settings;
  const database = new Database(settings, 60_000);
  const lists = new ResponseLists(database, new ClickLayout(database), settings);
  const links: Lister['links'] = async (owner, count) => {
    const rows = await sql(
      `INSERT INTO @referrals (user_id, label, code, redirect_to)
       SELECT $1::text, n, $1 || '-' || n, '/' FROM generate_series(1, $2::int) n RETURNING id`,
      [owner, count],
    );
    return rows.map(({ id }) => Number(id));
  };
  return { host, log, lists, sql, links };
}

describe('a page has what reading and sorting all would return, in the same order', () => {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  let one: Lister;
  beforeAll(async () => (one = await lister()));

  /** Some links of the referrer and of another; responses with equal times, and times in another order than the ids. */
  const world = fc.record({
    links: fc.integer({ min: 1, max: 12 }),
    responses: fc.array(
      fc.record({
        // Most are to one link, so that others have few or none.
        link: fc.oneof(fc.constant(0), fc.nat(12)),
        time: fc.oneof(fc.nat(5), fc.nat(1000)),
        whose: fc.constantFrom('me', 'visitor', 'me with the visitor id', 'other', 'nobody'),
      }),
      { maxLength: 60 },
    ),
    pages: fc.array(fc.record({ take: fc.option(fc.nat(70), { nil: undefined }), skip: fc.nat(50) }), {
      minLength: 4,
      maxLength: 8,
    }),
  });

  test('of the responses to a referrer, to a referral, and of a visitor', async () => {
    console.log(`SEED=${seed}`);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(world, async ({ links, responses, pages }) => {
        const referrer = `referrer ${++runs}`;
        await one.sql('DELETE FROM @referral_responses');
        const mine = await one.links(referrer, links);
        const others = await one.links(`another ${runs}`, 1);
        const rows = responses.map(({ link, time, whose }) => [
          mine[link] ?? others[0],
          time,
          whose.startsWith('me') ? 'me' : whose === 'other' ? 'other' : null,
          whose.includes('visitor') ? visitor : null,
        ]);
        await one.sql(
          `INSERT INTO @referral_responses (referral_id, created_at, user_id, visitor_id, action)
           SELECT r, '2026-01-01'::timestamptz + t * ${millisecond}, u, v, 'RESPONDED'
           FROM unnest($1::bigint[], $2::int[], $3::text[], $4::uuid[]) AS given (r, t, u, v)`,
          [0, 1, 2, 3].map((column) => rows.map((row) => row[column])),
        );
        const sorted = async (where: string, parameters: unknown[], order = 'created_at DESC, id DESC') =>
          (await one.sql(`SELECT id FROM @referral_responses WHERE ${where} ORDER BY ${order}`, parameters)).map(
            ({ id }) => Number(id),
          );
        const toReferrer = await sorted('referral_id = ANY ($1)', [mine]);
        const ofVisitor = await sorted('user_id = $1 OR (visitor_id = $2 AND user_id IS NULL)', ['me', visitor]);
        const ofUser = await sorted('user_id = $1', ['me']);
        const ofNoUser = await sorted('visitor_id = $1 AND user_id IS NULL', [visitor]);
        const toLink = await sorted('referral_id = $1', [mine[0]], 'id DESC');
        const link = await one.host.dataSource.manager.findOneByOrFail(Referral, { id: mine[0]! });
        const { manager } = one.host.dataSource;
        for (const { take, skip } of pages) {
          const page = { skip, ...(take !== undefined && { take }) };
          const expected = (ids: number[]): number[] => ids.slice(skip, take === undefined ? undefined : skip + take);
          const found = async (list: Promise<ReferralResponse[]>): Promise<number[]> =>
            (await list).map(({ id }) => id);
          const given = { ...page, manager };
          expect(await found(Referral.responsesForReferrer(referrer, given))).toEqual(expected(toReferrer));
          expect(await found(link.filteredResponses(given))).toEqual(expected(toLink));
          expect(await found(one.lists.ofVisitor('me', visitor, given))).toEqual(expected(ofVisitor));
          expect(await found(one.lists.ofVisitor('me', null, given))).toEqual(expected(ofUser));
          expect(await found(one.lists.ofVisitor(null, visitor, given))).toEqual(expected(ofNoUser));
        }
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? 60) },
    );
  });

  test('a page that begins and ends beyond every number of rows, or has no row', async () => {
    await one.sql('DELETE FROM @referral_responses');
    await one.links('beyond', 3);
    const { manager } = one.host.dataSource;
    for (const skip of [0, Number.MAX_SAFE_INTEGER])
      for (const take of [0, 1, Number.MAX_SAFE_INTEGER]) {
        expect(await Referral.responsesForReferrer('beyond', { take, skip, manager })).toEqual([]);
        expect(await Referral.responsesForReferrer('nobody', { take, skip, manager })).toEqual([]);
        expect(await one.lists.ofVisitor('nobody', visitor, { take, skip, manager })).toEqual([]);
      }
  });
});

describe('the first page reads as much of a table of 100 as of 20,000', () => {
  let few: Lister;
  let many: Lister;
  const crowd = 2000;

  /** For each of these referrers, `count` responses to their links. */
  async function fill(one: Lister, count: number): Promise<void> {
    const respond = (links: number[], link: string, more: Record<string, string> = {}): Promise<unknown> => {
      const values = { action: `'RESPONDED'`, created_at: `now() - n * ${millisecond}`, ...more };
      return one.sql(
        `INSERT INTO @referral_responses (referral_id, ${Object.keys(values).join(', ')})
         SELECT ($1::bigint[])[1 + ${link}], ${Object.values(values).join(', ')} FROM generate_series(1, ${count}) n`,
        [links],
      );
    };
    await respond(await one.links('one link', 1), '0');
    await respond(await one.links('100 links', 100), 'n % 100');
    await respond(await one.links('one of 100 links', 100), 'CASE WHEN n > 40 THEN 7 ELSE n END');
    await respond(await one.links(`${crowd} links`, crowd), `n % ${crowd}`);
    // All in one transaction at one time, as an import has them.
    await respond(await one.links('imported', 2), 'n % 2', { created_at: 'now()' });
    const others = await one.links('others', 1);
    await respond(others, '0', { user_id: `'heavy'`, visitor_id: `'${visitor}'` });
    await respond(others, '0', { visitor_id: `'${visitor}'` });
    await respond(await one.links('filtered', 1), '0', {
      action: `CASE WHEN n = 1 THEN 'BOUGHT' WHEN n < 5 THEN 'READ' ELSE 'RESPONDED' END`,
      target_type: `CASE WHEN n < 5 THEN 'Post' END`,
      target_id: `CASE WHEN n < 5 THEN n END`,
      user_id: `CASE WHEN n < 5 THEN 'rare' WHEN n % 2 = 0 THEN 'user ' || n END`,
    });
    await one.sql('ANALYZE @referral_responses');
    await one.sql('ANALYZE @referrals');
  }

  beforeAll(async () => {
    [few, many] = [await lister(), await lister()];
    await fill(few, 100);
    await fill(many, 20_000);
  });

  /** How many pages a call's statements read. */
  async function pagesOf(one: Lister, call: (one: Lister) => Promise<unknown[]>): Promise<number> {
    one.log.sent.length = 0;
    expect((await call(one)).length).toBeGreaterThan(0);
    let pages = 0;
    for (const { text, parameters } of [...one.log.sent]) {
      const [row] = await one.host.dataSource.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }[]>(
        `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${text}`,
        parameters,
      );
      const plan = row!['QUERY PLAN'][0].Plan;
      pages += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
    }
    return pages;
  }

  const page = { take: 20 };
  const ofReferrer =
    (owner: string, options = page) =>
    ({ host }: Lister) =>
      Referral.responsesForReferrer(owner, { ...options, manager: host.dataSource.manager });
  const ofLink =
    (owner: string, given: typeof filter = (query) => query) =>
    async ({ host }: Lister) => {
      const { manager } = host.dataSource;
      const link = await manager.findOneByOrFail(Referral, { userId: owner, label: '1' });
      filter = given;
      return link.filteredResponses({ ...page, manager });
    };

  test.each<[string, (one: Lister) => Promise<unknown[]>]>([
    ['of a referrer with one link', ofReferrer('one link')],
    ['of a referrer with 100 links', ofReferrer('100 links')],
    ['of a referrer with 100 links, later', ofReferrer('100 links', { take: 20, skip: 60 } as typeof page)],
    ['of a referrer with 100 links, most to one of them', ofReferrer('one of 100 links')],
    ['of a referrer with 100 links, most to one of them, later', ofReferrer('one of 100 links', { take: 45 })],
    [`of a referrer with ${crowd} links`, ofReferrer(`${crowd} links`)],
    ['of a referrer whose responses have the same time', ofReferrer('imported')],
    ['of a user', ({ lists }) => lists.ofVisitor('heavy', null, page)],
    ['of a visitor', ({ lists }) => lists.ofVisitor(null, visitor, page)],
    ['of a user with a visitor id', ({ lists }) => lists.ofVisitor('heavy', visitor, page)],
    ['to a referral', ofLink('one link')],
    ['to a referral, ordered by time', ofLink('one link', (query) => query.orderBy('response.createdAt', 'DESC'))],
    [
      'to a referral, with its referral',
      ofLink('one link', (query) => query.innerJoinAndSelect('response.referral', 'r')),
    ],
    [
      'to a referral, by a rare action',
      ofLink('filtered', (query) => query.andWhere('response.action = :action', { action: 'BOUGHT' })),
    ],
    [
      'to a referral, without clicks',
      ofLink('filtered', (query) => query.andWhere('response.action <> :action', { action: 'RESPONDED' })),
    ],
    [
      'to a referral, by a target',
      ofLink('filtered', (query) => query.andWhere({ targetType: 'Post', targetId: '2' })),
    ],
    ['to a referral, by the type of a target', ofLink('filtered', (query) => query.andWhere({ targetType: 'Post' }))],
    ['to a referral, by a user', ofLink('filtered', (query) => query.andWhere({ userId: 'rare' }))],
  ])('%s', async (_what, call) => {
    await pagesOf(many, call); // what is read for the first time only
    await pagesOf(few, call);
    const [small, big] = [await pagesOf(few, call), await pagesOf(many, call)];
    expect(big).toBeLessThanOrEqual(2 * small + 60);
  });
});

test('the migration keeps the indexes that the host has built as the guide says', async () => {
  const older = migrations.filter(({ name }) => !name.startsWith('ListByIndex'));
  const before = await openDataSource({ migrate: false, migrations: older });
  await before.runMigrations();
  const { schema } = before.options as { schema: string };
  const guide = readFileSync(path.join(__dirname, '..', 'examples', 'hosting', 'indexes.sql'), 'utf8');
  for (const statement of guide.split(';\n').slice(0, -1))
    await before.query(statement.replace(/ ON (referral_\w+)/, ` ON "${schema}".$1`));
  const oids = () =>
    before.query(
      `SELECT c.oid, c.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid
       WHERE indrelid = $1::regclass AND c.relname <> 'ix_referral_responses_visitor' ORDER BY 2`,
      [`"${schema}".referral_responses`],
    );
  const built = await oids();
  const after = await openDataSource({ migrate: false, schema });
  expect((await after.runMigrations()).map(({ name }) => name)).toEqual(['ListByIndex1800000000001']);
  expect(await oids()).toEqual(built);
  expect(readFileSync(schemaFile, 'utf8')).toContain(await dumpSchema(after.manager, schema, ['migrations']));
});

test('the migration builds an index again that CREATE INDEX CONCURRENTLY has left unfinished', async () => {
  const older = migrations.filter(({ name }) => !name.startsWith('ListByIndex'));
  const before = await openDataSource({ migrate: false, migrations: older });
  await before.runMigrations();
  const { schema } = before.options as { schema: string };
  const name = 'ix_referral_responses_visitor_newest';
  await before.query(
    `CREATE INDEX ${name} ON "${schema}".referral_responses (visitor_id, created_at, id) WHERE user_id IS NULL`,
  );
  await before.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"${schema}".${name}'::regclass`);
  const after = await openDataSource({ migrate: false, schema });
  await after.runMigrations();
  const [index] = await after.query<{ indisvalid: boolean }[]>(
    `SELECT indisvalid FROM pg_index WHERE indexrelid = '"${schema}".${name}'::regclass`,
  );
  expect(index).toEqual({ indisvalid: true });
});
