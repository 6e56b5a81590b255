import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { sql } from '../../database/named-parameters';
import { retryConflicts } from '../../database/retry';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { EarningMode } from '../../types/earn-outs';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import type { Progress, SettledEarnOut } from './progress';
import { completeStatement, creditStatement, failStatement, waitingStatement } from './settle-statements';

/** How many earn-outs are given credit in one transaction. */
const batchSize = 500;
/** How many payouts run in parallel, each on its own connection. If the process dies, at most this many are retried. */
const payoutsAtOnce = 4;

/** Pays earn-outs, and completes or fails them. */
export class EarnOutSettlement {
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

  /** Settles all earn-outs in progress, including those of earlier runs. */
  async settleAll(progress: Progress): Promise<void> {
    await settleEach(() => this.#giveCredit(), progress);
    const { payout } = this.#settings;
    if (!payout) return;
    const lanes = Array.from({ length: payoutsAtOnce }, () => settleEach(() => this.#payOut(payout), progress));
    for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason;
  }

  /** Inserts the credits of a batch, in the transaction that completes the earn-outs. */
  async #giveCredit(): Promise<SettledEarnOut[]> {
    try {
      return await retryConflicts(() =>
        this.#database.unlimited('ordinary', async (manager) => {
          const waiting = await this.#waiting('credits', batchSize, manager);
          return waiting.length === 0 ? [] : this.#credit(waiting, manager);
        }),
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // PostgreSQL refuses one of the credits, for example by a trigger of the host's. One by one, only that one fails.
      return this.#database.unlimited('ordinary', async (manager) => {
        const settled: SettledEarnOut[] = [];
        for (const earnOut of await this.#waiting('credits', batchSize, manager))
          settled.push(...(await this.#creditOrFail(earnOut, manager)));
        return settled;
      });
    }
  }

  async #creditOrFail(earnOut: ReferralEarnOut, manager: EntityManager): Promise<SettledEarnOut[]> {
    try {
      return await manager.transaction((within) => this.#credit([earnOut], within));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#onError(error);
      return [await this.#fail(earnOut, 'The credit was refused.', manager)];
    }
  }

  async #credit(earnOuts: readonly ReferralEarnOut[], manager: EntityManager): Promise<SettledEarnOut[]> {
    const { creditType, creditDurationDays } = this.#settings;
    const type = await this.#creditTypes.findOrCreateId(creditType, manager);
    const parameters = { ...this.#locked(earnOuts), type, days: creditDurationDays };
    const given = await this.#database.query<object>(creditStatement(this.#database).with(parameters), manager);
    for (const row of given) this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row));
    return this.#complete(earnOuts, manager);
  }

  /**
   * Calls the option `earnOuts.payout` while the earn-out is locked, so that no other process pays it. If this process
   * dies, PostgreSQL releases the lock. If it dies between the payment and the commit, another run calls the option
   * again with the same idempotency key.
   */
  async #payOut(payout: NonNullable<Settings['earnOuts']['payout']>): Promise<SettledEarnOut[]> {
    return this.#database.unlimited('ordinary', async (manager) => {
      const [earnOut] = await this.#waiting('payout', 1, manager);
      if (!earnOut) return [];
      try {
        await payout(earnOut);
      } catch (error) {
        return [await this.#fail(earnOut, reasonOf(error), manager)];
      }
      return this.#complete([earnOut], manager);
    });
  }

  async #waiting(mode: EarningMode, limit: number, manager: EntityManager): Promise<ReferralEarnOut[]> {
    const query = waitingStatement(this.#database).with({ mode, limit });
    const rows = await this.#database.query<object>(query, manager);
    return rows.map((row) => this.#database.entity(ReferralEarnOut, row));
  }

  async #complete(earnOuts: readonly ReferralEarnOut[], manager: EntityManager): Promise<SettledEarnOut[]> {
    const query = completeStatement(this.#database).with(this.#locked(earnOuts));
    const rows = await this.#database.query<object>(query, manager);
    return rows.map((row) => this.#emitted(row, manager));
  }

  /** Fails an earn-out in a savepoint. A deadlock rolls back only to that savepoint, and is retried. */
  async #fail({ userId, id }: ReferralEarnOut, reason: string, manager: EntityManager): Promise<SettledEarnOut> {
    const { accounts } = this.#database.tables;
    const lock = sql({ user: userId }, ($) => `SELECT FROM ${accounts} WHERE user_id = ${$.user} FOR NO KEY UPDATE`);
    const row = await retryConflicts(() =>
      this.#database.transaction(async (within) => {
        await this.#database.query(lock, within); // before the commissions, in the order of bindStatement
        const fail = failStatement(this.#database);
        const parameters = { user: userId, id, now: this.#clock.parameter(), reason };
        const [failed] = await this.#database.query<object>(fail.with(parameters), within);
        return failed!;
      }, manager),
    );
    return this.#emitted(row, manager);
  }

  #emitted(row: object, manager: EntityManager): SettledEarnOut {
    const earnOut = this.#database.entity(ReferralEarnOut, row);
    this.#events.emit(manager, 'earnOut', earnOut);
    return earnOut;
  }

  #locked(earnOuts: readonly ReferralEarnOut[]): { users: string[]; ids: number[]; now: Date | null } {
    return {
      users: earnOuts.map(({ userId }) => userId),
      ids: earnOuts.map(({ id }) => id),
      now: this.#clock.parameter(),
    };
  }
}

async function settleEach(settleBatch: () => Promise<SettledEarnOut[]>, progress: Progress): Promise<void> {
  for (let settled = await settleBatch(); settled.length > 0; settled = await settleBatch())
    await progress.addSettled(settled);
}

/** Returns the message of a thrown value, as text that PostgreSQL can store. */
function reasonOf(error: unknown): string {
  let text = '';
  try {
    const message: unknown = (error as { message?: unknown } | null | undefined)?.message;
    text = typeof message === 'string' ? message : String(error);
  } catch {
    // The value can't be turned into text, such as an object without a prototype.
  }
  // The cut can leave one half of a surrogate pair at the end.
  return text.slice(0, lengths.description).replace(/\0|\p{Surrogate}/gu, '') || 'without a reason';
}
