import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralPurchase } from '../../entities/referral-purchase';
import { ReferralRefund } from '../../entities/referral-refund';
import { isOn } from './channel-terms';

/**
 * Records a purchase and its commission, in one statement. `$1` buyer, `$2` reference, `$3` amount, `$4` when it was paid, `$5` now,
 * `$6` the referral that the buyer without a sign-up is attributed to, `$7` whether that is the buyer's own, `$8` the option's ratio,
 * `$9` its limit, `$10` its pending days, `$11` whether `$6` was looked for: without it, and without a sign-up, nothing is written.
 *
 * What a buyer does takes turns on the buyer's row: all that is read here is as the row's version of the snapshot has it, and only
 * the statement that finds this version still there when it comes to update it writes anything. Another is to be asked again.
 *
 * The rows that many buyers share are touched last, in one order: the referrer's account, if it counts one more user, then the
 * totals. (PostgreSQL tests the constraint of an account on the row to be inserted too, also where one is updated in its place.) Of a
 * sign-up and a purchase at once, the row of the referee tells who was first to count it.
 */
export function purchaseStatement(database: Database): string {
  const { tables } = database;
  return `
    WITH recorded AS (
      SELECT * FROM ${tables.purchases} WHERE user_id = $1 AND reference = $2
    ), at AS (
      SELECT ${timeOf('$5')} AS now, coalesce($4::timestamptz, ${timeOf('$5')}) AS purchased_at
      WHERE NOT EXISTS (SELECT FROM recorded) AND ($11::boolean OR EXISTS (SELECT FROM ${tables.signups} WHERE user_id = $1))
    ), buyer AS (
      SELECT b.* FROM (SELECT) AS always LEFT JOIN ${tables.buyers} b ON b.user_id = $1
    ), candidates (rank, source, referral_id, referrer_id, ratio, max) AS (
      SELECT 1, 'coupon', c.id, NULL, NULL::numeric, NULL::numeric
      FROM buyer b JOIN ${tables.channels} c ON c.id = b.channel_id CROSS JOIN at WHERE ${isOn('at.purchased_at')}
      UNION ALL SELECT 2, 'sign-up', referral_id, referrer_id, commission_ratio, commission_max_per_referee
      FROM ${tables.signups} WHERE user_id = $1 AND referrer_id IS NOT NULL
      UNION ALL SELECT 3, 'attribution', r.id, NULL, p.commission_ratio, p.commission_max_per_referee
      FROM ${tables.referrals} r LEFT JOIN ${tables.programs} p ON p.id = r.program_id WHERE r.id = $6::bigint
      UNION ALL SELECT 4, 'earlier-coupon', last_channel_id, NULL, NULL, NULL FROM buyer WHERE last_channel_id IS NOT NULL
    ), choice AS (
      SELECT k.source, k.referral_id, c.id AS channel_id, c.is_recurring, coalesce(k.referrer_id, r.user_id) AS referrer_id,
        coalesce(CASE
          WHEN at.purchased_at < least(b.first_purchase_at, at.purchased_at) + c.initial_rate_period_days * interval '24 hours'
          THEN c.initial_rate ELSE c.ongoing_rate
        END, k.ratio, $8::numeric) AS rate,
        CASE WHEN c.id IS NOT NULL THEN c.max_earnings_per_referred WHEN k.ratio IS NOT NULL THEN k.max ELSE $9::numeric END AS max
      FROM candidates k JOIN ${tables.referrals} r ON r.id = k.referral_id LEFT JOIN ${tables.channels} c ON c.id = r.id
      CROSS JOIN at CROSS JOIN buyer b
      WHERE coalesce(k.referrer_id, r.user_id) IS NOT NULL ORDER BY k.rank LIMIT 1
    ), priced AS (
      SELECT k.*, CASE WHEN k.referrer_id IS NOT NULL THEN coalesce(a.mode, 'credits') END AS mode, a.user_id IS NULL AS is_first_use,
        r.user_id IS NULL AS is_new, r.upgraded_at IS NULL AND $3::numeric > 0 AS is_upgrade,
        k.source IS NOT DISTINCT FROM 'attribution' AND $7::boolean AS is_own,
        k.source IS NOT DISTINCT FROM 'coupon' AND NOT b.is_redeemed AS is_redeeming,
        round($3::numeric * k.rate, 2) AS whole, trunc(k.max - coalesce(r.earned, 0), 2) AS room
      FROM at CROSS JOIN buyer b LEFT JOIN choice k ON true LEFT JOIN ${tables.accounts} a ON a.user_id = k.referrer_id
      LEFT JOIN ${tables.referees} r ON r.user_id = k.referrer_id AND r.referee_id = $1
    ), judged AS (
      SELECT *, coalesce(channel_id IS NOT NULL AND NOT is_own AND NOT EXISTS (
          SELECT FROM ${tables.signups} s WHERE s.user_id = $1 AND s.referrer_id <> priced.referrer_id
          UNION ALL SELECT FROM ${tables.referrals} r WHERE r.id = $6::bigint AND r.user_id <> priced.referrer_id
        ), false) AS is_revenue,
        CASE WHEN referrer_id IS NULL THEN 'no-referrer' WHEN is_own THEN 'own-referral' WHEN rate = 0 THEN 'no-rate'
          WHEN whole = 0 THEN 'too-small' WHEN room <= 0 THEN 'limit-reached' END AS no_commission
      FROM priced
    ), earning AS (
      SELECT *, CASE WHEN no_commission IS NULL THEN least(whole, room) ELSE 0 END AS earned FROM judged
    ), updated AS (
      UPDATE ${tables.buyers} b SET version = b.version + 1,
        first_purchase_at = least(b.first_purchase_at, CASE WHEN $3::numeric > 0 THEN at.purchased_at END),
        last_channel_id = CASE WHEN k.is_redeeming THEN k.channel_id ELSE b.last_channel_id END,
        is_redeemed = b.is_redeemed OR (k.is_redeeming AND k.is_recurring),
        channel_id = CASE WHEN k.is_redeeming AND NOT k.is_recurring THEN NULL ELSE b.channel_id END
      FROM earning k CROSS JOIN at CROSS JOIN buyer WHERE b.user_id = $1 AND b.version = buyer.version
      RETURNING b.user_id
    ), inserted AS (
      INSERT INTO ${tables.buyers} (user_id, first_purchase_at)
      SELECT $1, CASE WHEN $3::numeric > 0 THEN at.purchased_at END FROM earning CROSS JOIN at CROSS JOIN buyer b WHERE b.user_id IS NULL
      ON CONFLICT DO NOTHING
      RETURNING user_id
    ), purchased AS (
      INSERT INTO ${tables.purchases} (user_id, reference, amount, purchased_at, source, referral_id, channel_id, referrer_id, mode,
        is_revenue, no_commission, created_at)
      SELECT $1, $2, $3::numeric, at.purchased_at, source, referral_id, channel_id, referrer_id, mode, is_revenue, no_commission, at.now
      FROM earning CROSS JOIN at CROSS JOIN (SELECT FROM updated UNION ALL SELECT FROM inserted) AS turn
      RETURNING *
    ), redeemed AS (
      INSERT INTO ${tables.redemptions} (user_id, channel_id, reference, created_at)
      SELECT $1, k.channel_id, $2, at.now FROM earning k CROSS JOIN at CROSS JOIN purchased WHERE k.is_redeeming
    ), counted AS (
      INSERT INTO ${tables.referees} AS r (user_id, referee_id, met_by, earned, upgraded_at, created_at)
      SELECT k.referrer_id, $1, 'purchase', k.earned, CASE WHEN $3::numeric > 0 THEN at.now END, at.now
      FROM earning k CROSS JOIN at CROSS JOIN purchased WHERE k.referrer_id IS NOT NULL AND NOT k.is_own
      ON CONFLICT (user_id, referee_id) DO UPDATE SET earned = r.earned + excluded.earned,
        upgraded_at = coalesce(r.upgraded_at, excluded.upgraded_at)
      RETURNING met_by
    ), commission AS (
      INSERT INTO ${tables.commissions} (user_id, referee_id, purchase, referral_id, channel_id, mode, rate, max_per_referee, earned,
        amount, available_at, created_at, updated_at)
      SELECT k.referrer_id, $1, $2, k.referral_id, k.channel_id, k.mode, k.rate, k.max, k.earned, k.earned,
        at.purchased_at + $10::integer * interval '24 hours', at.now, at.now
      FROM earning k CROSS JOIN at CROSS JOIN purchased WHERE k.no_commission IS NULL
      RETURNING *
    ), account AS (
      INSERT INTO ${tables.accounts} AS a (user_id, users_referred, users_upgraded, created_at, updated_at)
      SELECT k.referrer_id, (k.is_new AND counted.met_by = 'purchase')::integer,
        (k.is_new AND counted.met_by = 'purchase' AND k.is_upgrade)::integer, at.now, at.now
      FROM earning k CROSS JOIN at CROSS JOIN counted WHERE k.is_first_use OR k.is_new OR k.is_upgrade
      ON CONFLICT (user_id) DO UPDATE SET users_referred = a.users_referred + excluded.users_referred,
        users_upgraded = a.users_upgraded + (SELECT is_upgrade::integer FROM earning)
      RETURNING user_id
    ), added AS (
      INSERT INTO ${tables.totals} AS t (user_id, channel_id, mode, commissions, amount, matured, matured_amount, matured_until,
        redemptions, revenue)
      SELECT k.referrer_id, coalesce(k.channel_id, 0), k.mode, (m.id IS NOT NULL)::integer, k.earned,
        coalesce((m.available_at <= at.now)::integer, 0), CASE WHEN m.available_at <= at.now THEN m.earned ELSE 0 END, at.now,
        k.is_redeeming::integer, CASE WHEN k.is_revenue THEN $3::numeric ELSE 0 END
      FROM earning k CROSS JOIN at CROSS JOIN purchased LEFT JOIN commission m ON true
      WHERE (m.id IS NOT NULL OR (k.channel_id IS NOT NULL AND NOT k.is_own)) AND (SELECT count(*) FROM account) >= 0
      ON CONFLICT (user_id, channel_id, mode) DO UPDATE SET commissions = t.commissions + excluded.commissions,
        amount = t.amount + excluded.amount, redemptions = t.redemptions + excluded.redemptions, revenue = t.revenue + excluded.revenue,
        matured = t.matured + CASE WHEN ${isMatured} THEN excluded.commissions ELSE 0 END,
        matured_amount = t.matured_amount + CASE WHEN ${isMatured} THEN excluded.amount ELSE 0 END
    )
    SELECT EXISTS (SELECT FROM purchased) AS "isNew", p.amount = $3::numeric AS "isSame",
      EXISTS (SELECT FROM ${tables.signups} WHERE user_id = $1) AS "hasSignedUp",
      ${database.columns(ReferralPurchase, 'p', 'purchase.')}, ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always LEFT JOIN (SELECT * FROM purchased UNION ALL SELECT * FROM recorded) AS p ON true
    LEFT JOIN (
      SELECT * FROM commission
      UNION ALL SELECT m.* FROM recorded k JOIN ${tables.commissions} m
        ON m.user_id = k.referrer_id AND m.referee_id = $1 AND m.purchase = $2
    ) AS m ON true`;
}

/** Whether the new commission is among what a row of totals counts as available. */
const isMatured = `(SELECT available_at FROM commission) <= t.matured_until`;

/**
 * Records a refund of a purchase of a buyer whose row is locked, and takes its share of the commission back by an entry. What has been
 * taken back in all is in proportion to what has been refunded in all, rounded half up to cents, so that no order of refunds makes
 * a difference.
 *
 * `$1` buyer, `$2` reference, `$3` the purchase's reference, `$4` amount, null for what is left, `$5` now.
 */
export function refundStatement(database: Database): string {
  const { tables } = database;
  return `
    WITH at AS (
      SELECT ${timeOf('$5')} AS now
    ), known AS (
      SELECT * FROM ${tables.refunds} WHERE user_id = $1 AND reference = $2
    ), wanted AS (
      SELECT p.*, p.amount - p.refunded AS rest, coalesce($4::numeric, p.amount - p.refunded) AS back
      FROM ${tables.purchases} p WHERE p.user_id = $1 AND p.reference = $3
    ), made AS (
      INSERT INTO ${tables.refunds} (user_id, reference, purchase, amount, created_at)
      SELECT $1, $2, $3, back, at.now FROM wanted CROSS JOIN at
      WHERE back > 0 AND back <= rest AND NOT EXISTS (SELECT FROM known)
      RETURNING *
    ), refunded AS (
      UPDATE ${tables.purchases} p SET refunded = p.refunded + made.amount FROM made WHERE p.user_id = $1 AND p.reference = $3
    ), locked AS (
      SELECT m.*, w.is_revenue, w.refunded + made.amount >= w.amount AS is_whole,
        round(m.earned * (w.refunded + made.amount) / w.amount, 2) - (m.earned - m.amount) AS back
      FROM made CROSS JOIN wanted w JOIN ${tables.commissions} m ON m.user_id = w.referrer_id AND m.referee_id = $1 AND m.purchase = $3
      FOR NO KEY UPDATE OF m
    ), lowered AS (
      UPDATE ${tables.commissions} m SET amount = locked.amount - locked.back, updated_at = at.now,
        reverted_at = CASE WHEN locked.is_whole THEN at.now END
      FROM locked CROSS JOIN at WHERE m.user_id = locked.user_id AND m.id = locked.id
      RETURNING m.*
    ), entered AS (
      INSERT INTO ${tables.commissionEntries} (user_id, commission_id, amount, refund, created_at)
      SELECT locked.user_id, locked.id, -locked.back, $2, at.now FROM locked CROSS JOIN at WHERE locked.back > 0
      RETURNING *
    ), referee AS (
      UPDATE ${tables.referees} r SET earned = r.earned - locked.back
      FROM locked WHERE r.user_id = locked.user_id AND r.referee_id = $1
    ), subtracted AS (
      UPDATE ${tables.totals} t SET amount = t.amount - coalesce(locked.back, 0),
        reverted = t.reverted + coalesce(locked.is_whole, false)::integer,
        matured = t.matured - (locked.available_at <= t.matured_until AND locked.is_whole IS TRUE)::integer,
        matured_amount = t.matured_amount - CASE WHEN locked.available_at <= t.matured_until THEN locked.back ELSE 0 END,
        revenue = t.revenue - CASE WHEN w.is_revenue THEN made.amount ELSE 0 END
      FROM made CROSS JOIN wanted w LEFT JOIN locked ON true
      WHERE t.user_id = w.referrer_id AND t.channel_id = coalesce(w.channel_id, 0) AND t.mode = w.mode
        AND (locked.id IS NOT NULL OR w.is_revenue)
    )
    SELECT w.amount::text AS paid, w.rest::text AS "left", EXISTS (SELECT FROM made) AS "isNew",
      EXISTS (SELECT FROM entered) OR EXISTS (SELECT FROM locked WHERE is_whole) AS "isLowered",
      r.purchase = $3 AND ($4::numeric IS NULL OR r.amount = $4::numeric) AS "isSame",
      ${database.columns(ReferralRefund, 'r', 'refund.')}, ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always LEFT JOIN wanted w ON true
    LEFT JOIN (SELECT * FROM made UNION ALL SELECT * FROM known) AS r ON true
    LEFT JOIN (
      SELECT * FROM lowered
      UNION ALL SELECT m.* FROM ${tables.commissions} m JOIN ${tables.purchases} p ON m.user_id = p.referrer_id
      WHERE p.user_id = $1 AND p.reference = $3 AND m.referee_id = $1 AND m.purchase = $3 AND NOT EXISTS (SELECT FROM lowered)
    ) AS m ON true`;
}
