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
import { completeCreditsStatement, giveCreditsStatement, nextCreditsStatement } from './credit-statements';
import type { Progress, SettledEarnOut } from './progress';
import type { Key, Transitions } from './transitions';

/** How many earn-outs are given credit in one transaction. */
const batchSize = 500;

/** Gives the credit of earn-outs of the mode `credits`, in the transaction that completes them. */
export class CreditPayments {
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

  /** Pays all earn-outs of the mode `credits` in progress, including those of earlier runs. */
  async payAll(progress: Progress): Promise<void> {
    for (let afterUser: string | undefined = ''; afterUser !== undefined;) {
      const { next, paid } = await this.#batch(afterUser);
      if (paid.length > 0) await progress.addSettled(paid);
      afterUser = next.at(-1)?.userId;
    }
  }

  /** Pays the next earn-outs after a user. Also returns which they were. */
  async #batch(afterUser: string): Promise<{ next: readonly Key[]; paid: SettledEarnOut[] }> {
    let next: readonly Key[] = [];
    try {
      const paid = await retryConflicts(() =>
        this.#database.unlimited('ordinary', async (manager) => {
          next = await this.#next(afterUser, manager);
          return next.length === 0 ? [] : this.#pay(next, manager);
        }),
      );
      return { next, paid };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      // PostgreSQL refuses one of the credits, for example by a trigger of the host's. One by one, only that one fails.
      const paid: SettledEarnOut[] = [];
      for (const key of next) paid.push(...(await this.#payOrFail(key)));
      return { next, paid };
    }
  }

  async #payOrFail(key: Key): Promise<SettledEarnOut[]> {
    try {
      return await this.#transitions.step((manager) => this.#pay([key], manager));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#onError(error);
      const change = { status: 'failed', before: 'processing', claim: null, reference: null } as const;
      const failed = await this.#transitions.refuse(key, { ...change, reason: 'The credit was refused.' });
      return failed ? [failed] : [];
    }
  }

  async #pay(keys: readonly Key[], manager: EntityManager): Promise<SettledEarnOut[]> {
    const { creditType, creditDurationDays: days, everyMs: period } = this.#settings;
    const type = await this.#creditTypes.findOrCreateId(creditType, manager);
    const now = this.#clock.parameter();
    const complete = completeCreditsStatement(this.#database).with({ ...columnsOf(keys), now, period });
    const rows = await this.#database.query<object>(complete, manager);
    const completed = rows.map((row) => this.#database.entity(ReferralEarnOut, row));
    const give = giveCreditsStatement(this.#database).with({ ...columnsOf(completed), now, type, days });
    const given = await this.#database.query<object>(give, manager);
    for (const row of given) this.#events.emit(manager, 'creditGranted', this.#database.entity(ReferralCredit, row));
    for (const earnOut of completed) this.#events.emit(manager, 'earnOut', earnOut);
    return completed;
  }

  async #next(afterUser: string, manager: EntityManager): Promise<Key[]> {
    const query = nextCreditsStatement(this.#database).with({ afterUser, limit: batchSize });
    const rows = await this.#database.query<{ userId: string; id: string }>(query, manager);
    return rows.map(({ userId, id }) => ({ userId, id: Number(id) }));
  }
}

/** Returns keys as the parameters of a statement. */
function columnsOf(keys: readonly Key[]): { users: string[]; ids: number[] } {
  return { users: keys.map(({ userId }) => userId), ids: keys.map(({ id }) => id) };
}
