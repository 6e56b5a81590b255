import { createReferrals, type ReferralsOptions } from 'express-referrals';
import type { DataSource } from 'typeorm';
import type * as Clocks from '../../lib/database/clock';
import type * as Databases from '../../lib/database/database';
import type * as Options from '../../lib/options';
import type * as FiguresModule from '../../lib/rewards/figures/figures';
import type { Bench } from './bench';
import { Connections } from './load';
import { openSchema, requireOf, thisCheckout } from './open-schema';
import { type Place, price, rate, storePast } from './purchased';
import type { RowId } from './rows';
import { median } from './scores';

const schema = 'pages';
const days = 365;
const few = 10;
const clicksOfMany = 10_000_000;

type Figures = FiguresModule.Figures;

/** A page of a signed-in user: where it is, and what it reads, each with its row. */
interface Page {
  id: RowId;
  path: string;
  dataId: RowId;
  data: (figures: Figures, user: string) => Promise<unknown>;
}

const pages: readonly Page[] = [
  {
    ...{ id: 'overview', path: '/', dataId: 'overview data' },
    data: (figures, user) => figures.overview(user, { days: 30 }),
  },
  {
    ...{ id: 'overview, all time', path: '/?days=all', dataId: 'overview data, all time' },
    data: (figures, user) => figures.overview(user, { days: null }),
  },
  { id: 'links page', path: '/links', dataId: 'links data', data: (figures, user) => figures.links(user) },
  { id: 'friends page', path: '/friends', dataId: 'friends data', data: (figures, user) => figures.friends(user) },
  {
    ...{ id: 'commissions page', path: '/commissions', dataId: 'commissions data' },
    data: (figures, user) => figures.commissions(user),
  },
];

const users = ['many', 'few'] as const;
type User = (typeof users)[number];

/** What a page costs of a user with very much, against one with ten of each: over HTTP, and what it reads alone. */
export async function pagesOfUsers(bench: Bench): Promise<void> {
  bench.become('app');
  const { commissions, isQuick } = bench.options;
  const dataSource = await openSchema(bench.databaseUrl, schema);
  await store(dataSource, isQuick ? 50 : 1000, commissions);
  const { figures, close } = wired(dataSource);
  for (const { dataId, data } of pages)
    await compare(bench, dataId, async (user) => {
      await data(figures, user);
    });
  await close();
  await dataSource.destroy();
  const server = bench.start('api-server.ts', { databaseUrl: bench.databaseUrl, schema } satisfies Place);
  const { url } = await server.next<{ url: string }>();
  const single = await Connections.open(url, 1);
  for (const { id, path } of pages)
    await compare(bench, id, async (user) => {
      const requests = { paths: [`/referrals${path}`], headers: { 'x-user': user } };
      const { failures } = await single.load(requests, { requests: 1 });
      if (failures.length > 0) throw new Error(`${path} of ${user}: ${failures[0]}`);
    });
  single.close();
  await server.stop();
}

/** Reads a page of both users in turn. */
async function compare(bench: Bench, id: RowId, read: (user: User) => Promise<void>): Promise<void> {
  const { rounds, seconds } = bench.options;
  // Closes the days that are over, and warms up.
  for (let i = 0; i < 20; i++) for (const user of users) await read(user);
  const medians: Record<User, number[]> = { many: [], few: [] };
  for (let round = 0; round < rounds; round++) {
    const times: Record<User, number[]> = { many: [], few: [] };
    const end = performance.now() + seconds * 1000;
    do
      for (const user of round % 2 === 0 ? users : [...users].reverse()) {
        const start = performance.now();
        await read(user);
        times[user].push(performance.now() - start);
      }
    while (performance.now() < end);
    for (const user of users) medians[user].push(median(times[user]));
  }
  console.log(`  ${id}: ${median(medians.many).toFixed(2)} ms, against ${median(medians.few).toFixed(2)} ms`);
  bench.scores.addRatio(id, medians.many, medians.few);
}

/**
 * A user with many links, clicked each day of a year, and commissions of that year, a hundredth of them refunded; and one with
 * ten of each. No responses: no page reads them.
 */
async function store(dataSource: DataSource, links: number, commissions: number): Promise<void> {
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  const past = (user: string, count: number, referees: number): string =>
    `SELECT '${user}' AS referrer, '${user}-' || n % ${referees} AS referee, 'inv-' || n AS reference, ${price('n')} AS paid,
       now() - n * (interval '${days} days' / ${count}) AS at, NULL::bigint AS channel_id, 'credits' AS mode,
       CASE n % 100 WHEN 7 THEN 2.5 ELSE 0 END AS refund
     FROM generate_series(1, ${count}::bigint) n`;
  await storePast(
    dataSource,
    schema,
    `${past('many', commissions, Math.ceil(commissions / 10))} UNION ALL ${past('few', few, few)}`,
  );
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT 'many', n, 'MANY' || n, '/' FROM generate_series(2, ${links}) n
    UNION ALL SELECT 'few', n, 'FEW' || n, '/' FROM generate_series(2, ${few}) n`);
  await sql(`INSERT INTO @referral_daily_counts (referral_id, day, clicks, visitors)
    SELECT r.id, day, ${Math.ceil(clicksOfMany / links / days)}, 1 FROM @referrals r,
      generate_series((now() AT TIME ZONE 'UTC')::date - ${days - 1}, (now() AT TIME ZONE 'UTC')::date, '1 day') day
    WHERE r.user_id = 'many' ORDER BY day, r.id`);
  await sql(`INSERT INTO @referral_daily_counts (referral_id, day, clicks, visitors)
    SELECT id, (now() AT TIME ZONE 'UTC')::date - (row_number() OVER ())::integer, 1, 1 FROM @referrals WHERE user_id = 'few'`);
  await dataSource.query('VACUUM ANALYZE');
  await dataSource.query('CHECKPOINT');
}

/** The data of the pages, out of the build that `express-referrals` names: they have the same entities. */
function wired(dataSource: DataSource): { figures: Figures; close: () => Promise<void> } {
  const load = requireOf(thisCheckout);
  const options: ReferralsOptions = {
    ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
    ...{ user: () => null, commission: { ratio: rate }, queryTimeoutMs: 60_000 },
  };
  const referrals = createReferrals(options);
  const settings = load<typeof Options>('./dist/lib/options.js').settingsOf(options);
  const { Database } = load<typeof Databases>('./dist/lib/database/database.js');
  const { Clock } = load<typeof Clocks>('./dist/lib/database/clock.js');
  const { Figures } = load<typeof FiguresModule>('./dist/lib/rewards/figures/figures.js');
  const figures = new Figures(new Database(settings, 60_000), new Clock(null), settings, referrals as never);
  return { figures, close: () => referrals.close() };
}
