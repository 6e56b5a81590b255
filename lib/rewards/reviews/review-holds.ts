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
 * made later too, and the credits of its sign-up wait. An account's payouts wait. A visitor alone earns nothing.
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
    else if (userId !== null && review.visitorId === null) await this.#waiting.wake(userId, within);
  }

  async #mark(review: ReferralReview, changed: (cause: string) => string, within: EntityManager): Promise<void> {
    const { signups, referees, accounts } = this.#database.tables;
    const { userId, refereeId, visitorId } = review;
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
    } else if (visitorId === null) await mark(accounts, ($) => `user_id = ${$.user} AND ${$.referee} IS NULL`);
  }
}
