import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { discard } from './cancel';
import { type Client, driverOf } from './driver';
import { explained, type Stage } from './driver-errors';
import { wasLost } from './lost-connections';
import { own, released } from './own-runners';
import { databaseUnavailable, isAway } from './unavailable';

type Isolation = 'READ COMMITTED' | 'REPEATABLE READ';

/** A piece of work on the connection of a query runner. It knows how far the work has come. */
export class ConnectionWork {
  readonly runner: QueryRunner;
  protected stage: Stage;

  constructor(runner: QueryRunner, stage: Stage = runner.isTransactionActive ? 'transaction' : 'statements') {
    this.runner = runner;
    this.stage = stage;
  }

  /** Runs the work, and explains what it throws. */
  async run<T>(work: (on: this) => Promise<T>): Promise<T> {
    try {
      return await work(this);
    } catch (error) {
      throw explained(error, this.stage, wasLost(this.runner));
    }
  }

  /** Must be called before a statement is sent. */
  sending(): void {
    if (this.stage === 'committed') this.stage = 'statements';
  }

  /** Must be called when PostgreSQL has completed a statement. Outside of a transaction, it is committed. */
  answered(): void {
    if (this.stage === 'statements') this.stage = 'committed';
  }

  /**
   * Runs work as a transaction, or as a savepoint where there is a transaction already. TypeORM's own
   * `manager.transaction` does not tell whether `COMMIT` was sent; and where a savepoint can't be made, because the
   * transaction has failed, it rolls back the transaction, and the host's next statements are committed one by one.
   */
  async transaction<T>(isolation: Isolation, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const { runner } = this;
    const isSavepoint = runner.isTransactionActive;
    this.stage = 'transaction';
    try {
      await runner.startTransaction(isSavepoint ? undefined : isolation);
    } catch (error) {
      if (!isSavepoint) await rollBack(runner);
      throw error;
    }
    try {
      const result = await work(runner.manager);
      if (!isSavepoint) this.beforeCommit();
      await runner.commitTransaction();
      return result;
    } catch (error) {
      if ((this.stage as Stage) === 'committing' && !runner.isTransactionActive) this.stage = 'committed';
      else await rollBack(runner);
      throw error;
    }
  }

  protected beforeCommit(): void {
    this.stage = 'committing';
  }
}

/** Rolls back the innermost transaction. If that fails too, the first error says more. */
async function rollBack(runner: QueryRunner): Promise<void> {
  await runner.rollbackTransaction().catch(() => undefined);
}

/** A piece of work on a connection that it takes from the pool, and gives back. */
export class OwnWork extends ConnectionWork {
  readonly #dataSource: DataSource;
  #client: Client | undefined;
  #isLate = false;
  #discarded: Promise<void> | undefined;

  constructor(dataSource: DataSource) {
    super(dataSource.createQueryRunner(), 'connecting');
    this.#dataSource = dataSource;
    own(this.runner);
  }

  override async run<T>(work: (on: this) => Promise<T>): Promise<T> {
    try {
      this.#client = (await this.runner.connect()) as Client;
      this.#refuseLate();
      this.stage = 'statements';
      return await work(this);
    } catch (error) {
      const reason = explained(error, this.stage, this.runner.isReleased);
      if (this.runner.isTransactionActive || (isAway(reason) && this.#client?.readyForQuery === false))
        void this.#discard();
      throw reason;
    } finally {
      if (this.#discarded) void this.#discarded.then(() => this.#release());
      else await this.#release();
    }
  }

  /**
   * Gives up the work after a time-out: it sends no `COMMIT` from now on, its statement is cancelled, and its
   * connection is closed.
   *
   * @returns the error for who waited for it, and a promise that resolves once its statement is cancelled; null if it
   * has none.
   */
  giveUp(timeoutMs: number): { error: Error; cancelled: Promise<void> | null } {
    this.#isLate = true;
    const isConnecting = this.stage === 'connecting';
    const detail = isConnecting
      ? `no connection within ${timeoutMs} ms; if the pool is too small for the calls at the same time, enlarge it`
      : `no answer within ${timeoutMs} ms; if the call waits for a lock of your own transaction, pass it the manager`;
    const isOpen = this.stage === 'statements' || this.stage === 'committing';
    const error = databaseUnavailable(detail, isOpen ? 'unknown' : 'none');
    return { error, cancelled: isConnecting ? null : this.#discard() };
  }

  protected override beforeCommit(): void {
    this.#refuseLate();
    super.beforeCommit();
  }

  async #release(): Promise<void> {
    await this.runner.release().finally(() => released(this.runner));
  }

  #refuseLate(): void {
    if (this.#isLate) throw databaseUnavailable('it took too long', 'none');
  }

  /** Closes the connection. It must not return to the pool, where a statement of this work may still be under way. */
  #discard(): Promise<void> {
    const options = driverOf(this.#dataSource).master?.options ?? {};
    return (this.#discarded ??= this.#client ? discard(this.#client, options) : Promise.resolve());
  }
}
