import { createReferrals, entities, type EarnOutProgress, migrations } from 'express-referrals';
import { DataSource } from 'typeorm';
import { given, tell } from './child';
import type { Place } from './purchased';

/** What one run did, in how long, and how much memory its process had before and at most. */
export interface EarnOutRun {
  progress: EarnOutProgress;
  seconds: number;
  /** In bytes. */
  before: number;
  peak: number;
}

const sampledEveryMs = 20;

async function main(): Promise<void> {
  const { databaseUrl: url, schema } = given<Place>();
  const dataSource = new DataSource({ type: 'postgres', url, schema, entities, migrations });
  await dataSource.initialize();
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret: 'a secret of at least thirty-two characters' },
    user: () => null,
    earnOuts: { minimum: '10', payout: () => Promise.resolve() },
  });
  await referrals.accounts.count();

  const before = process.memoryUsage.rss();
  let peak = before;
  const sample = (): void => void (peak = Math.max(peak, process.memoryUsage.rss()));
  const timer = setInterval(sample, sampledEveryMs);
  const start = performance.now();
  const progress = await referrals.runEarnOuts({ onProgress: sample });
  const seconds = (performance.now() - start) / 1000;
  clearInterval(timer);
  await referrals.close();
  await dataSource.destroy();
  tell({ progress, seconds, before, peak } satisfies EarnOutRun);
}

void main();
