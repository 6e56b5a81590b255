import { type EntityManager, In } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isLockTimeout, isRefusal } from '../../database/driver-errors';
import type { Events } from '../../database/events';
import type { Query } from '../../database/named-parameters';
import { overtaken, retryConflicts, retryOvertaken } from '../../database/retry';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { Settings } from '../../options';
import type { PayoutApproval } from '../../types/earn-outs';
import type { FraudRules } from '../reviews/fraud-rules';
import { type BindRow, bindStatement } from './bind-statement';
import {
  adoptStatement,
  dueStatement,
  type LockedAccounts,
  lockStatement,
  otherTermsStatement,
  rescheduleStatement,
} from './due-accounts';
import type { Progress } from './progress';
import { type EarnOutTerms, hashOf, termsOf } from './terms';

/** How many accounts are bound in one transaction. */
const batchSize = 500;
/** How many rows of totals get new terms in one statement. */
const adoptedAtOnce = 5000;
/**
 * The `lock_timeout` in milliseconds: short in the round that skips locked accounts, longer in the one that waits for
 * them.
 */
const lockTimeoutMs: Record<LockedAccounts, number> = { skip: 1000, wait: 10_000 };

/** Thrown to roll back a batch, because a commission was held after the statement had added it to an amount. */
class BindOvertaken extends Error {}

/** Creates earn-outs, and binds to each the commissions that it pays. */
export class EarnOutBinding {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];
  readonly #fraud: FraudRules;

  constructor(database: Database, clock: Clock, events: Events, { earnOuts, onError }: Settings, fraud: FraudRules) {
    this.#database = database;
    this.#events = events;
    this.#clock = clock;
    this.#settings = earnOuts;
    this.#onError = onError;
    this.#fraud = fraud;
  }

  /** Makes those accounts due that were last looked at with other options. */
  async adoptAll(): Promise<void> {
    const terms = hashOf(this.#terms(null));
    // Not until none is left: a process with other options may be adopting the same rows.
    const [others] = await this.#rows<{ count: string }>(otherTermsStatement(this.#database).with({ terms }));
    for (let left = Number(others!.count); left > 0; left -= adoptedAtOnce) {
      const adopt = { terms, now: this.#clock.parameter(), limit: adoptedAtOnce };
      await this.#rows(adoptStatement(this.#database).with(adopt));
    }
  }

  /** Binds the commissions of all accounts that are due, one batch in each transaction. */
  async bindAll(
    lockedAccounts: LockedAccounts,
    approve: PayoutApproval | undefined,
    progress: Progress,
  ): Promise<void> {
    const terms = hashOf(this.#terms(null));
    const statement = dueStatement(this.#database);
    let after: Pick<DueRow, 'userId' | 'dueAt'> | undefined = { userId: '', dueAt: '-infinity' };
    while (after !== undefined) {
      const place = { afterDueAt: after.dueAt, afterUser: after.userId, limit: batchSize };
      const query = statement.with({ terms, now: this.#clock.parameter(), ...place });
      const due = await this.#rows<DueRow>(query);
      // A user has a row for each channel and mode.
      const users = [...new Set(due.map(({ userId }) => userId))];
      if (users.length > 0) {
        await this.#fraud.lookAtAddressesOf(users);
        const how = { lockedAccounts, approve: approve ?? this.#settings.approve };
        await this.#bindOrPart(users, due[0]!.now, how, progress);
      }
      after = due.at(-1);
    }
  }

  /**
   * Binds a batch of accounts. If a row lock times out, or PostgreSQL refuses a row, for example by a trigger of the
   * host's, it binds each account in a transaction of its own, so that one does not keep the others from being paid.
   */
  async #bindOrPart(users: readonly string[], now: Date, how: Binding, progress: Progress): Promise<void> {
    let made: number;
    try {
      made = await retryOvertaken(() => this.#tryToBind(users, now, how));
    } catch (error) {
      if (!isLockTimeout(error) && !isRefusal(error)) throw error;
      if (users.length > 1) for (const user of users) await this.#bindOrPart([user], now, how, progress);
      else if (how.lockedAccounts === 'wait') this.#onError(error); // it stays due for the next run
      return;
    }
    await progress.addBound(made);
  }

  async #tryToBind(users: readonly string[], now: Date, how: Binding): Promise<number | typeof overtaken> {
    try {
      return await retryConflicts(() => this.#bind(users, now, how));
    } catch (error) {
      if (error instanceof BindOvertaken) return overtaken;
      throw error;
    }
  }

  /** All statements of the transaction use the same time, so that none of them counts a commission as pending that
   * another one counts as available. */
  #bind(users: readonly string[], now: Date, { lockedAccounts, approve }: Binding): Promise<number> {
    const terms = this.#terms(now);
    return this.#database.unlimited('ordinary', async (manager) => {
      const timeout = lockTimeoutMs[lockedAccounts];
      await this.#database.query(`SELECT set_config('lock_timeout', '${timeout}', true)`, manager);
      const lock = lockStatement(this.#database, lockedAccounts).with({ users });
      const locked = (await this.#database.query<{ userId: string }>(lock, manager)).map(({ userId }) => userId);
      if (locked.length === 0) return 0;
      // A second statement, because its snapshot contains what the previous holders of the locks have bound.
      const bind = bindStatement(this.#database).with({ ...terms, users: locked, approve });
      const [row] = await this.#database.query<BindRow>(bind, manager);
      if (!row!.isWhole) throw new BindOvertaken();
      if (row!.awaiting.length > 0 && this.#events.has('earnOutAwaitsApproval'))
        await this.#emitAwaiting(row!.awaiting.map(Number), manager);
      const reschedule = rescheduleStatement(this.#database);
      await this.#database.query(reschedule.with({ ...terms, users: locked, terms: hashOf(terms) }), manager);
      return Number(row!.made);
    });
  }

  async #emitAwaiting(ids: number[], manager: EntityManager): Promise<void> {
    const search = { where: { id: In(ids) }, order: { id: 'ASC' } } as const;
    for (const earnOut of await this.#database.find(ReferralEarnOut, search, manager))
      this.#events.emit(manager, 'earnOutAwaitsApproval', earnOut);
  }

  /** Returns the rows of a statement of a run, which has a transaction of its own. */
  #rows<Row>(query: Query): Promise<Row[]> {
    return this.#database.unlimited('ordinary', (manager) => this.#database.query<Row>(query, manager));
  }

  #terms(now: Date | null): EarnOutTerms {
    return termsOf(this.#settings, now);
  }
}

/** How accounts are bound. */
interface Binding {
  lockedAccounts: LockedAccounts;
  approve: PayoutApproval;
}

interface DueRow {
  userId: string;
  dueAt: string;
  /** The time of the statement, in milliseconds: not later than it. */
  now: Date;
}
