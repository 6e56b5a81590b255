import { createReferrals, type ReferralsOptions } from 'express-referrals';

/** The options of the application, without the one that reads requests. */
export type JobOptions = Omit<ReferralsOptions, 'user'>;

/** Pays the accounts that are due. Call it from cron every hour. */
export async function payEarnings(options: JobOptions): Promise<void> {
  const referrals = createReferrals({ ...options, user: () => null });
  try {
    const { completed, failed, amount } = await referrals.runEarnOuts();
    console.log(`${completed} earn-outs, ${amount} in total; ${failed} failed`);
  } finally {
    await referrals.close();
    await options.dataSource.destroy();
  }
}

/** Checks the data. Call it from cron every night: it exits with 1 if an invariant does not hold. */
export async function checkBooks(options: JobOptions): Promise<void> {
  const referrals = createReferrals({ ...options, user: () => null });
  try {
    const { ok, checked, problems } = await referrals.verify();
    console.log(`${checked} rows checked, ${problems.length} problems found`);
    for (const problem of problems) console.error(problem);
    if (!ok) process.exitCode = 1;
  } finally {
    await referrals.close();
    await options.dataSource.destroy();
  }
}
