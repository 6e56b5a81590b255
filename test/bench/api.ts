import { randomBytes } from 'node:crypto';
import { createReferrals } from 'express-referrals';
import { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { comparePages, storeEarners } from './api-pages';
import type { Bench } from './bench';
import type { EarnOutRun } from './earn-out-run';
import { openSchema } from './open-schema';
import { barePurchases, ourPurchases, storeBuyers } from './purchase-work';
import { price, rate, storePast } from './purchased';
import { comparePairs, type Pair } from './rates';
import { verified } from './verified';

/** Calls under way at once, and connections of each side. */
const workers = 16;

/** Purchases of one call each, against the same rows by bare statements. */
async function purchases(bench: Bench, during: number): Promise<void> {
  const { databaseUrl: url, options } = bench;
  const ours = await openSchema(url, 'ours', workers);
  const bare = await openSchema(url, 'bare', 1);
  const fresh = Math.ceil((options.rounds + 1) * during * 4000);
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
  const pair = (id: Pair['id'], kind: keyof typeof our): Pair => ({ id, ours: our[kind], bare: theirs[kind] });
  const pairs = [
    pair('purchases', 'first'),
    pair('purchases, hot', 'first, hot'),
    pair('renewals', 'renewal'),
    pair('renewals, hot', 'renewal, hot'),
  ];
  await comparePairs(bench, pairs, workers, during);
  await pool.end();
  if (options.isVerified) await verified(referrals);
  await referrals.close();
  for (const dataSource of [ours, bare]) await dataSource.destroy();
}

/** One run in a process of its own: a half of the accounts for credits, a half for payouts. */
async function earnOuts(bench: Bench, dataSource: DataSource, schema: string): Promise<EarnOutRun> {
  const { commissions } = bench.options;
  const accounts = commissions / 10; // each with ten
  await storePast(
    dataSource,
    schema,
    `SELECT 'account-' || n % ${accounts} AS referrer, 'referee-' || n % ${accounts * 2} AS referee, 'inv-' || n AS reference,
       greatest(${price('n')}, 19) AS paid, now() - interval '200 days' + n * (interval '160 days' / ${commissions}) AS at,
       NULL::bigint AS channel_id, CASE n % 2 WHEN 0 THEN 'credits' ELSE 'payout' END AS mode, 0::numeric AS refund
     FROM generate_series(0, ${commissions - 1}) n`,
    `max(mode)`,
  );
  await dataSource.query('VACUUM ANALYZE');
  await dataSource.query('CHECKPOINT');
  const run = await bench.start('earn-out-run.ts', { databaseUrl: bench.databaseUrl, schema }).next<EarnOutRun>();
  const { bound, completed, failed } = run.progress;
  if (completed !== accounts)
    throw new Error(`of ${accounts}, ${bound} were bound, ${completed} paid, ${failed} failed`);
  return run;
}

function print({ progress, seconds: took, before, peak }: EarnOutRun, commissions: number): void {
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

async function prove(dataSource: DataSource): Promise<void> {
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret: randomBytes(32).toString('hex'), user: () => null },
  });
  await verified(referrals);
  await referrals.close();
}

/** What it costs to read earnings where there are many, to record purchases, and to pay all that is earned. */
export async function api(bench: Bench): Promise<void> {
  bench.become('app');
  const { databaseUrl, options } = bench;
  const { commissions, isVerified } = options;
  const during = options.seconds / 2; // there are many figures
  const pages = await openSchema(databaseUrl, 'pages');
  await storeEarners(pages, 'pages', commissions);
  await comparePages(bench, pages, 'pages', during);
  if (isVerified) await prove(pages);
  await pages.destroy();
  await purchases(bench, during);
  const earned = await openSchema(databaseUrl, 'earned');
  const run = await earnOuts(bench, earned, 'earned');
  if (isVerified) await prove(earned);
  await earned.destroy();
  print(run, commissions);
}
