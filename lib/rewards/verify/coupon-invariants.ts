import type { Database } from '../../database/database';
import { conditionsOn, type Invariant } from './invariant';

/** The invariants of buyers and coupons: what they have bought, applied and redeemed, and what coupons offer. */
export function couponInvariants(tables: Database['tables']): Invariant[] {
  const buyers = conditionsOn('buyers', { rows: buyersWithPurchases(tables), id: 'user_id' });
  const redemptions = conditionsOn('redemptions', {
    rows: redemptionsWithPurchases(tables),
    id: `user_id || '/' || channel_id`,
  });
  const channels = conditionsOn('channels', { rows: channelsWithReferrals(tables), id: 'id' });
  return [
    redemptions('a redeemed coupon is of a purchase with it', {
      expected: 'channel_id',
      found: 'bought_channel_id',
      isBroken: `bought_channel_id IS DISTINCT FROM channel_id OR source IS DISTINCT FROM 'coupon' OR channel IS NULL
        OR created_at IS DISTINCT FROM bought_at OR is_kept IS NULL`,
    }),
    redemptions('a coupon that was given back is off', {
      expected: 'created_at',
      found: 'given_back_at',
      isBroken: 'CASE WHEN given_back_at IS NULL THEN is_restored ELSE is_kept OR given_back_at < created_at END',
    }),
    buyers('a coupon that is on is redeemed, or not yet', {
      expected: 'is_redeemed',
      found: 'is_redeemed_by_row',
      isBroken: 'is_redeemed <> is_redeemed_by_row AND channel_id IS NOT NULL',
    }),
    buyers('a coupon that is on is there, and when it was applied', {
      expected: 'channel_id',
      found: `channel || '/' || applied_at`,
      isBroken: 'channel_id IS NOT NULL AND (channel IS NULL OR applied_at IS NULL)',
    }),
    buyers('a redeemed recurring coupon stays on', {
      expected: 'kept_channel_id',
      found: 'CASE WHEN is_redeemed THEN channel_id END',
      isBroken: `kept > 1 OR kept_channel_id IS DISTINCT FROM CASE WHEN is_redeemed THEN channel_id END
        OR (is_redeemed AND channel_id IS NULL)`,
    }),
    buyers('the last redeemed coupon is known', {
      expected: 'redeemed_channel_id',
      found: 'last_channel_id',
      // The merge of two users forgets the coupon of their own.
      isBroken: `redeemed_channel_id IS DISTINCT FROM last_channel_id
        AND NOT (last_channel_id IS NULL AND reassigned_at IS NOT NULL)`,
    }),
    buyers('a buyer first paid at the first purchase', {
      expected: 'first_bought_at',
      found: 'first_purchase_at',
      isBroken: 'first_bought_at IS DISTINCT FROM first_purchase_at',
    }),
    buyers('every purchase of a buyer is there', {
      expected: `purchase_count || '/' || purchased`,
      found: `coalesce(bought_count, 0) || '/' || coalesce(bought, 0)`,
      isBroken: `(coalesce(bought_count, 0), coalesce(bought, 0)) IS DISTINCT FROM (purchase_count, purchased)`,
    }),
    channels('rates and discounts are shares', {
      expected: `'0 to 1'`,
      found: 'greatest(initial_rate, ongoing_rate, promo_value)',
      isBroken: `initial_rate NOT BETWEEN 0 AND 1 OR ongoing_rate NOT BETWEEN 0 AND 1 OR promo_value < 0
        OR (promo_type = 'percent_off' AND promo_value > 1)`,
    }),
    {
      name: 'redemptions of a code = redeemed coupons',
      table: 'referrals',
      sql: `SELECT r.id, coalesce(d.count, 0) AS expected, r.redemptions AS found
       FROM ${tables.referrals} r
       LEFT JOIN (SELECT channel_id, count(*) FROM ${tables.redemptions} WHERE given_back_at IS NULL GROUP BY 1) d ON d.channel_id = r.id
       WHERE r.redemptions <> coalesce(d.count, 0)`,
    },
    channels('every channel is a referral of somebody', {
      expected: 'id',
      found: 'owner_id',
      isBroken: 'owner_id IS NULL',
    }),
  ];
}

/** Each buyer with the sums of the purchases and with the redeemed coupons, or purchases without a buyer. */
const buyersWithPurchases = ({ buyers, purchases, redemptions, channels }: Database['tables']): string => `(
  SELECT coalesce(b.user_id, p.user_id) AS user_id, b.purchase_count, b.purchased, b.first_purchase_at, b.channel_id,
    b.is_redeemed, b.applied_at, b.last_channel_id, b.reassigned_at, p.count AS bought_count, p.amount AS bought,
    p.first_at AS first_bought_at, r.user_id IS NOT NULL AS is_redeemed_by_row, c.id AS channel,
    d.kept, d.kept_channel_id, d.last[2] AS redeemed_channel_id
  FROM ${buyers} b
  FULL JOIN (
    SELECT user_id, count(*), sum(amount) AS amount, min(purchased_at) FILTER (WHERE amount > 0) AS first_at
    FROM ${purchases} GROUP BY 1
  ) p ON p.user_id = b.user_id
  LEFT JOIN ${channels} c ON c.id = b.channel_id
  LEFT JOIN ${redemptions} r ON r.user_id = b.user_id AND r.channel_id = b.channel_id AND r.given_back_at IS NULL
  LEFT JOIN (
    -- The purchases of a buyer have their ids in the order in which they were recorded.
    SELECT r.user_id, count(*) FILTER (WHERE r.is_kept) AS kept,
      max(r.channel_id) FILTER (WHERE r.is_kept) AS kept_channel_id, max(ARRAY[p.id, r.channel_id]) AS last
    FROM ${redemptions} r LEFT JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference GROUP BY 1
  ) d ON d.user_id = coalesce(b.user_id, p.user_id)
  ) AS buyer`;

const redemptionsWithPurchases = ({ redemptions, purchases, channels }: Database['tables']): string => `(
  SELECT r.user_id, r.channel_id, r.created_at, r.is_kept, r.given_back_at, r.is_restored, p.channel_id AS bought_channel_id, p.source, p.created_at AS bought_at,
    c.id AS channel
  FROM ${redemptions} r LEFT JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
  LEFT JOIN ${channels} c ON c.id = r.channel_id
  ) AS redemption`;

const channelsWithReferrals = ({ channels, referrals }: Database['tables']): string => `(
  SELECT c.*, r.user_id AS owner_id FROM ${channels} c LEFT JOIN ${referrals} r ON r.id = c.id
  ) AS channel`;
