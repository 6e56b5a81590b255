import { type DataSource, MigrationExecutor, type MigrationInterface } from 'typeorm';
import { invalid } from '../lib/errors';
import { describe } from '../lib/shown';
import { CreateReferrals1790000000000 } from './1790000000000-create-referrals';
import { CreateRewards1791000000000 } from './1791000000000-create-rewards';
import { CreateCommissions1792000000000 } from './1792000000000-create-commissions';
import { LeasePayouts1793000000000 } from './1793000000000-lease-payouts';
import { CountCommissionHistory1794000000000 } from './1794000000000-count-commission-history';
import { RefuseNanAndInfinity1794000000001 } from './1794000000001-refuse-nan-and-infinity';
import { CompleteCreditLedger1795000000000 } from './1795000000000-complete-credit-ledger';
import { AddLateAttribution1796000000000 } from './1796000000000-add-late-attribution';
import { CountCompletions1796000000001 } from './1796000000001-count-completions';
import { KeepOldCodes1797000000000 } from './1797000000000-keep-old-codes';
import { FoldCodesAsAscii1798000000000 } from './1798000000000-fold-codes-as-ascii';
import { LimitCouponRedemptions1798000000001 } from './1798000000001-limit-coupon-redemptions';
import { migrationLock } from './once';

/** The migrations, in order, for the host's DataSource: `migrations: [...migrations, /* yours *\/]`. */
export const migrations: (new () => MigrationInterface)[] = [
  CreateReferrals1790000000000,
  CreateRewards1791000000000,
  CreateCommissions1792000000000,
  LeasePayouts1793000000000,
  CountCommissionHistory1794000000000,
  RefuseNanAndInfinity1794000000001,
  CompleteCreditLedger1795000000000,
  AddLateAttribution1796000000000,
  CountCompletions1796000000001,
  KeepOldCodes1797000000000,
  FoldCodesAsAscii1798000000000,
  LimitCouponRedemptions1798000000001,
];

/**
 * Runs all pending migrations of the DataSource, including the host's, as `dataSource.runMigrations()` does, and under
 * an advisory lock, so that several processes can start at the same time: the first one does the work, the others wait.
 * Without the lock, all but one would fail on an empty database, because TypeORM creates its table of migrations
 * without one.
 *
 * @returns the names of the migrations that this process ran.
 * @throws ReferralError `INVALID_INPUT` for what is no DataSource.
 */
export async function runMigrations(dataSource: DataSource): Promise<string[]> {
  refuseOther(dataSource);
  const queryRunner = dataSource.createQueryRunner();
  try {
    await queryRunner.query('SELECT pg_advisory_lock($1)', [migrationLock]);
    const executor = new MigrationExecutor(dataSource, queryRunner);
    executor.transaction = dataSource.options.migrationsTransactionMode ?? 'all';
    const ran = await executor.executePendingMigrations();
    return ran.map(({ name }) => name);
  } finally {
    // The lock belongs to the connection: release it before the connection returns to the pool. If the process dies,
    // PostgreSQL releases it.
    await queryRunner.query('SELECT pg_advisory_unlock($1)', [migrationLock]).catch(() => undefined);
    await queryRunner.release();
  }
}

/** An address of a database contains a password, so the message only describes what was given. */
function refuseOther(given: unknown): void {
  try {
    if (typeof (given as DataSource | null)?.createQueryRunner === 'function') return;
  } catch {
    // A proxy that throws: refused below.
  }
  throw invalid('dataSource', 'a TypeORM DataSource', describe(given));
}
