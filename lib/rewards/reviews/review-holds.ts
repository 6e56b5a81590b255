import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { ReferralReview } from '../../entities/referral-review';
import type { CommissionHolds } from '../commissions/commission-holds';
import type { Waiting } from '../earn-outs/waiting';

/** The cause of the holds of a review, as `held_for` names it. */
export const causeOf = ({ id }: Pick<ReferralReview, 'id'>): string => `review:${id}`;

/**
 * Holds what the subject of a review earns and is granted, and releases it. A pair's commissions are held, those that are
 * made later too, and the credits of its sign-up wait. An account's payouts wait.
 *
 * The rows of sign-up, referee and account tell what is made later that it is held, so they are changed before the
 * commissions.
 */
export class ReviewHolds {
  readonly #database: Database;
  readonly #commissions: CommissionHolds;
  readonly #waiting: Waiting;

  constructor(database: Database, commissions: CommissionHolds, waiting: Waiting) {
    this.#database = database;
    this.#commissions = commissions;
    this.#waiting = waiting;
  }

  async hold(review: ReferralReview, within: EntityManager): Promise<void> {
    await this.#mark(review, (cause) => `array_remove(held_for, ${cause}) || ${cause}`, within);
    const { userId, refereeId } = review;
    if (userId !== null && refereeId !== null)
      await this.#commissions.hold({ referrer: userId, referee: refereeId }, causeOf(review), within);
  }

  /** Ends the hold, as if it had never been. */
  async release(review: ReferralReview, within: EntityManager): Promise<void> {
    await this.#mark(review, (cause) => `array_remove(held_for, ${cause})`, within);
    const { userId, refereeId } = review;
    if (userId !== null && refereeId !== null)
      await this.#commissions.release({ referrer: userId, referee: refereeId }, causeOf(review), within);
    else if (userId !== null && refereeId === null) await this.#waiting.wake(userId, within);
  }

  /**
   * Holds commissions of a referrer that are in no earn-out any more. Those in an earn-out can't be held, so a review that
   * holds the pair has left them out.
   */
  async holdFreed(referrer: string, within: EntityManager): Promise<void> {
    const { commissions, referees } = this.#database.tables;
    const query = sql(
      { referrer },
      ($) => `SELECT DISTINCT e.referee_id AS referee, cause
        FROM ${referees} e CROSS JOIN unnest(e.held_for) AS h (cause)
        JOIN ${commissions} c ON c.user_id = e.user_id AND c.referee_id = e.referee_id
        WHERE e.user_id = ${$.referrer} AND e.held_for <> '{}' AND c.earn_out_id IS NULL AND c.rejected_at IS NULL
          AND c.moved_at IS NULL
          AND NOT c.held_for @> ARRAY[cause]`,
    );
    const free = await this.#database.query<{ referee: string; cause: string }>(query, within);
    for (const { referee, cause } of free) await this.#commissions.hold({ referrer, referee }, cause, within);
  }

  async #mark(review: ReferralReview, changed: (cause: string) => string, within: EntityManager): Promise<void> {
    const { signups, referees, accounts } = this.#database.tables;
    const { userId, refereeId } = review;
    const mark = (table: string, whose: ($: { user: string; referee: string }) => string): Promise<unknown> =>
      this.#database.query(
        sql(
          { user: userId, referee: refereeId, cause: causeOf(review) },
          ($) => `UPDATE ${table} SET held_for = ${changed(`${$.cause}::text`)}
            WHERE ${whose({ user: `${$.user}::varchar`, referee: `${$.referee}::varchar` })}`,
        ),
        within,
      );
    if (refereeId !== null) {
      await mark(signups, ($) => `user_id = ${$.referee} AND referrer_id IS NOT DISTINCT FROM ${$.user}`);
      await mark(referees, ($) => `user_id = ${$.user} AND referee_id = ${$.referee}`);
    } else await mark(accounts, ($) => `user_id = ${$.user} AND ${$.referee} IS NULL`);
  }
}
