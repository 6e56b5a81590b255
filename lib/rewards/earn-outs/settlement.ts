import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import { retryConflicts } from '../../database/retry';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { Settings } from '../../options';
import type { CreditTypeManager } from '../credits/credit-type-manager';
import type { Progress, SettledEarnOut } from './progress';
import { completeStatement, creditStatement, waitingStatement } from './settle-statements';
import type { Transitions } from './transitions';

/** How many earn-outs are given credit in one transaction. */
const batchSize = 500;

/** Gives the credit of earn-outs of the mode `credits`, in the transaction that completes them. */
export class CreditSettlement {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];
  readonly #creditTypes: CreditTypeManager;
  readonly #transitions: Transitions;

  constructor(
    database: Database,
    clock: Clock,
    events: Events,
    { earnOuts, onError }: Settings,
    creditTypes: CreditTypeManager,
    transitions: Transitions,
  ) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#settings = earnOuts;
    this.#onError = onError;
    this.#creditTypes = creditTypes;
    this.#transitions = transitions;
  }

  /** Settles all earn-outs of the mode `credits` in progress, including those of earlier runs. */
  async settleAll(progress: Progress): Promise<void> {
    for (let settled = await this.#batch(); settled.length > 0; settled = await this.#batch())
      await progress.addSettled(settled);
  }

  async #batch(): Promise<SettledEarnOut[]> {
    try {
      return await retryConflicts(() =>
        this.#database.unlimited('ordinary', async (manager) => {
          const waiting = await this.#waiting(manager);
          return waiting.length === 0 ? [] : this.#credit(waiting, manager);
        }),
      );
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // PostgreSQL refuses one of the credits, for example by a trigger of the host's. One by one, only that one fails.
      const refusals: unknown[] = [];
      const settled = await this.#database.unlimited('ordinary', async (manager) => {
        const done: SettledEarnOut[] = [];
        for (const earnOut of await this.#waiting(manager))
          done.push(...(await this.#creditOrFail(earnOut, refusals, manager)));
        return done;
      });
      for (const refusal of refusals) this.#onError(refusal);
      return settled;
    }
  }

  async #creditOrFail(
    earnOut: ReferralEarnOut,
    refusals: unknown[],
    manager: EntityManager,
  ): Promise<SettledEarnOut[]> {
    try {
      return await this.#database.transaction((within) => this.#credit([earnOut], within), manager);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refusals.push(error);
      return this.#fail(earnOut, manager);
    }
  }

  /** Fails an earn-out in a savepoint. A deadlock rolls back only to that savepoint, and is retried. */
  async #fail(earnOut: ReferralEarnOut, manager: EntityManager): Promise<SettledEarnOut[]> {
    const change = { status: 'failed', before: 'processing', claim: null, reference: null } as const;
    const failed = await retryConflicts(() =>
      this.#database.transaction(
        (within) => this.#transitions.refuse(earnOut, { ...change, reason: 'The credit was refused.' }, within),
        manager,
      ),
    );
    return failed ? [failed] : [];
  }

  async #credit(earnOuts: readonly ReferralEarnOut[], manager: EntityManager): Promise<SettledEarnOut[]> {
    const { creditType, creditDurationDays } = this.#settings;
    const type = await this.#creditTypes.findOrCreateId(creditType, manager);
    const locked = {
      users: earnOuts.map(({ userId }) => userId),
      ids: earnOuts.map(({ id }) => id),
      now: this.#clock.parameter(),
    };
    const credit = creditStatement(this.#database).with({ ...locked, type, days: creditDurationDays });
    const given = await this.#database.query<object>(credit, manager);
    for (const row of given) this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row));
    const completed = await this.#database.query<object>(completeStatement(this.#database).with(locked), manager);
    return completed.map((row) => {
      const earnOut = this.#database.entity(ReferralEarnOut, row);
      this.#events.emit(manager, 'earnOut', earnOut);
      return earnOut;
    });
  }

  async #waiting(manager: EntityManager): Promise<ReferralEarnOut[]> {
    const query = waitingStatement(this.#database).with({ limit: batchSize });
    const rows = await this.#database.query<object>(query, manager);
    return rows.map((row) => this.#database.entity(ReferralEarnOut, row));
  }
}
