import { type DataSource, MigrationExecutor, type MigrationInterface } from 'typeorm';
import { CreateReferrals1790000000000 } from './1790000000000-create-referrals';
import { CreateRewards1791000000000 } from './1791000000000-create-rewards';
import { CreateCommissions1792000000000 } from './1792000000000-create-commissions';
import { LeasePayouts1793000000000 } from './1793000000000-lease-payouts';
import { CountCommissionHistory1794000000000 } from './1794000000000-count-commission-history';
import { RefuseNanAndInfinity1794000000001 } from './1794000000001-refuse-nan-and-infinity';
import { CompleteCreditLedger1795000000000 } from './1795000000000-complete-credit-ledger';
import { AddLateAttribution1796000000000 } from './1796000000000-add-late-attribution';
import { FlagSelfReferrals1799000000000 } from './1799000000000-flag-self-referrals';
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
  FlagSelfReferrals1799000000000,
];

/**
 * Runs all pending migrations of the DataSource, including the host's, as `dataSource.runMigrations()` does, and under
 * an advisory lock, so that several processes can start at the same time: the first one does the work, the others wait.
 * Without the lock, all but one would fail on an empty database, because TypeORM creates its table of migrations
 * without one.
 *
 * @returns the names of the migrations that this process ran.
 */
export async function runMigrations(dataSource: DataSource): Promise<string[]> {
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
