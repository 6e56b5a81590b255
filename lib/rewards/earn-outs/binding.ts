import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { isLockTimeout } from '../../database/driver-errors';
import { retryConflicts } from '../../database/retry';
import type { Settings } from '../../options';
import { bindStatement } from './bind-statement';
import { dueStatement, type EarnOutTerms, type LockedAccounts, lockStatement } from './due-accounts';
import type { Progress } from './progress';

/** How many accounts are bound in one transaction. */
const batchSize = 500;
/**
 * The `lock_timeout` in milliseconds: short in the round that skips locked accounts, longer in the one that waits for
 * them.
 */
const lockTimeoutMs: Record<LockedAccounts, number> = { skip: 1000, wait: 10_000 };

/** Creates earn-outs, and binds to each the commissions that it pays. */
export class EarnOutBinding {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings['earnOuts'];
  readonly #onError: Settings['onError'];

  constructor(database: Database, clock: Clock, { earnOuts, onError }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = earnOuts;
    this.#onError = onError;
  }

  /** Binds the commissions of all accounts that are due, one batch in each transaction. */
  async bindAll(lockedAccounts: LockedAccounts, progress: Progress): Promise<void> {
    const { everyMs, minimum, payout } = this.#settings;
    const statement = dueStatement(this.#database);
    let after: string | undefined = '';
    while (after !== undefined) {
      const now = this.#clock.parameter();
      const terms = { now, period: everyMs, isPayoutOffered: payout !== null, minimum };
      const query = statement.with({ ...terms, after, limit: batchSize });
      const due = await this.#database.unlimited('ordinary', (manager) =>
        this.#database.query<AccountRow>(query, manager),
      );
      const users = due.map(({ userId }) => userId);
      if (users.length > 0) await progress.addBound(await this.#bindOrPart(users, terms, lockedAccounts));
      after = users.at(-1);
    }
  }

  /** Binds a batch of accounts. If a row lock times out, binds each account in a transaction of its own. */
  async #bindOrPart(users: readonly string[], terms: EarnOutTerms, lockedAccounts: LockedAccounts): Promise<number> {
    try {
      return await retryConflicts(() => this.#bind(users, terms, lockedAccounts));
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      if (users.length === 1) {
        if (lockedAccounts === 'wait') this.#onError(error); // it stays due for the next run
        return 0;
      }
      let made = 0;
      for (const user of users) made += await this.#bindOrPart([user], terms, lockedAccounts);
      return made;
    }
  }

  #bind(users: readonly string[], terms: EarnOutTerms, lockedAccounts: LockedAccounts): Promise<number> {
    return this.#database.unlimited('ordinary', async (manager) => {
      const timeout = lockTimeoutMs[lockedAccounts];
      await this.#database.query(`SELECT set_config('lock_timeout', '${timeout}', true)`, manager);
      const lock = lockStatement(this.#database, lockedAccounts).with({ users });
      const locked = await this.#database.query<AccountRow>(lock, manager);
      if (locked.length === 0) return 0;
      // A second statement, because its snapshot contains what the previous holders of the locks have bound.
      const bind = bindStatement(this.#database).with({ ...terms, users: locked.map(({ userId }) => userId) });
      const [row] = await this.#database.query<{ made: string }>(bind, manager);
      return Number(row!.made);
    });
  }
}

interface AccountRow {
  userId: string;
}
