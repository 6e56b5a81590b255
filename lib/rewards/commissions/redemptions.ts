import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';

/**
 * Gives redeemed coupons back: the place is free again, and the buyer may apply the coupon once more. The row of the
 * redemption stays, and the next redemption of the same buyer takes it over.
 *
 * Callers hold the lock on the buyer's row (`takeTurn`). As in a purchase, the referral of the coupon is locked next.
 */
export class Redemptions {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Locks the coupon that a purchase has redeemed, if a refund gives it back. Returns its id; null if there is nothing to
   * give back. Call it before the refund locks the referrer's totals.
   */
  async lockRestorable(buyer: string, purchase: string, manager: EntityManager): Promise<string | null> {
    const { redemptions, channels, referrals } = this.#database.tables;
    const [row] = await this.#database.query<{ id: string }>(
      sql(
        { buyer, purchase },
        ($) => `
        SELECT r.id FROM ${redemptions} d JOIN ${channels} c ON c.id = d.channel_id JOIN ${referrals} r ON r.id = c.id
        WHERE d.user_id = ${$.buyer} AND d.reference = ${$.purchase} AND d.given_back_at IS NULL AND c.restore_on_refund
        FOR NO KEY UPDATE OF r`,
      ),
      manager,
    );
    return row?.id ?? null;
  }

  /**
   * Gives back a coupon that was redeemed, once the purchase is refunded as a whole: in the currency in which it was paid,
   * because the sum of partial refunds can be rounded to its amount in the program's.
   */
  async restore(buyer: string, channel: string, manager: EntityManager): Promise<void> {
    const isWhole = 'coalesce(p.original_refunded >= p.original_amount, p.refunded = p.amount)';
    await this.#giveBack(buyer, channel, isWhole, manager);
  }

  /** Gives back a coupon that was redeemed, whatever became of the purchase. Returns the reference of that purchase. */
  async giveBack(buyer: string, channel: string, manager: EntityManager): Promise<string | null> {
    const { referrals } = this.#database.tables;
    await this.#database.query(
      sql({ channel }, ($) => `SELECT FROM ${referrals} WHERE id = ${$.channel} FOR NO KEY UPDATE`),
      manager,
    );
    return this.#giveBack(buyer, channel, 'true', manager);
  }

  async #giveBack(buyer: string, channel: string, when: string, manager: EntityManager): Promise<string | null> {
    const { redemptions, purchases, referrals, totals, buyers } = this.#database.tables;
    const [row] = await this.#database.query<{ reference: string }>(
      sql(
        { buyer, channel, now: this.#clock.parameter() },
        ($) => `
        WITH
        -- Marks the redemption. It guards the writes below.
        given_back AS (
          UPDATE ${redemptions} d SET given_back_at = greatest(${timeOf($.now)}, d.created_at), is_kept = false
          FROM ${purchases} p
          WHERE d.user_id = ${$.buyer} AND d.channel_id = ${$.channel}::bigint AND d.given_back_at IS NULL
            AND p.user_id = d.user_id AND p.reference = d.reference AND ${when}
          RETURNING d.user_id, d.channel_id, d.reference, p.referrer_id, p.mode
        ),
        -- The place is free again. The row is locked already.
        freed AS (
          UPDATE ${referrals} r SET redemptions = r.redemptions - 1 FROM given_back g WHERE r.id = g.channel_id
        ),
        -- A recurring coupon is no longer on.
        taken_off AS (
          UPDATE ${buyers} b SET channel_id = NULL, applied_at = NULL, is_redeemed = false, version = b.version + 1
          FROM given_back g WHERE b.user_id = g.user_id AND b.channel_id = g.channel_id AND b.is_redeemed
        ),
        -- Subtracts from the totals of the coupon's owner, after the lock on the referral.
        uncounted AS (
          UPDATE ${totals} t SET redemptions = t.redemptions - 1 FROM given_back g
          WHERE t.user_id = g.referrer_id AND t.channel_id = g.channel_id AND t.mode = g.mode
        )
        SELECT reference FROM given_back`,
      ),
      manager,
    );
    return row?.reference ?? null;
  }
}
