import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createReferrals } from 'express-referrals';
import { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { startEmbedded } from '../postgres/start';
import { comparePages, storeEarners } from './api-pages';
import { messageOf, startChild } from './child';
import type { EarnOutRun } from './earn-out-run';
import { openSchema } from './open-schema';
import { barePurchases, ourPurchases, storeBuyers } from './purchase-work';
import { type Place, price, rate, storePast } from './purchased';
import { comparePairs } from './rates';
import { rounds, Scores, seconds } from './scores';

/** Of the user with many, and of the earn-out run; fewer for a quick look. */
const commissions = Number(process.env['BENCH_COMMISSIONS'] ?? 1_000_000);
/** Each of them with ten commissions. */
const accounts = commissions / 10;
/** Calls under way at once, and connections of each side. */
const workers = 16;
/** How long one figure is measured in a round: there are many. */
const during = seconds / 2;

/** Purchases of one call each, against the same rows by bare statements. */
async function purchases(url: string, scores: Scores): Promise<void> {
  const ours = await openSchema(url, 'ours', workers);
  const bare = await openSchema(url, 'bare', 1);
  const fresh = Math.ceil((rounds + 1) * during * 4000);
  await storeBuyers(ours, 'ours', fresh);
  await storeBuyers(bare, 'bare', fresh);
  for (const dataSource of [ours, bare]) await dataSource.query('VACUUM ANALYZE');
  await ours.query('CHECKPOINT');
  const referrals = createReferrals({
    ...{ dataSource: ours, baseUrl: 'https://shop.example', secret: randomBytes(32).toString('hex') },
    ...{ user: () => null, commission: { ratio: rate }, queryTimeoutMs: 60_000 },
  });
  const pool = new Pool({ connectionString: url, max: workers });
  const [our, theirs] = [ourPurchases(referrals, fresh), await barePurchases(bare, pool, 'bare', fresh)];
  const pair = (measured: string, kind: keyof typeof our) => ({
    ...{ measured, atLeast: 0.6, ours: our[kind], bare: theirs[kind] },
  });
  const pairs = [
    pair('first purchases/s, distinct referrers', 'first'),
    pair('first purchases/s, one hot referrer', 'first, hot'),
    pair('renewals/s, distinct referrers', 'renewal'),
    pair('renewals/s, one hot referrer', 'renewal, hot'),
  ];
  await comparePairs(pairs, workers, during, scores);
  await pool.end();
  await referrals.close();
  await verified(ours);
  for (const dataSource of [ours, bare]) await dataSource.destroy();
}

/** One run in a process of its own: a half of the accounts for credits, a half for payouts. */
async function earnOuts(dataSource: DataSource, place: Place): Promise<EarnOutRun> {
  await storePast(
    dataSource,
    place.schema,
    `SELECT 'account-' || n % ${accounts} AS referrer, 'referee-' || n % ${accounts * 2} AS referee, 'inv-' || n AS reference,
       greatest(${price('n')}, 19) AS paid, now() - interval '200 days' + n * (interval '160 days' / ${commissions}) AS at,
       NULL::bigint AS channel_id, CASE n % 2 WHEN 0 THEN 'credits' ELSE 'payout' END AS mode, 0::numeric AS refund
     FROM generate_series(0, ${commissions - 1}) n`,
    `max(mode)`,
  );
  await dataSource.query('VACUUM ANALYZE');
  await dataSource.query('CHECKPOINT');
  const run = await messageOf<EarnOutRun>(startChild('earn-out-run.ts', place));
  const { bound, completed, failed } = run.progress;
  if (completed !== accounts)
    throw new Error(`of ${accounts}, ${bound} were bound, ${completed} paid, ${failed} failed`);
  return run;
}

function tell({ progress, seconds: took, before, peak }: EarnOutRun): void {
  const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MB`;
  const rows = {
    'took': `${took.toFixed(1)} s`,
    'commissions/s': (commissions / took).toFixed(0),
    'accounts/s': (progress.completed / took).toFixed(0),
    'memory (rss) before': mb(before),
    'memory at most': `${mb(peak)}, ${mb(peak - before)} more`,
  };
  console.log(`\n| an earn-out run of ${commissions} commissions of ${progress.completed} accounts | |\n|---|---|`);
  for (const [name, value] of Object.entries(rows)) console.log(`| ${name} | ${value} |`);
}

/** With BENCH_VERIFY=1, proves that what is stored adds up; it takes a while. */
async function verified(dataSource: DataSource): Promise<void> {
  if (!process.env['BENCH_VERIFY']) return;
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret: randomBytes(32).toString('hex'), user: () => null },
  });
  const { ok, checked, problems } = await referrals.verify();
  console.log(`  verify(): ok ${ok}, ${checked} rows`, problems.slice(0, 3));
  await referrals.close();
}

/** What it costs to read earnings where there are many, to record purchases, and to pay all that is earned. */
export async function api(): Promise<void> {
  const folder = path.join(tmpdir(), `express-referrals-bench-${randomBytes(4).toString('hex')}`);
  const settings = { max_wal_size: '4GB', shared_buffers: '512MB' };
  const postgres = await startEmbedded({ folder, persistent: false, settings });
  const databaseUrl = postgres.url;
  const scores = new Scores();
  const start = performance.now();
  const step = (what: string): void => console.log(`${((performance.now() - start) / 1000).toFixed(0)} s: ${what}`);
  try {
    step('storing what is read');
    const pages = await openSchema(databaseUrl, 'pages');
    await storeEarners(pages, 'pages', commissions);
    step('reading');
    await comparePages(pages, { databaseUrl, schema: 'pages' }, commissions, during, scores);
    await verified(pages);
    await pages.destroy();
    step('purchases');
    await purchases(databaseUrl, scores);
    step('storing what is earned out');
    const earned = await openSchema(databaseUrl, 'earned');
    const run = await earnOuts(earned, { databaseUrl, schema: 'earned' });
    await verified(earned);
    await earned.destroy();
    step('done');
    console.log(`\n${rounds} rounds of ${during} s for each figure; ratios are medians of pairs.`);
    scores.print();
    tell(run);
  } finally {
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
