import { Bank } from './bank';
import { openDatabase, startDatabase } from './database';
import { settle } from './payouts';
import { shopReferrals } from './referrals';

// Pays the accounts that are due. A real shop runs it from cron: DATABASE_URL=… npx tsx examples/shop/earn-outs.ts
// Without DATABASE_URL it starts the shop's own PostgreSQL, so the shop must not be running.

const { env } = process;

async function run(): Promise<void> {
  const postgres = await startDatabase('The earn-outs are being run');
  try {
    const dataSource = await openDatabase(postgres.url);
    const baseUrl = env['BASE_URL'] ?? 'http://localhost:3000';
    const bank = new Bank();
    const referrals = shopReferrals({ dataSource, baseUrl, bank });
    try {
      const { completed, failed, amount } = await referrals.runEarnOuts();
      console.log(`Earn-outs completed: ${completed}, together ${amount}; failed: ${failed}.`);
      // This bank ends with the process, so it can't report to the shop later.
      await bank.report((report) => settle(referrals, bank, report));
    } finally {
      await referrals.close();
      await dataSource.destroy();
    }
  } finally {
    await postgres.stop();
  }
}

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
