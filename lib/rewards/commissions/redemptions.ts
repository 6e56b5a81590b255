import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isUsedUp } from './channel-terms';

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
    await this.#giveBack(buyer, channel, { when: isWhole, isRestored: true }, manager);
  }

  /**
   * Locks the coupon that a refund of a purchase has given back, if the buyer has not redeemed it since. Returns its id; null
   * if there is nothing to take. Call it before the refund is undone, which locks the referrer's totals.
   */
  async lockRestored(buyer: string, refund: string, manager: EntityManager): Promise<string | null> {
    const { redemptions, refunds, referrals } = this.#database.tables;
    const [row] = await this.#database.query<{ id: string }>(
      sql(
        { buyer, refund },
        ($) => `
        SELECT r.id FROM ${refunds} f JOIN ${redemptions} d ON d.user_id = f.user_id AND d.reference = f.purchase
        JOIN ${referrals} r ON r.id = d.channel_id
        WHERE f.user_id = ${$.buyer} AND f.reference = ${$.refund} AND f.undone_at IS NULL
          AND d.given_back_at IS NOT NULL AND d.is_restored
        FOR NO KEY UPDATE OF r`,
      ),
      manager,
    );
    return row?.id ?? null;
  }

  /**
   * Takes a coupon again that a refund has given back, because the refund is undone: it counts as redeemed, and the buyer
   * who has applied it anew loses it. A recurring one stays on, unless the buyer has applied another one. If other buyers
   * have used it up meanwhile, the buyer keeps it, and can't redeem it.
   */
  async take(buyer: string, channel: string, manager: EntityManager): Promise<void> {
    const { redemptions, purchases, referrals, channels, totals, buyers } = this.#database.tables;
    await this.#database.query(
      sql(
        { buyer, channel, now: this.#clock.parameter() },
        ($) => `
        WITH
        -- Counts the place again, if one is free. The row is locked already. It guards the writes below.
        taken AS (
          UPDATE ${referrals} r SET redemptions = r.redemptions + 1
          WHERE r.id = ${$.channel}::bigint AND NOT ${isUsedUp} RETURNING r.id
        ),
        -- Where the coupon stays on: it is recurring, and the buyer has no other one on.
        kept AS (
          SELECT c.is_recurring AND (b.channel_id IS NULL OR b.channel_id = c.id) AS is_kept
          FROM taken JOIN ${channels} c ON c.id = taken.id JOIN ${buyers} b ON b.user_id = ${$.buyer}
        ),
        -- Marks the redemption.
        redeemed AS (
          UPDATE ${redemptions} d SET given_back_at = NULL, is_restored = false, is_kept = kept.is_kept
          FROM kept CROSS JOIN ${purchases} p
          WHERE d.user_id = ${$.buyer} AND d.channel_id = ${$.channel}::bigint
            AND p.user_id = d.user_id AND p.reference = d.reference
          RETURNING d.channel_id, d.is_kept, p.referrer_id, p.mode
        ),
        -- Puts it on, or takes it off.
        applied AS (
          UPDATE ${buyers} b SET channel_id = CASE WHEN d.is_kept THEN d.channel_id END,
            applied_at = CASE WHEN d.is_kept THEN coalesce(b.applied_at, ${timeOf($.now)}) END,
            is_redeemed = d.is_kept, version = b.version + 1
          FROM redeemed d WHERE b.user_id = ${$.buyer} AND (d.is_kept OR b.channel_id = d.channel_id)
        )
        -- Adds to the totals of the coupon's owner, after the lock on the referral.
        UPDATE ${totals} t SET redemptions = t.redemptions + 1 FROM redeemed d
        WHERE t.user_id = d.referrer_id AND t.channel_id = d.channel_id AND t.mode = d.mode`,
      ),
      manager,
    );
  }

  /** Gives back a coupon that was redeemed, whatever became of the purchase. Returns the reference of that purchase. */
  async giveBack(buyer: string, channel: string, manager: EntityManager): Promise<string | null> {
    const { referrals } = this.#database.tables;
    await this.#database.query(
      sql({ channel }, ($) => `SELECT FROM ${referrals} WHERE id = ${$.channel} FOR NO KEY UPDATE`),
      manager,
    );
    return this.#giveBack(buyer, channel, { when: 'true', isRestored: false }, manager);
  }

  async #giveBack(
    buyer: string,
    channel: string,
    { when, isRestored }: { when: string; isRestored: boolean },
    manager: EntityManager,
  ): Promise<string | null> {
    const { redemptions, purchases, referrals, totals, buyers } = this.#database.tables;
    const [row] = await this.#database.query<{ reference: string }>(
      sql(
        { buyer, channel, isRestored, now: this.#clock.parameter() },
        ($) => `
        WITH
        -- Marks the redemption. It guards the writes below.
        given_back AS (
          UPDATE ${redemptions} d SET given_back_at = greatest(${timeOf($.now)}, d.created_at), is_kept = false,
            is_restored = ${$.isRestored}::boolean
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
