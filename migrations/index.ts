import { type DataSource, Migration, MigrationExecutor, type MigrationInterface, type QueryRunner } from 'typeorm';
import { refuseNames, tableOfMigrations } from '../lib/database/names';
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
import { FlagSelfReferrals1799000000000 } from './1799000000000-flag-self-referrals';
import { ClicksWithoutForeignKey1800000000000 } from './1800000000000-clicks-without-foreign-key';
import { ListByIndex1800000000001 } from './1800000000001-list-by-index';
import { AddAudit1810000000000 } from './1810000000000-add-audit';
import { GovernCommissions1811000000000 } from './1811000000000-govern-commissions';
import { Currency1812000000000 } from './1812000000000-currency';
import { CommissionTerms1813000000000 } from './1813000000000-commission-terms';
import { SuspendAccounts1814000000000 } from './1814000000000-suspend-accounts';
import { MoveAttribution1815000000000 } from './1815000000000-move-attribution';
import { CountVisitors1816000000000 } from './1816000000000-count-visitors';
import { AddReviews1816000000001 } from './1816000000001-add-reviews';
import { ExtendCredits1817000000000 } from './1817000000000-extend-credits';
import { CouponTerms1817000000001 } from './1817000000001-coupon-terms';
import { LimitRewards1817000000002 } from './1817000000002-limit-rewards';
import { MoveCommissions1818000000000 } from './1818000000000-move-commissions';
import { ReviewClicks1819000000000 } from './1819000000000-review-clicks';
import { UserDays1820000000000 } from './1820000000000-user-days';
import { AdminSearch1821000000000 } from './1821000000000-admin-search';
import { locked } from './once';

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
  FlagSelfReferrals1799000000000,
  ClicksWithoutForeignKey1800000000000,
  ListByIndex1800000000001,
  AddAudit1810000000000,
  GovernCommissions1811000000000,
  Currency1812000000000,
  CommissionTerms1813000000000,
  SuspendAccounts1814000000000,
  MoveAttribution1815000000000,
  CountVisitors1816000000000,
  AddReviews1816000000001,
  ExtendCredits1817000000000,
  CouponTerms1817000000001,
  LimitRewards1817000000002,
  MoveCommissions1818000000000,
  ReviewClicks1819000000000,
  UserDays1820000000000,
  AdminSearch1821000000000,
];

/**
 * Runs all pending migrations of the DataSource, including the host's, as `dataSource.runMigrations()` does, and under
 * an advisory lock, so that several processes can start at the same time: the first one does the work, the others wait.
 * Without the lock, all but one would fail on an empty database, because TypeORM creates its table of migrations
 * without one. The lock belongs to a transaction, so this works behind a pooler, and with a pool of one connection.
 *
 * With the option `migrationsTransactionMode` of the DataSource: `'all'` is one transaction for all; `'each'` and
 * `'none'` run the package's migrations first, in one transaction, and the host's after them, each as the host has
 * asked for. Migrations of the host's without a transaction run without the lock.
 *
 * @returns the names of the migrations that this process ran.
 * @throws ReferralError `INVALID_INPUT` for what is no DataSource; `NAMES_UNSUPPORTED`; `TABLE_EXISTS` if a table of the
 * host's has the name of one of the package's.
 */
export async function runMigrations(dataSource: DataSource): Promise<string[]> {
  refuseOther(dataSource);
  refuseNames(dataSource);
  const queryRunner = dataSource.createQueryRunner();
  try {
    const mode = dataSource.options.migrationsTransactionMode ?? 'all';
    const executor = new ChosenMigrations(dataSource, queryRunner);
    executor.transaction = mode;
    if (mode === 'all') return await locked(queryRunner, () => executor.run(() => true));
    const ours = new Set(migrations.map(({ name }) => name));
    const ran = await locked(queryRunner, () => executor.run(({ name }) => ours.has(name)));
    for (const one of executor.getMigrations().filter(({ name }) => !ours.has(name))) {
      const run = (): Promise<string[]> => executor.run(({ name }) => name === one.name);
      const isInTransaction = one.instance?.transaction ?? mode === 'each';
      ran.push(...(await (isInTransaction ? locked(queryRunner, run) : run())));
    }
    return ran;
  } finally {
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

/** Runs some of the migrations of a DataSource. */
class ChosenMigrations extends MigrationExecutor {
  #isChosen: (migration: Migration) => boolean = () => true;

  /** Runs the pending ones among those that are chosen. Returns their names. */
  async run(isChosen: (migration: Migration) => boolean): Promise<string[]> {
    this.#isChosen = isChosen;
    const ran = await this.executePendingMigrations();
    this.#isChosen = () => true;
    return ran.map(({ name }) => name);
  }

  /** Reads them from the table, because TypeORM would ask the cache of the DataSource if that is always on. */
  protected override async loadExecutedMigrations(queryRunner: QueryRunner): Promise<Migration[]> {
    const rows = (await queryRunner.query(
      `SELECT "id", "timestamp", "name" FROM ${tableOfMigrations(queryRunner.connection)} ORDER BY "id" DESC`,
    )) as { id: number; timestamp: string; name: string }[];
    return rows.map(({ id, timestamp, name }) => new Migration(id, Number(timestamp), name));
  }

  /** All migrations of the DataSource, in order; while some are run, those. */
  override getMigrations(): Migration[] {
    return super.getMigrations().filter((migration) => this.#isChosen(migration));
  }
}
