import { createReferrals, type ReferralsOptions } from 'express-referrals';
import type { DataSource } from 'typeorm';
import type * as Clocks from '../../lib/database/clock';
import type * as Databases from '../../lib/database/database';
import type * as Options from '../../lib/options';
import type * as FiguresModule from '../../lib/rewards/figures/figures';
import type { Bench } from './bench';
import { openSchema, requireOf, thisCheckout } from './open-schema';
import { price, rate, storePast } from './purchased';
import type { RowId } from './rows';
import { median } from './scores';

const schema = 'pages';
const days = 365;
const few = 10;
const clicksOfMany = 10_000_000;

type Figures = FiguresModule.Figures;
type Page = (figures: Figures, user: string) => Promise<unknown>;

/** The pages of a signed-in user, each with its row. */
const pages: readonly (readonly [RowId, Page])[] = [
  ['overview', (figures, user) => figures.overview(user, { days: 30 })],
  ['overview, all time', (figures, user) => figures.overview(user, { days: null })],
  ['links page', (figures, user) => figures.links(user)],
  ['friends page', (figures, user) => figures.friends(user)],
  ['commissions page', (figures, user) => figures.commissions(user)],
];

/** What the data of a page costs of a user with very much, against one with ten of each. */
export async function pagesOfUsers(bench: Bench): Promise<void> {
  bench.become('app');
  const { commissions, isQuick, rounds, seconds } = bench.options;
  const dataSource = await openSchema(bench.databaseUrl, schema);
  await store(dataSource, isQuick ? 50 : 1000, commissions);
  const { figures, close } = wired(dataSource);
  for (const [id, page] of pages) {
    const medians: [number[], number[]] = [[], []];
    const users = ['many', 'few'] as const;
    // Closes the days that are over, and warms up.
    for (let i = 0; i < 20; i++) for (const user of users) await page(figures, user);
    for (let round = 0; round < rounds; round++) {
      const times: [number[], number[]] = [[], []];
      const end = performance.now() + seconds * 1000;
      do
        for (const side of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
          const start = performance.now();
          await page(figures, users[side]);
          times[side].push(performance.now() - start);
        }
      while (performance.now() < end);
      for (const side of [0, 1] as const) medians[side].push(median(times[side]));
    }
    console.log(`  ${id}: ${median(medians[0]).toFixed(2)} ms, against ${median(medians[1]).toFixed(2)} ms`);
    bench.scores.addRatio(id, ...medians);
  }
  await close();
  await dataSource.destroy();
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
