import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isLockTimeout, isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { retryConflicts } from '../../database/retry';
import { shownAmount } from '../../entities/columns';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { invalid } from '../../errors';
import { objectOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { EarnOutProgress, RunEarnOutsOptions } from '../../types/earn-outs';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import * as statements from './earn-out-statements';

/** How many accounts are bound, or given credit, in one transaction. */
const batchSize = 500;
/** How many payouts of the host's run at once, each on a connection; should the process die, that many are asked for again. */
const payoutsAtOnce = 4;
/** How long an account is waited for that somebody else has locked, in milliseconds; a tenth of it while others can be paid. */
const patienceMs = 10_000;

/**
 * Pays what has become available. First the commissions are bound to an earn-out, which commits; then it is paid; then it is
 * completed. Each step is a transaction that takes its rows for itself and leaves out what another process has taken: so any
 * number of processes share the work, and what one leaves behind when it dies, the next run goes on with.
 */
export class EarnOuts {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];
  readonly #creditTypes: CreditTypeManager;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    { earnOuts, onError }: Settings,
    creditTypes: CreditTypeManager,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#settings = earnOuts;
    this.#onError = onError;
    this.#creditTypes = creditTypes;
  }

  async run(options: RunEarnOutsOptions): Promise<EarnOutProgress> {
    const { onProgress } = objectOf('runEarnOuts', options, ['onProgress']);
    if (onProgress !== undefined && typeof onProgress !== 'function')
      throw invalid('onProgress', 'a function', onProgress);
    const progress = new Progress(this.#database, onProgress);
    // All is bound before any is paid: so what fails, or another run has left behind, is not bound once more by this run.
    await this.#bindAll('left out', progress);
    // Who was left out, because a sign-up or another run was at it, is due all the same.
    await this.#bindAll('waited for', progress);
    await this.#pay(() => this.#giveCredit(), progress);
    if (this.#settings.payout) {
      const lanes = Array.from({ length: payoutsAtOnce }, () => this.#pay(() => this.#payOut(), progress));
      for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason;
    }
    return progress.shown();
  }

  async #bindAll(others: statements.Others, progress: Progress): Promise<void> {
    const { everyMs, minimum, payout } = this.#settings;
    const statement = statements.dueStatement(this.#database);
    let after = '';
    for (;;) {
      const facts = [this.#clock.parameter(), everyMs, payout !== null, minimum];
      const due = await this.#database.unlimited('ordinary', (manager) =>
        this.#database.query<{ userId: string }>(statement, [...facts, after, batchSize], manager),
      );
      if (due.length === 0) return;
      const userIds = due.map(({ userId }) => userId);
      await progress.bound(await this.#bindOrPart(userIds, facts, others));
      after = userIds.at(-1)!;
    }
  }

  /** Binds accounts at once; if one of them, or a commission of its, stays locked, one by one without that one. */
  async #bindOrPart(userIds: readonly string[], facts: readonly unknown[], others: statements.Others): Promise<number> {
    try {
      return await retryConflicts(() => this.#bind(userIds, facts, others));
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      if (userIds.length === 1) {
        if (others === 'waited for') this.#onError(error); // the next run has it
        return 0;
      }
      let made = 0;
      for (const userId of userIds) made += await this.#bindOrPart([userId], facts, others);
      return made;
    }
  }

  #bind(userIds: readonly string[], facts: readonly unknown[], others: statements.Others): Promise<number> {
    return this.#database.unlimited('ordinary', async (manager) => {
      const patience = others === 'left out' ? patienceMs / 10 : patienceMs;
      await this.#database.query(`SELECT set_config('lock_timeout', '${patience}', true)`, [], manager);
      const lock = statements.lockStatement(this.#database, others);
      const locked = await this.#database.query<{ userId: string }>(lock, [userIds], manager);
      if (locked.length === 0) return 0;
      // A statement of its own: it sees what those had bound who held the locks before.
      const bind = statements.bindStatement(this.#database);
      const parameters = [...facts, locked.map(({ userId }) => userId)];
      const [row] = await this.#database.query<{ made: string }>(bind, parameters, manager);
      return Number(row!.made);
    });
  }

  async #pay(batch: () => Promise<Settled[]>, progress: Progress): Promise<void> {
    for (let settled = await batch(); settled.length > 0; settled = await batch()) await progress.settled(settled);
  }

  /** Credit is ours: it is given in the transaction that completes the earn-out, a batch at once. */
  async #giveCredit(): Promise<Settled[]> {
    try {
      return await retryConflicts(() =>
        this.#database.unlimited('ordinary', async (manager) => {
          const waiting = await this.#waiting('credits', batchSize, manager);
          return waiting.length === 0 ? [] : this.#credit(waiting, manager);
        }),
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // Something refuses one of them, perhaps a trigger of the host's: one by one, only that one fails.
      return this.#database.unlimited('ordinary', async (manager) => {
        const settled: Settled[] = [];
        for (const earnOut of await this.#waiting('credits', batchSize, manager))
          settled.push(...(await this.#creditOrFail(earnOut, manager)));
        return settled;
      });
    }
  }

  async #creditOrFail(earnOut: ReferralEarnOut, manager: EntityManager): Promise<Settled[]> {
    try {
      return await manager.transaction((within) => this.#credit([earnOut], within));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#onError(error);
      return [await this.#fail(earnOut, 'The credit was refused.', manager)];
    }
  }

  async #credit(earnOuts: readonly ReferralEarnOut[], manager: EntityManager): Promise<Settled[]> {
    const { creditType, creditDurationDays } = this.#settings;
    const type = await this.#creditTypes.findOrCreateId(creditType, manager);
    const parameters = [...keysOf(earnOuts), this.#clock.parameter(), type, creditDurationDays];
    const given = await this.#database.query<object>(statements.creditStatement(this.#database), parameters, manager);
    for (const row of given) this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row));
    return this.#complete(earnOuts, manager);
  }

  /**
   * The host pays while the earn-out is locked: the lock goes when this process does, at once, and nobody else pays meanwhile. The
   * key that the host passes on makes up for a death between the payment and its commit.
   */
  async #payOut(): Promise<Settled[]> {
    return this.#database.unlimited('ordinary', async (manager) => {
      const [earnOut] = await this.#waiting('payout', 1, manager);
      if (!earnOut) return [];
      try {
        await this.#settings.payout!(earnOut);
      } catch (error) {
        return [await this.#fail(earnOut, reasonOf(error), manager)];
      }
      return this.#complete([earnOut], manager);
    });
  }

  async #waiting(mode: 'credits' | 'payout', size: number, manager: EntityManager): Promise<ReferralEarnOut[]> {
    const statement = statements.waitingStatement(this.#database);
    const rows = await this.#database.query<object>(statement, [mode, size], manager);
    return rows.map((row) => this.#database.entity(ReferralEarnOut, row));
  }

  async #complete(earnOuts: readonly ReferralEarnOut[], manager: EntityManager): Promise<Settled[]> {
    const parameters = [...keysOf(earnOuts), this.#clock.parameter()];
    const rows = await this.#database.query<object>(statements.completeStatement(this.#database), parameters, manager);
    return rows.map((row) => this.#told(row, manager));
  }

  /** By savepoint, so that a deadlock undoes nothing else. */
  async #fail({ userId, id }: ReferralEarnOut, reason: string, manager: EntityManager): Promise<Settled> {
    const { accounts } = this.#database.tables;
    const row = await retryConflicts(() =>
      this.#database.transaction(async (within) => {
        // First the account, as whoever binds does.
        await this.#database.query(`SELECT FROM ${accounts} WHERE user_id = $1 FOR NO KEY UPDATE`, [userId], within);
        const fail = statements.failStatement(this.#database);
        const [failed] = await this.#database.query<object>(
          fail,
          [userId, id, this.#clock.parameter(), reason],
          within,
        );
        return failed!;
      }, manager),
    );
    return this.#told(row, manager);
  }

  #told(row: object, manager: EntityManager): Settled {
    const earnOut = this.#database.entity(ReferralEarnOut, row);
    this.#events.emit(manager, 'earnOut', earnOut);
    return earnOut;
  }
}

type Settled = Pick<ReferralEarnOut, 'status' | 'amount'>;

/** What was thrown, whatever it is, as text that PostgreSQL can store. */
function reasonOf(error: unknown): string {
  let text = '';
  try {
    const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
    text = typeof message === 'string' ? message : String(error);
  } catch {
    // what can't become text says nothing
  }
  // A cut may leave half of a pair at the end.
  return text.slice(0, lengths.description).replace(/\0|\p{Surrogate}/gu, '') || 'without a reason';
}

function keysOf(earnOuts: readonly ReferralEarnOut[]): [string[], number[]] {
  return [earnOuts.map(({ userId }) => userId), earnOuts.map(({ id }) => id)];
}

/** Adds up what a run has done, and tells of it; amounts in PostgreSQL, as everywhere. */
class Progress {
  readonly #database: Database;
  readonly #tell: RunEarnOutsOptions['onProgress'];
  readonly #sum: EarnOutProgress = { bound: 0, completed: 0, failed: 0, amount: '0' };
  #turn: Promise<void> = Promise.resolve();

  constructor(database: Database, tell: RunEarnOutsOptions['onProgress']) {
    this.#database = database;
    this.#tell = tell;
  }

  async bound(count: number): Promise<void> {
    this.#sum.bound += count;
    await this.#tell?.(this.shown());
  }

  /** Payouts settle side by side: each is added after the one before. */
  settled(settled: readonly Settled[]): Promise<void> {
    return (this.#turn = this.#turn.then(() => this.#add(settled)));
  }

  async #add(settled: readonly Settled[]): Promise<void> {
    const completed = settled.filter(({ status }) => status === 'completed').map(({ amount }) => amount);
    const [row] = await this.#database.query<{ sum: string }>(
      'SELECT sum(amount)::text AS sum FROM unnest($1::numeric[] || $2::numeric) AS amount',
      [completed, this.#sum.amount],
    );
    this.#sum.amount = row!.sum;
    this.#sum.completed += completed.length;
    this.#sum.failed += settled.length - completed.length;
    await this.#tell?.(this.shown());
  }

  shown(): EarnOutProgress {
    return { ...this.#sum, amount: shownAmount(this.#sum.amount) };
  }
}
