import type { DataSource } from 'typeorm';
import { startChild, messageOf, stopChild } from './child';
import { load } from './load';
import { type Place, price, storePast } from './purchased';
import { median, rounds, type Scores } from './scores';

/** With less, a page's time is that of the network and Express; with more, that of the machine. */
const connections = 1;
const fewCommissions = 100;
const channelCount = 3;
/** How many of each channel and mode became available since the totals' moment: just under what makes a read move it. */
const waiting = 950;
const defaultPageSize = 25;

/** What a user's totals are like: the moment up to which they count is just now, or as long ago as it can be. */
type Moment = 'just moved' | 'long ago';

interface Read {
  name: string;
  user: string;
  path: string;
  /** Of the user with many. */
  moment: Moment;
}

/**
 * A user with many commissions over three years, in both modes, with a few channels, some reverted and some pending, none
 * earned out; and a thousand users with a hundred each.
 */
export async function storeEarners(dataSource: DataSource, schema: string, many: number): Promise<void> {
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT 'many', 'channel ' || n, 'CHANNEL-' || n, '/' FROM generate_series(1, ${channelCount}) n`);
  await sql(`INSERT INTO @referral_channels (id, promo_type, promo_value, start_date, initial_rate, ongoing_rate, initial_rate_period_days)
    SELECT id, 'percent_off', 0.2, now() - interval '3 years', 0.25, 0.25, 365 FROM @referrals`);
  const others = Math.min(1000, Math.ceil(many / 1000));
  const past = (referrer: string, referee: string, channel: string, count: number): string =>
    `SELECT ${referrer} AS referrer, ${referee} AS referee, 'inv-' || n AS reference, ${price('n')} AS paid,
       now() - n * (interval '3 years' / ${count}) AS at, ${channel} AS channel_id,
       CASE WHEN hashint8(n + 1) % 3 = 0 THEN 'payout' ELSE 'credits' END AS mode,
       CASE n % 20 WHEN 7 THEN ${price('n')} WHEN 11 THEN 2.5 ELSE 0 END AS refund
     FROM generate_series(1, ${count}::bigint) n`;
  const referees = Math.ceil(many / 5);
  await storePast(
    dataSource,
    schema,
    [
      past(`'many'`, `'referee-' || n % ${referees}`, `nullif(n % ${referees} % ${channelCount + 1}, 0)`, many),
      past(
        `'few-' || n % ${others}`,
        `'other-' || n % ${others} || '-' || n / ${others} % 20`,
        'NULL',
        others * fewCommissions,
      ),
    ].join(' UNION ALL '),
    `CASE referrer WHEN 'many' THEN 'payout' ELSE 'credits' END`,
  );
}

/** What the totals of the user with many are at either moment, kept aside so that a round can measure both. */
async function keepMoments(dataSource: DataSource, schema: string): Promise<void> {
  const untils: Record<Moment, string> = {
    'just moved': 'now()',
    'long ago': `coalesce((SELECT available_at FROM "${schema}".referral_commissions c
      WHERE ${isOfTotal} AND available_at <= now() ORDER BY available_at DESC OFFSET ${waiting} LIMIT 1), t.matured_until)`,
  };
  const states = Object.entries(untils).map(
    ([moment, until]) =>
      `SELECT '${moment}' AS moment, t.channel_id, t.mode, ${until} AS until FROM "${schema}".referral_account_totals t
       WHERE t.user_id = 'many'`,
  );
  await dataSource.query(`CREATE TABLE "${schema}".moments AS
    SELECT t.*, counted.* FROM (${states.join(' UNION ALL ')}) t CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE reverted_at IS NULL) AS matured, coalesce(sum(amount), 0) AS matured_amount
      FROM "${schema}".referral_commissions c WHERE ${isOfTotal} AND available_at <= t.until
    ) AS counted`);
}

const isOfTotal = `c.user_id = 'many' AND coalesce(c.channel_id, 0::bigint) = t.channel_id AND c.mode = t.mode`;

async function setMoment(dataSource: DataSource, schema: string, moment: Moment): Promise<void> {
  await dataSource.query(
    `UPDATE "${schema}".referral_account_totals t
     SET matured = m.matured, matured_amount = m.matured_amount, matured_until = m.until
     FROM "${schema}".moments m WHERE m.moment = $1 AND t.user_id = 'many' AND t.channel_id = m.channel_id AND t.mode = m.mode`,
    [moment],
  );
}

/** What it costs to read a page and the totals of a user with many commissions, against one with a hundred. */
export async function comparePages(
  dataSource: DataSource,
  place: Place,
  many: number,
  during: number,
  scores: Scores,
): Promise<void> {
  const { schema } = place;
  await keepMoments(dataSource, schema);
  await dataSource.query('VACUUM ANALYZE');
  const list = '/api/v2/referral/credit/?ordering=-amount&status=available';
  const config = '/api/v2/referral/config/';
  const far = Math.min(5000, Math.floor(many / defaultPageSize / 2));
  const reads: Read[] = [
    { name: 'first page of few', user: 'few-1', path: list, moment: 'long ago' },
    { name: 'first page of many', user: 'many', path: list, moment: 'long ago' },
    { name: 'first page of many, moved', user: 'many', path: list, moment: 'just moved' },
    { name: 'far page of many', user: 'many', path: `${list}&page=${far}`, moment: 'long ago' },
    { name: 'config of few', user: 'few-1', path: config, moment: 'long ago' },
    { name: 'config of many', user: 'many', path: config, moment: 'long ago' },
    { name: 'config of many, moved', user: 'many', path: config, moment: 'just moved' },
  ];
  const child = startChild('api-server.ts', place);
  try {
    const { url } = await messageOf<{ url: string }>(child);
    for (const { user, path } of reads) await check(`${url}${path}`, user);
    const times = new Map<string, number[]>(reads.map(({ name }) => [name, []]));
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      // Every other round in reverse, so that nobody always follows the same neighbour.
      for (const { name, user, path, moment } of round % 2 === 0 ? reads : [...reads].reverse()) {
        await setMoment(dataSource, schema, moment);
        const headers = { 'x-user': user };
        const { perSecond } = await load({ url, paths: [path], headers, connections, seconds: during });
        if (round > 0) times.get(name)!.push(1000 / perSecond);
      }
      const line = [...times].map(([name, all]) => `${name} ${all.at(-1)?.toFixed(2)}`);
      if (round > 0) console.log(`  round ${round} of ${rounds}, ms: ${line.join(', ')}`);
    }
    const compare = (measured: string, slow: string, fast: string, bound: number): void => {
      const pairs = times.get(slow)!.map((time, round) => time / times.get(fast)![round]!);
      const of = (name: string): string => median(times.get(name)!).toFixed(2);
      const spread = `pairs ${Math.min(...pairs).toFixed(2)}–${Math.max(...pairs).toFixed(2)}`;
      scores.atMost(measured, median(pairs), bound, `medians ${of(slow)} and ${of(fast)} ms; ${spread}`);
    };
    const against = `${many} against ${fewCommissions}`;
    compare(`credit/, first page, ${against}`, 'first page of many', 'first page of few', 3);
    compare(`credit/, first page, ${against}, totals just moved`, 'first page of many, moved', 'first page of few', 3);
    compare(`credit/, page ${far}, ${against}, first page`, 'far page of many', 'first page of few', 30);
    compare(`config/, ${against}`, 'config of many', 'config of few', 2);
    compare(`config/, ${against}, totals just moved`, 'config of many, moved', 'config of few', 2);
  } finally {
    await stopChild(child);
  }
}

async function check(url: string, user: string): Promise<void> {
  const answer = await fetch(url, { headers: { 'x-user': user } });
  const body = (await answer.json()) as { count?: number; next?: string; results?: object[] };
  if (!answer.ok) throw new Error(`${url} of ${user} answered ${answer.status}`);
  if (body.results?.length !== defaultPageSize && !url.includes('config'))
    throw new Error(`${url} of ${user} has ${body.results?.length} results`);
}
