import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralRefund } from '../../entities/referral-refund';
import { creditTakenBack } from './credit-taken-back';
import { decidedPurchases } from './decided-purchases';
import { quotientInCents } from './quotient';
import { periodChanges } from './referrer-periods';

export interface RefundParameters {
  buyer: string;
  /** The reference of the refund. */
  reference: string;
  /** The reference of the purchase. */
  purchase: string;
  /** In the currency of the purchase; null for all that is left of it. */
  amount: string | null;
  /** The option `earnOuts.takeBackCredit`. */
  takesBack: boolean;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

/**
 * The result, one row: the columns of the refund and of the purchase's commission, or nulls if there is none. Amounts
 * have the format of PostgreSQL.
 */
export interface RefundRow {
  'isNew': boolean;
  /** Whether the refund has the purchase and the amount of this call; null if there is no refund. */
  'isSame': boolean | null;
  /** Whether this refund changed the commission. */
  'isLowered': boolean;
  /** The amount of the purchase; null if there is no such purchase. */
  'paid': string | null;
  /** The amount that was left to refund before this call, in the currency of the purchase. */
  'left': string | null;
  /** The currency of the purchase; null for the program's. */
  'currency': string | null;
  'refund.userId': string | null;
  'refund.purchase': string | null;
  'commission.id': string | null;
}

/**
 * Records a refund of a purchase, and subtracts its share from the commission. The sum of what was subtracted is in
 * proportion to the sum of the refunds, rounded half up to the minor unit once. So the order of partial refunds makes no
 * difference.
 *
 * The caller holds the lock on the buyer's row (`takeTurn`), so that the calls for one buyer run one at a time. This
 * statement then locks the commission, which an earn-out may be binding at the same time, and the row of the referrer's
 * totals, which purchases of other buyers lock too. If it takes back credit, it locks the account and that in between.
 */
export function refundStatement(database: Database): Statement<RefundParameters> {
  const { tables, currency } = database;
  return statement<RefundParameters>(
    { buyer: true, reference: true, purchase: true, amount: true, takesBack: true, now: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- An earlier refund with this reference. If there is one, the statement returns it and writes nothing.
    known AS (
      SELECT * FROM ${tables.refunds} WHERE user_id = ${$.buyer} AND reference = ${$.reference}
    ),
    -- The purchase, with what is left to refund (rest) and what this call refunds (back), in the currency of the purchase.
    wanted AS (
      SELECT p.*, rest, coalesce(${$.amount}::numeric, rest) AS back
      FROM ${decidedPurchases(tables)} AS p
      CROSS JOIN LATERAL (SELECT coalesce(p.original_amount - p.original_refunded, p.amount - p.refunded) AS rest) AS r
      WHERE p.user_id = ${$.buyer} AND p.reference = ${$.purchase}
    ),
    -- Inserts the refund. It guards the writes below: no row if the refund is known, is zero, or exceeds what is left. The
    -- sum of all refunds is converted, so that those of the whole purchase add up to its amount in any order. After one that
    -- was undone, the sum can be a cent above that.
    made AS (
      INSERT INTO ${tables.refunds} (user_id, reference, purchase, amount, currency, original_amount, created_at)
      SELECT ${$.buyer}, ${$.reference}, ${$.purchase},
        CASE WHEN back = rest THEN amount - refunded WHEN currency IS NULL THEN back
          ELSE greatest(round((original_refunded + back) * exchange_rate, ${currency.digits}) - refunded, 0) END,
        currency, CASE WHEN currency IS NOT NULL THEN back END, at.now
      FROM wanted CROSS JOIN at
      WHERE back > 0 AND back <= rest AND NOT EXISTS (SELECT FROM known)
      RETURNING *
    ),
    -- Adds the refund to the sum and the number of the purchase's refunds.
    refunded AS (
      UPDATE ${tables.purchases} p SET refunded = p.refunded + made.amount, refund_count = p.refund_count + 1,
        original_refunded = p.original_refunded + made.original_amount
      FROM made WHERE p.user_id = ${$.buyer} AND p.reference = ${$.purchase}
    ),
    -- Locks the commission. back: the amount to subtract, which is the share of all refunds minus what was subtracted
    -- before; nothing if the commission is rejected, because nothing is left of it.
    locked AS (
      SELECT m.*, w.is_revenue, w.back = w.rest AS is_whole,
        CASE WHEN m.rejected_at IS NULL
          THEN ${quotientInCents('m.earned * (w.refunded + made.amount)', 'w.amount', currency.digits)}
            - (m.earned - m.amount)
          ELSE 0 END AS back
      FROM made CROSS JOIN wanted w
      JOIN ${tables.commissions} m
        ON m.user_id = w.referrer_id AND m.referee_id = ${$.buyer} AND m.purchase = ${$.purchase} AND m.kind = 'purchase'
        AND m.moved_at IS NULL
      FOR NO KEY UPDATE OF m
    ),
    -- Lowers the commission. If the purchase is refunded in full, the commission is reverted.
    lowered AS (
      UPDATE ${tables.commissions} m SET amount = locked.amount - locked.back, updated_at = at.now,
        reverted_at = CASE WHEN locked.is_whole THEN at.now END
      FROM locked CROSS JOIN at WHERE m.user_id = locked.user_id AND m.id = locked.id AND locked.rejected_at IS NULL
      RETURNING m.*
    ),
    ${creditTakenBack(tables, 'locked', $.takesBack)},
    -- Inserts an entry for the subtracted amount. If an earn-out has paid the commission, a later one subtracts what was
    -- not taken back from credit.
    entered AS (
      INSERT INTO ${tables.commissionEntries} (user_id, commission_id, amount, refund, taken_back, created_at)
      SELECT locked.user_id, locked.id, -locked.back, ${$.reference}, coalesce((SELECT amount FROM taken_back), 0), at.now
      FROM locked CROSS JOIN at WHERE locked.back > 0
      RETURNING *
    ),
    -- Subtracts from the sum that this referee has earned the referrer, so that the limit leaves more room again.
    referee AS (
      UPDATE ${tables.referees} e SET earned = e.earned - locked.back
      FROM locked WHERE e.user_id = locked.user_id AND e.referee_id = ${$.buyer}
    ),
    -- Subtracts from what a limit for the referrer counts in the period: after the account and before the totals, as a
    -- purchase does.
    ${periodChanges(tables, 'locked', { after: 'unpaid' })},
    -- Subtracts from the referrer's totals, also for a purchase that earned no commission but counts as revenue.
    -- count(*) >= 0 is always true. It makes PostgreSQL execute unpaid and limited first, so that their locks precede this one.
    subtracted AS (
      UPDATE ${tables.totals} t SET amount = t.amount - coalesce(locked.back, 0),
        reverted = t.reverted + coalesce(locked.is_whole AND locked.rejected_at IS NULL, false)::integer,
        matured = t.matured - (
          locked.available_at <= t.matured_until AND locked.rejected_at IS NULL AND locked.is_whole IS TRUE
        )::integer,
        matured_amount = t.matured_amount
          - CASE WHEN locked.available_at <= t.matured_until THEN locked.back ELSE 0 END,
        revenue = t.revenue - CASE WHEN w.is_revenue THEN made.amount ELSE 0 END
      FROM made CROSS JOIN wanted w LEFT JOIN locked ON true
      WHERE t.user_id = w.referrer_id AND t.channel_id = coalesce(w.channel_id, 0) AND t.mode = w.mode
        AND (locked.id IS NOT NULL OR w.is_revenue)
        AND (SELECT count(*) FROM unpaid) + (SELECT count(*) FROM limited) >= 0
    )
    SELECT w.amount::text AS paid, w.rest::text AS "left", w.currency, EXISTS (SELECT FROM made) AS "isNew",
      EXISTS (SELECT FROM entered) OR EXISTS (SELECT FROM locked WHERE is_whole AND rejected_at IS NULL) AS "isLowered",
      r.purchase = ${$.purchase}
        AND (${$.amount}::numeric IS NULL OR coalesce(r.original_amount, r.amount) = ${$.amount}::numeric) AS "isSame",
      ${database.columns(ReferralRefund, 'r', 'refund.')}, ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always LEFT JOIN wanted w ON true
    LEFT JOIN (SELECT * FROM made UNION ALL SELECT * FROM known) AS r ON true
    LEFT JOIN (
      SELECT * FROM lowered
      UNION ALL SELECT m.* FROM ${tables.commissions} m JOIN wanted w ON m.user_id = w.referrer_id
      WHERE m.referee_id = ${$.buyer} AND m.purchase = ${$.purchase} AND m.kind = 'purchase' AND m.moved_at IS NULL
        AND NOT EXISTS (SELECT FROM lowered)
    ) AS m ON true`,
  );
}
