import { createReferrals, type ProviderPayment, type Referrals, type ReferralsOptions } from 'express-referrals';
import { In, LessThan } from 'typeorm';

/** The options of the application, without the one that reads requests. */
export type JobOptions = Omit<ReferralsOptions, 'user'>;

/** Pays the accounts that are due, and asks again for payouts without a result. Call it from cron every few minutes. */
export function payEarnings(options: JobOptions): Promise<void> {
  return run(options, async (referrals) => {
    const { completed, failed, amount } = await referrals.runEarnOuts();
    console.log(`${completed} earn-outs completed, ${amount} in total; ${failed} refused`);
  });
}

/** Lists payouts that wait for your staff. Call it from cron every day: it exits with 1 if there are any. */
export function watchPayouts(options: JobOptions, now = new Date()): Promise<void> {
  const threeDaysAgo = new Date(now.getTime() - 3 * 86_400_000);
  const payout = { mode: 'payout' } as const;
  return run(options, async ({ earnOuts }) => {
    const waiting = await earnOuts.search({
      where: [
        { ...payout, status: 'processing', nextAttemptAt: null, submittedAt: null }, // the result is not known
        { ...payout, status: 'processing', submittedAt: LessThan(threeDaysAgo) }, // no report from the provider
        { ...payout, status: In(['failed', 'returned']), nextAttemptAt: null }, // refused five times in a row
      ],
    });
    for (const { id, userId, status, amount, idempotencyKey } of waiting)
      console.error(`Earn-out ${id} of the user ${userId}: ${amount}, ${status}, key ${idempotencyKey}`);
    if (waiting.length > 0) process.exitCode = 1;
  });
}

/** Checks the data. Call it from cron every night: it exits with 1 if an invariant does not hold. */
export function checkBooks(options: JobOptions): Promise<void> {
  return run(options, async (referrals) => {
    const { ok, checked, problems } = await referrals.verify();
    console.log(`${checked} rows checked, ${problems.length} problems found`);
    for (const problem of problems) console.error(problem);
    if (!ok) process.exitCode = 1;
  });
}

/**
 * Books payments that the database has forgotten. Call it by hand after a restore, before earn-outs run again, with
 * the provider's payments since the backup.
 */
export function reconcilePayments(options: JobOptions, payments: readonly ProviderPayment[]): Promise<void> {
  return run(options, async ({ earnOuts }) => {
    const { known, completed, booked, debt } = await earnOuts.reconcile(payments);
    console.log(`${known} payments known, ${completed} completed, ${booked} booked; ${debt} were more than available`);
  });
}

async function run(options: JobOptions, work: (referrals: Referrals) => Promise<void>): Promise<void> {
  const referrals = createReferrals({ ...options, user: () => null });
  try {
    await work(referrals);
  } finally {
    await referrals.close();
    await options.dataSource.destroy();
  }
}
