import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of coupons: who has applied and redeemed them, and what they offer. */
export function couponInvariants({ channels, buyers, redemptions, purchases }: Database['tables']): Invariant[] {
  return [
    {
      name: 'a redeemed coupon is of a purchase with it',
      table: 'redemptions',
      sql: `SELECT r.user_id || '/' || r.channel_id AS id, r.channel_id AS expected, p.channel_id AS found
       FROM ${redemptions} r LEFT JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
       WHERE p.channel_id IS DISTINCT FROM r.channel_id OR p.source IS DISTINCT FROM 'coupon'`,
    },
    {
      name: 'a coupon that is on is redeemed, or not yet',
      table: 'buyers',
      sql: `SELECT b.user_id AS id, b.is_redeemed AS expected, r.user_id IS NOT NULL AS found
       FROM ${buyers} b LEFT JOIN ${redemptions} r ON r.user_id = b.user_id AND r.channel_id = b.channel_id
       WHERE b.channel_id IS NOT NULL AND b.is_redeemed <> (r.user_id IS NOT NULL)`,
    },
    {
      name: 'a buyer first paid at the first purchase',
      table: 'buyers',
      sql: `SELECT coalesce(b.user_id, p.user_id) AS id, p.first AS expected, b.first_purchase_at AS found
       FROM ${buyers} b FULL JOIN (
         SELECT user_id, min(purchased_at) AS first FROM ${purchases} WHERE amount > 0 GROUP BY 1
       ) p
         ON p.user_id = b.user_id
       WHERE p.first IS DISTINCT FROM b.first_purchase_at`,
    },
    {
      name: 'rates and discounts are shares',
      table: 'channels',
      sql: `SELECT id, '0 to 1' AS expected, greatest(initial_rate, ongoing_rate, promo_value) AS found FROM ${channels}
       WHERE initial_rate NOT BETWEEN 0 AND 1 OR ongoing_rate NOT BETWEEN 0 AND 1 OR promo_value < 0
         OR (promo_type = 'percent_off' AND promo_value > 1)`,
    },
  ];
}
