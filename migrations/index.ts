import { type DataSource, MigrationExecutor, type MigrationInterface } from 'typeorm';
import { CreateReferrals1790000000000 } from './1790000000000-create-referrals';
import { CreateRewards1791000000000 } from './1791000000000-create-rewards';
import { CreateCommissions1792000000000 } from './1792000000000-create-commissions';
import { migrationLock } from './once';

/** For the host's DataSource, in order: `migrations: [...migrations, /* yours *\/]`. */
export const migrations: (new () => MigrationInterface)[] = [
  CreateReferrals1790000000000,
  CreateRewards1791000000000,
  CreateCommissions1792000000000,
];

/**
 * Runs all pending migrations of the DataSource, the host's too, as `dataSource.runMigrations()` does, but safely for any
 * number of processes that start at once: they take turns, and the first one does the work. (TypeORM makes its own
 * table of migrations without a lock: on an empty database, of several that start at once all but one would fail.)
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
    // Frees the lock before the connection goes back to the pool; a process that dies frees it too.
    await queryRunner.query('SELECT pg_advisory_unlock($1)', [migrationLock]).catch(() => undefined);
    await queryRunner.release();
  }
}
