import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { ReferralRefund } from '../../entities/referral-refund';
import { decidedPurchases } from './decided-purchases';
import { quotientInCents } from './quotient';
import { periodChanges } from './referrer-periods';

export interface UndoParameters {
  buyer: string;
  /** The reference of the refund. */
  reference: string;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

/** The result, one row: the columns of the refund and of the purchase's commission, or nulls if there is none. */
export interface UndoRow {
  /** Whether this call undid it. */
  'isNew': boolean;
  'refund.userId': string | null;
  'commission.id': string | null;
}

/**
 * Undoes a refund: puts back what it took of the purchase, and of the commission. What the commission has then is in
 * proportion to the refunds that are left, rounded as `refundStatement` rounds. So the order of refunds and undoings makes
 * no difference. It is put back also if later purchases have used the room of the limit meanwhile: what the referrer had
 * earned before stays earned.
 *
 * The caller holds the lock on the buyer's row (`takeTurn`). The other locks, and their order, are those of a refund.
 */
export function undoStatement(database: Database): Statement<UndoParameters> {
  const { tables, currency } = database;
  return statement<UndoParameters>(
    { buyer: true, reference: true, now: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The refund. It guards the writes below: no row if there is none, or if it is undone.
    undone AS (
      UPDATE ${tables.refunds} r SET undone_at = at.now
      FROM at WHERE r.user_id = ${$.buyer} AND r.reference = ${$.reference} AND r.undone_at IS NULL
      RETURNING r.*
    ),
    -- The purchase, as it was before.
    wanted AS (
      SELECT p.* FROM undone JOIN ${decidedPurchases(tables)} AS p
        ON p.user_id = undone.user_id AND p.reference = undone.purchase
    ),
    -- Subtracts the refund from the sum of the purchase's refunds.
    restored AS (
      UPDATE ${tables.purchases} p SET refunded = p.refunded - undone.amount,
        original_refunded = p.original_refunded - undone.original_amount
      FROM undone WHERE p.user_id = undone.user_id AND p.reference = undone.purchase
    ),
    -- Locks the commission. back: the amount to add, which is what the refunds that are left leave of it, minus what it
    -- has; nothing if the commission is rejected.
    locked AS (
      SELECT m.*, (m.reverted_at IS NOT NULL)::integer AS was_reverted,
        m.earned - ${quotientInCents('m.earned * (w.refunded - undone.amount)', 'w.amount', currency.digits)} - m.amount AS back
      FROM undone CROSS JOIN wanted w
      JOIN ${tables.commissions} m
        ON m.user_id = w.referrer_id AND m.referee_id = w.user_id AND m.purchase = w.reference
        AND m.kind = 'purchase' AND m.moved_at IS NULL
      WHERE m.rejected_at IS NULL
      FOR NO KEY UPDATE OF m
    ),
    -- Raises the commission. It is not reverted any more, because the purchase is not refunded in full.
    raised AS (
      UPDATE ${tables.commissions} m SET amount = locked.amount + locked.back, updated_at = at.now, reverted_at = NULL
      FROM locked CROSS JOIN at WHERE m.user_id = locked.user_id AND m.id = locked.id
      RETURNING m.*
    ),
    -- Inserts an entry for the added amount. If an earn-out has paid the commission, a later one pays the entry.
    entered AS (
      INSERT INTO ${tables.commissionEntries} (user_id, commission_id, kind, amount, refund, created_at)
      SELECT locked.user_id, locked.id, 'undo', locked.back, ${$.reference}, at.now
      FROM locked CROSS JOIN at WHERE locked.back > 0
    ),
    -- Adds to the sum that this referee has earned the referrer.
    referee AS (
      UPDATE ${tables.referees} e SET earned = e.earned + locked.back
      FROM locked WHERE e.user_id = locked.user_id AND e.referee_id = locked.referee_id
    ),
    -- Adds to what a limit for the referrer counts in the period.
    ${periodChanges(tables, 'locked', { back: '-back' })},
    -- Adds to the referrer's totals. The next run looks at the user, because the amount may be ready.
    added AS (
      UPDATE ${tables.totals} t SET amount = t.amount + coalesce(locked.back, 0),
        reverted = t.reverted - coalesce(locked.was_reverted, 0),
        matured = t.matured + CASE WHEN locked.available_at <= t.matured_until THEN locked.was_reverted ELSE 0 END,
        matured_amount = t.matured_amount
          + CASE WHEN locked.available_at <= t.matured_until THEN locked.back ELSE 0 END,
        revenue = t.revenue + CASE WHEN w.is_revenue THEN undone.amount ELSE 0 END,
        due_at = CASE WHEN locked.back > 0 THEN at.now ELSE t.due_at END,
        due_terms = CASE WHEN locked.back > 0 THEN 0 ELSE t.due_terms END
      FROM undone CROSS JOIN at CROSS JOIN wanted w LEFT JOIN locked ON true
      WHERE t.user_id = w.referrer_id AND t.channel_id = coalesce(w.channel_id, 0) AND t.mode = w.mode
        AND (locked.id IS NOT NULL OR w.is_revenue) AND (SELECT count(*) FROM limited) >= 0
    )
    SELECT EXISTS (SELECT FROM undone) AS "isNew", ${database.columns(ReferralRefund, 'r', 'refund.')},
      ${database.columns(ReferralCommission, 'm', 'commission.')}
    FROM (SELECT) AS always
    LEFT JOIN (
      SELECT * FROM undone
      UNION ALL SELECT * FROM ${tables.refunds} r
      WHERE r.user_id = ${$.buyer} AND r.reference = ${$.reference} AND r.undone_at IS NOT NULL
    ) AS r ON true
    LEFT JOIN ${decidedPurchases(tables)} AS p ON p.user_id = r.user_id AND p.reference = r.purchase
    LEFT JOIN LATERAL (
      SELECT * FROM raised
      UNION ALL SELECT m.* FROM ${tables.commissions} m
      WHERE m.user_id = p.referrer_id AND m.referee_id = p.user_id AND m.purchase = p.reference
        AND m.kind = 'purchase' AND m.moved_at IS NULL AND NOT EXISTS (SELECT FROM raised)
    ) AS m ON true`,
  );
}
