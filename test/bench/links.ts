import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { startEmbedded } from '../postgres/start';
import { load, type Load } from './load';
import { openSchema } from './open-schema';
import { median, rounds, Scores, seconds } from './scores';
import { type MeasuredServer, startServer, type Variant } from './servers';

/** How many responses the big table holds; fewer for a quick look. */
const many = Number(process.env['BENCH_RESPONSES'] ?? 5_000_000);
/** As on a busy site. With fewer requests in flight, the benchmark would measure the response time of the database. */
const connections = 128;
const linkCount = 100;

const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

const headers = { 'user-agent': userAgent, 'accept': 'text/html,*/*;q=0.8', 'accept-language': 'en' };

const clicks = Array.from({ length: linkCount }, (_, link) => `/r/LINK${link}`);

/**
 * A schema with our tables and `linkCount` links; and, where asked, stored responses of as many users as there are
 * tens.
 */
async function fill(databaseUrl: string, schema: string, responses: number): Promise<DataSource> {
  const dataSource = await openSchema(databaseUrl, schema);
  const sql = (text: string): Promise<unknown> => dataSource.query(text.replaceAll('@', `"${schema}".`));
  await sql(`INSERT INTO @referrals (user_id, label, code, redirect_to)
    SELECT 'owner', n, 'LINK' || n, '/welcome?from=friend' FROM generate_series(0, ${linkCount - 1}) n`);
  const perInsert = 500_000;
  for (let start = 0; start < responses; start += perInsert) {
    const end = Math.min(start + perInsert, responses) - 1;
    await sql(`INSERT INTO @referral_responses
        (referral_id, visitor_id, user_id, ip_address, user_agent, action, created_at, touched_at)
      SELECT 1 + n % ${linkCount}, gen_random_uuid(), CASE WHEN n < ${responses / 2} THEN (n % ${Math.max(1, responses / 10)})::text END,
        '192.0.2.0', '${userAgent}', 'RESPONDED', at, at
      FROM generate_series(${start}, ${end}) n, LATERAL (SELECT now() - (${responses} - n) * interval '1 second' AS at) t`);
  }
  await sql(`INSERT INTO @referral_daily_counts SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date, count(*)
    FROM @referral_responses GROUP BY 1, 2`);
  return dataSource;
}

/** What it costs to record clicks, and to know whom a visitor came through. */
export async function links(): Promise<void> {
  const folder = path.join(tmpdir(), `express-referrals-bench-${randomBytes(4).toString('hex')}`);
  const postgres = await startEmbedded({
    folder,
    persistent: false,
    settings: { max_wal_size: '4GB', shared_buffers: '512MB' },
  });
  const servers: MeasuredServer[] = [];
  const scores = new Scores();
  try {
    console.log('Filling the tables…');
    const empty = await fill(postgres.url, 'empty', 0);
    const some = await fill(postgres.url, 'some', 10_000);
    const big = await fill(postgres.url, 'big', many);
    for (const dataSource of [empty, some, big]) await dataSource.query('VACUUM ANALYZE');
    const settings = await empty.query<{ text: string }[]>(
      `SELECT string_agg(name || '=' || setting, ', ' ORDER BY name) AS text FROM pg_settings
       WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_version')`,
    );
    console.log(`PostgreSQL: ${settings[0]!.text}`);
    const start = async (variant: Variant, schema: string): Promise<MeasuredServer> => {
      const server = await startServer({ variant, databaseUrl: postgres.url, schema });
      servers.push(server);
      return server;
    };
    const bare = await start('bare redirect', 'empty');
    const naive = await start('select and insert', 'some');
    const click = await start('click', 'empty');
    const clickBig = await start('click', 'big');
    const barePage = await start('bare page', 'empty');
    const page = await start('page', 'empty');
    const clickSome = await start('click', 'some');

    const contenders: [string, MeasuredServer, string[]][] = [
      ['bare redirect', bare, clicks],
      ['click', click, clicks],
      ['select and insert', naive, clicks],
      ['click, big table', clickBig, clicks],
      ['bare page', barePage, ['/page']],
      ['page', page, ['/page']],
    ];
    for (const [, server, paths] of contenders)
      await load({ url: server.url, paths, headers, connections, seconds: 3 });
    await empty.query('CHECKPOINT');
    const statementsBefore = await page.statements();
    const loads = new Map<string, Load[]>(contenders.map(([name]) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      // Every other round in reverse, so that nobody always follows the same neighbour.
      for (const [name, server, paths] of round % 2 === 0 ? contenders : [...contenders].reverse()) {
        loads.get(name)!.push(await load({ url: server.url, paths, headers, connections, seconds }));
      }
      const line = [...loads].map(([name, all]) => `${name} ${Math.round(all.at(-1)!.perSecond)}`);
      console.log(`  round ${round + 1} of ${rounds}, requests/s: ${line.join(', ')}`);
    }
    const statements = (await page.statements()) - statementsBefore;
    const compare = (a: string, b: string, figure: keyof Load): { ratio: number; detail: string } => {
      const pairs = loads.get(a)!.map((one, round) => one[figure] / loads.get(b)![round]![figure]);
      const of = (name: string): string => median(loads.get(name)!.map((one) => one[figure])).toFixed(0);
      const spread = `${Math.min(...pairs).toFixed(2)}–${Math.max(...pairs).toFixed(2)}`;
      return { ratio: median(pairs), detail: `medians ${of(a)} and ${of(b)}; pairs ${spread}` };
    };

    console.log(`\n${rounds} rounds of ${seconds} s each, ${connections} connections; ratios are medians of pairs.`);
    const atLeast = (measured: string, a: string, b: string, bound: number): void => {
      const { ratio, detail } = compare(a, b, 'perSecond');
      scores.atLeast(measured, ratio, bound, detail);
    };
    atLeast('clicks/s against a bare redirect', 'click', 'bare redirect', 1);
    atLeast('clicks/s against one SELECT and one INSERT', 'click', 'select and insert', 2.5);
    const p99 = compare('click', 'bare redirect', 'p99');
    scores.atMost('p99 of a click against a bare redirect', p99.ratio, 2, p99.detail);
    atLeast('a page with our middleware against one without', 'page', 'bare page', 0.97);
    scores.atMost('statements of these pages', statements, 0, '');
    atLeast(`clicks/s with ${many} responses stored against none`, 'click, big table', 'click', 0.9);

    // One after the other, so that both see the same machine.
    const timed = async (
      a: [MeasuredServer, string],
      b: [MeasuredServer, string],
      what: 'referralForRequest' | 'responseCount',
    ): Promise<{ ratio: number; detail: string }> => {
      const pairs: [number, number][] = [];
      for (let round = 0; round < rounds; round++)
        pairs.push([await a[0].time(what, a[1]), await b[0].time(what, b[1])]);
      const [first, second] = [0, 1].map((side) => median(pairs.map((pair) => pair[side]!)));
      const detail = `medians ${first!.toFixed(3)} and ${second!.toFixed(3)} ms`;
      return { ratio: median(pairs.map(([x, y]) => x / y)), detail };
    };
    const users = (responses: number): string => `0-${responses / 10}`;
    const whose = await timed([clickBig, users(many)], [clickSome, users(10_000)], 'referralForRequest');
    scores.atMost(`referralForRequest(), ${many} responses against 10000`, whose.ratio, 1.3, whose.detail);
    const plan = await big.query<{ 'QUERY PLAN': string }[]>(
      `EXPLAIN (COSTS OFF) SELECT referral_id FROM "big".referral_responses WHERE user_id = '4'
       AND touched_at > coalesce(NULL::timestamptz, now() - NULL::float8 * interval '1 millisecond', '-infinity')
       ORDER BY touched_at DESC, id DESC LIMIT 1`,
    );
    console.log(plan.map((line) => `      ${line['QUERY PLAN']}`).join('\n'));

    // A year of days for the popular link, one for the other.
    await big.query(`INSERT INTO "big".referrals (user_id, label, code, redirect_to)
      VALUES ('o', 'few', 'FEW', '/'), ('o', 'lots', 'LOTS', '/')`);
    await big.query(`INSERT INTO "big".referral_daily_counts
      SELECT id, '2026-01-01'::date + n, CASE code WHEN 'LOTS' THEN 2740 ELSE 10 END
      FROM "big".referrals, generate_series(0, CASE code WHEN 'LOTS' THEN 364 ELSE 0 END) n WHERE code IN ('FEW', 'LOTS')`);
    const count = await timed([clickBig, 'LOTS'], [clickBig, 'FEW'], 'responseCount');
    scores.atMost('responseCount() of 1000100 clicks over a year against 10', count.ratio, 5, count.detail);

    scores.print();
    for (const dataSource of [empty, some, big]) await dataSource.destroy();
  } finally {
    for (const server of servers) await server.stop();
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
