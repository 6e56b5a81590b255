import type { DataSource } from 'typeorm';
import type { Bench } from './bench';
import { Connections } from './load';
import { type Place, price, storePast } from './purchased';
import type { RowId } from './rows';

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
  bench: Bench,
  dataSource: DataSource,
  schema: string,
  during: number,
): Promise<void> {
  const many = bench.options.commissions;
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
  const child = bench.start('api-server.ts', { databaseUrl: bench.databaseUrl, schema } satisfies Place);
  const { url } = await child.next<{ url: string }>();
  for (const { user, path } of reads) await check(`${url}${path}`, user);
  // With more, a page's time would be that of the machine.
  const single = await Connections.open(url, 1);
  const times = new Map<string, number[]>(reads.map(({ name }) => [name, []]));
  const read = async ({ name, user, path, moment }: Read): Promise<void> => {
    await setMoment(dataSource, schema, moment);
    const requests = { paths: [path], headers: { 'x-user': user } };
    const { perSecond, failures } = await single.load(requests, { seconds: during });
    if (failures.length > 0) throw new Error(`${path} of ${user}: ${failures[0]}`);
    times.get(name)!.push(1000 / perSecond);
  };
  for (const warmUp of reads) await read(warmUp);
  for (const measured of times.values()) measured.length = 0;
  await bench.eachRound(reads, read);
  single.close();
  await child.stop();
  const compare = (id: RowId, slow: string, fast: string): void =>
    bench.scores.addRatio(id, times.get(slow)!, times.get(fast)!);
  compare('credits page', 'first page of many', 'first page of few');
  compare('credits page, moved', 'first page of many, moved', 'first page of few');
  compare('far page', 'far page of many', 'first page of few');
  compare('config', 'config of many', 'config of few');
  compare('config, moved', 'config of many, moved', 'config of few');
}

async function check(url: string, user: string): Promise<void> {
  const answer = await fetch(url, { headers: { 'x-user': user } });
  const body = (await answer.json()) as { count?: number; next?: string; results?: object[] };
  if (!answer.ok) throw new Error(`${url} of ${user} answered ${answer.status}`);
  if (body.results?.length !== defaultPageSize && !url.includes('config'))
    throw new Error(`${url} of ${user} has ${body.results?.length} results`);
}
