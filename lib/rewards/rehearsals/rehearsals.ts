import { createHash } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { isLockTimeout } from '../../database/driver-errors';
import { askingBetween } from '../../database/host-answers';
import { sql } from '../../database/named-parameters';
import { overtaken, retryConflicts, retryOvertaken } from '../../database/retry';
import { databaseUnavailable } from '../../database/unavailable';
import type { ReferralAudit } from '../../entities/referral-audit';
import type { CreditManager } from '../credits/credit-manager';
import type { AccountManager } from '../earn-outs/account-manager';
import { type Audit, type Change, reasonedStaffOf } from '../records/audit';
import type { AuditManager } from '../records/audit-manager';
import { type UserFigures, userFigures } from './user-figures';

/** A call of a manager's, in the transaction that it is given. */
export type Work<T> = (manager: EntityManager) => Promise<T>;

/** What a call would do. */
export interface Rehearsal {
  /** What `referrals.audit` would keep, as the call would write it. Its ids are used up, and stay unused. */
  readonly changes: readonly ReferralAudit[];
  /** What the users have whose money it is, before and after: of the first few. */
  readonly figures: readonly { readonly before: UserFigures; readonly after: UserFigures }[];
  /** How many more users there are. */
  readonly moreUsers: number;
  /** The same for two calls that do the same to the same state. Times, and the ids of what is new, do not count. */
  readonly digest: string;
}

/** How a call is made: once for `by` and `requestId`. */
export interface Once {
  /** The host's id of who makes it, as `by` of the call. */
  readonly by: string;
  /** The `requestId` of the call. */
  readonly requestId: string;
}

/**
 * `done`: it is committed. `known`: an earlier call with the key has done it. `changed`: it would not do any more what was
 * rehearsed, and did nothing.
 */
export type Performance<T> = { readonly status: 'done'; readonly result: T } | { readonly status: 'known' | 'changed' };

interface Played<T> {
  result: T;
  changes: ReferralAudit[];
  users: string[];
  after: UserFigures[];
}

interface Parts {
  readonly database: Database;
  readonly audit: Audit;
  readonly managers: {
    readonly accounts: AccountManager;
    readonly credits: CreditManager;
    readonly audit: AuditManager;
  };
}

/** Thrown to roll back a transaction of which only the result is wanted. */
class RolledBack<T> extends Error {
  constructor(readonly result: T) {
    super('rolled back');
  }
}

/** Of how many users figures are shown. */
const maxUsers = 5;
/** How long a rehearsal waits for locks, and how long a statement of it may take: others wait for its locks meanwhile. */
const maxWaitMs = 2000;
const maxStatementMs = 5000;
/** How often a call waits for the locks of others, as calls without a manager do. */
const maxTries = 5;

/** Shows what calls of staff would do, by making them and rolling them back; and makes them if they still would do that. */
export class Rehearsals {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes a call, rolls it back, and returns what it would have done. No event is emitted, and the locks are released at
   * once.
   *
   * @throws what the call throws; ReferralError `DATABASE_UNAVAILABLE` if others hold its locks.
   */
  async rehearse(work: Work<unknown>): Promise<Rehearsal> {
    const { database } = this.#parts;
    try {
      const { changes, users, before, after } = await askingBetween(() =>
        rolledBack<Played<unknown> & { before: UserFigures[] }>((undoAll) =>
          database.transaction(async (outer) => {
            await database.query(
              `SELECT set_config('lock_timeout', '${maxWaitMs}', true), set_config('statement_timeout', '${maxStatementMs}', true)`,
              outer,
            );
            const played = await rolledBack<Played<unknown>>((undo) =>
              database.transaction(async (within) => undo(await this.#play(work, within)), outer),
            );
            const before = await this.#figuresOf(played.users, outer);
            return undoAll({ ...played, before });
          }),
        ),
      );
      const figures = after.map((now, index) => ({ before: before[index]!, after: now }));
      const moreUsers = Math.max(users.length - maxUsers, 0);
      return { changes, figures, moreUsers, digest: digestOf(changes, after) };
    } catch (error) {
      throw isLockTimeout(error) ? databaseUnavailable('others are changing the same rows', 'none', error) : error;
    }
  }

  /**
   * Makes a call once for its key, if it does what was rehearsed: otherwise it is rolled back.
   *
   * @param once also whether it can take longer than the calls of a page may: then it has no time-out.
   * @throws what the call throws.
   */
  async perform<T>(
    work: Work<T>,
    digest: string,
    { isLong, ...once }: Once & { isLong: boolean },
  ): Promise<Performance<T>> {
    let tries = 0;
    return askingBetween(() =>
      retryOvertaken(async () => {
        try {
          return await rolledBack<Performance<T>>((undo) =>
            this.#transaction(isLong, async (within) => {
              if (await this.#isKnown(once, within)) return { status: 'known' };
              const { result, changes, after } = await this.#play(work, within);
              return digestOf(changes, after) === digest ? { status: 'done', result } : undo({ status: 'changed' });
            }),
          );
        } catch (error) {
          if (isLockTimeout(error) && ++tries < maxTries) return overtaken;
          throw error;
        }
      }),
    );
  }

  /**
   * Notes in the audit that staff begin a call that takes no transaction. Returns whether this is the first time for its key:
   * only then may it be made.
   */
  async begin(change: Change, staff: Once & { readonly reason: string }): Promise<boolean> {
    const { database, audit } = this.#parts;
    return database.transaction(async (within) => {
      if (await this.#isKnown(staff, within)) return false;
      await audit.record([change], reasonedStaffOf(staff), within);
      return true;
    });
  }

  #transaction<T>(isLong: boolean, work: Work<T>): Promise<T> {
    const { database } = this.#parts;
    return isLong ? retryConflicts(() => database.unlimited('ordinary', work)) : database.transaction(work);
  }

  /** Whether an earlier call has this key. The second of two that are made at once waits here for the first. */
  async #isKnown({ by, requestId }: Once, within: EntityManager): Promise<boolean> {
    const { database, managers } = this.#parts;
    const key = `${by} ${requestId}`;
    await database.query(
      sql({ key }, ($) => `SELECT pg_advisory_xact_lock(hashtextextended(${$.key}, 0))`),
      within,
    );
    return (await managers.audit.search({ where: { by, requestId }, take: 1, manager: within })).length > 0;
  }

  async #play<T>(work: Work<T>, within: EntityManager): Promise<Played<T>> {
    const { audit, managers } = this.#parts;
    const ids = audit.listen(within);
    const result = await work(within);
    const changes = await managers.audit.list([...ids], { optional: true, manager: within });
    const users = [...new Set(changes.flatMap(({ userId }) => userId ?? []))];
    return { result, changes, users, after: await this.#figuresOf(users, within) };
  }

  #figuresOf(users: readonly string[], manager: EntityManager): Promise<UserFigures[]> {
    const { managers, database } = this.#parts;
    return userFigures(users.slice(0, maxUsers), managers, database.shown('0'), manager);
  }
}

/** Runs a transaction that ends by throwing what it has found out, and returns that. */
async function rolledBack<T>(transaction: (rollBackWith: (result: T) => never) => Promise<T>): Promise<T> {
  try {
    return await transaction((result) => {
      throw new RolledBack(result);
    });
  } catch (error) {
    if (error instanceof RolledBack) return error.result as T;
    throw error;
  }
}

/** What of the changes tells whether the state was another one: not the times of the call, and not the ids of what is new. */
function digestOf(changes: readonly ReferralAudit[], after: readonly UserFigures[]): string {
  const told = changes.map((change) => {
    const { call, subject, subjectId, userId, before } = change;
    return before === null
      ? [call, subject, userId]
      : [call, subject, subjectId, userId, before, timeless(change.after)];
  });
  return createHash('sha256')
    .update(JSON.stringify([told, after]))
    .digest('base64url');
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

function timeless(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'string' && time.test(one) ? 'a time' : one));
}
