import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { overtaken, retryOvertaken } from '../../database/retry';
import { nowIn, timeOf } from '../../database/statement-time';
import { ReferralAccount } from '../../entities/referral-account';
import { objectOf, someUserIdOf } from '../../input';
import type { StaffOptions } from '../../types/audit';
import type { UserRef } from '../../types/common';
import { type Audit, type Author, reasonedStaffOf, staffFields, staffOf } from '../records/audit';
import { BanOvertaken, type Bans } from './bans';
import { lockedAccount } from './locked-account';

/** Since when an account is suspended, and banned. A banned account is suspended as well. */
type State = Pick<ReferralAccount, 'suspendedAt' | 'bannedAt'>;

export type SuspensionCall = 'suspend' | 'ban' | 'reinstate';

/** The state after each call. A call that changes nothing returns the state before. */
const stateAfter: Record<SuspensionCall, (before: State, now: Date) => State> = {
  suspend: ({ suspendedAt, bannedAt }, now) => ({ suspendedAt: suspendedAt ?? now, bannedAt }),
  ban: ({ suspendedAt, bannedAt }, now) => ({ suspendedAt: suspendedAt ?? now, bannedAt: bannedAt ?? now }),
  reinstate: () => ({ suspendedAt: null, bannedAt: null }),
};

const fields = ['suspendedAt', 'bannedAt'] as const;

/**
 * Suspends, bans and reinstates accounts. What a suspension means is computed where it counts, from the account: links only
 * redirect, sign-ups and purchases earn nothing, and no earn-out is made or paid.
 */
export class Suspensions {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #bans: Bans;
  readonly #audit: Audit;

  constructor(database: Database, clock: Clock, bans: Bans, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#bans = bans;
    this.#audit = audit;
  }

  async change(call: SuspensionCall, user: UserRef, options: StaffOptions): Promise<ReferralAccount> {
    const { manager, ...staff } = objectOf<StaffOptions>(`accounts.${call}`, options, staffFields);
    const userId = someUserIdOf('user', user);
    const author = call === 'reinstate' ? staffOf(staff) : reasonedStaffOf(staff);
    return retryOvertaken(async () => {
      try {
        return await this.#database.transaction((within) => this.#change(call, userId, author, within), manager);
      } catch (error) {
        if (error instanceof BanOvertaken) return overtaken;
        throw error;
      }
    });
  }

  async #change(
    call: SuspensionCall,
    userId: string,
    author: Author,
    manager: EntityManager,
  ): Promise<ReferralAccount> {
    const ban = call === 'ban' ? await this.#bans.begin(userId, manager) : null;
    const account = await lockedAccount(this.#database, this.#clock, userId, manager);
    const after = stateAfter[call](account, await nowIn(this.#database, this.#clock, manager));
    const changed = fields.filter((field) => after[field] !== account[field]);
    if (changed.length === 0) return account;
    if (ban) await this.#bans.release(userId, ban, manager);
    const written = await this.#write(userId, after, manager);
    await this.#limitTotals(userId, after, manager);
    if (ban) await this.#bans.reject(userId, ban, author, manager);
    const only = (state: State): object => Object.fromEntries(changed.map((field) => [field, state[field]]));
    const change = { call: `accounts.${call}`, subject: 'account', subjectId: account.id, userId };
    await this.#audit.record([{ ...change, before: only(account), after: only(after) }], author, manager);
    return written;
  }

  async #write(userId: string, { suspendedAt, bannedAt }: State, manager: EntityManager): Promise<ReferralAccount> {
    const query = sql(
      { user: userId, suspendedAt, bannedAt, now: this.#clock.parameter() },
      ($) => `
      UPDATE ${this.#database.tables.accounts} a SET suspended_at = ${$.suspendedAt}::timestamptz,
        banned_at = ${$.bannedAt}::timestamptz, updated_at = ${timeOf($.now)},
        suspensions = a.suspensions + (a.suspended_at IS NULL)::integer
      WHERE a.user_id = ${$.user} RETURNING ${this.#database.columns(ReferralAccount)}`,
    );
    const [row] = await this.#database.query<object>(query, manager);
    return this.#database.entity(ReferralAccount, row!);
  }

  /**
   * Writes into the totals how many commissions there may be, after the account was locked: no row is new from then on. So
   * a purchase that began before the suspension either has added its commission by now, or is refused. At the end of the
   * suspension, the next run of earn-outs looks at the account.
   */
  async #limitTotals(userId: string, { suspendedAt }: State, manager: EntityManager): Promise<void> {
    const { totals } = this.#database.tables;
    const query = sql(
      { user: userId, isSuspended: suspendedAt !== null, now: this.#clock.parameter() },
      ($) => `
      UPDATE ${totals} t SET most_commissions = CASE WHEN ${$.isSuspended}::boolean THEN t.commissions END,
        due_at = CASE WHEN ${$.isSuspended}::boolean THEN t.due_at ELSE ${timeOf($.now)} END
      FROM (
        SELECT channel_id, mode FROM ${totals} WHERE user_id = ${$.user} ORDER BY channel_id, mode FOR NO KEY UPDATE
      ) AS locked
      WHERE t.user_id = ${$.user} AND t.channel_id = locked.channel_id AND t.mode = locked.mode`,
    );
    await this.#database.query(query, manager);
  }
}
