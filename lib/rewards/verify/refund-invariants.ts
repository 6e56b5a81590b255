import { currencyOf, minorUnitOf } from '../../currency';
import type { Database } from '../../database/database';
import { decidedPurchases } from '../commissions/decided-purchases';
import { conditionsOn, type Invariant } from './invariant';

/** The invariants of refunds, and of the entries by which they lower commissions. */
export function refundInvariants(tables: Database['tables'], { digits } = currencyOf(undefined)): Invariant[] {
  const cent = minorUnitOf(digits);
  const { refunds, commissions, commissionEntries: entries } = tables;
  // Each entry with the refund of its commission's purchase, or one without the other.
  const rows = `(
    SELECT r.user_id || '/' || r.reference AS refund_id, r.purchase AS refunded, r.user_id AS refunder, r.amount AS back, r.created_at AS back_at,
      r.currency, r.original_amount, r.undone_at, p.currency AS paid_in, p.exchange_rate,
      p.id AS purchase_id, p.amount AS paid, e.id AS entry_id, e.kind, e.refund, e.amount, e.created_at,
      coalesce(c.id, m.id) AS commission_id, c.purchase, coalesce(c.created_at, m.created_at) AS earned_at,
      coalesce(c.earned, m.earned) AS earned, coalesce(c.rejected_at, m.rejected_at) AS rejected_at, c.moved_at
    FROM (
      ${entries} e LEFT JOIN ${commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id
    ) FULL JOIN (
      ${refunds} r LEFT JOIN ${decidedPurchases(tables)} p ON p.user_id = r.user_id AND p.reference = r.purchase
    ) ON r.user_id = c.referee_id AND r.reference = e.refund
    LEFT JOIN ${commissions} m ON e.id IS NULL AND m.referee_id = r.user_id AND m.purchase = r.purchase
      AND m.user_id = p.referrer_id AND m.kind = 'purchase' AND m.moved_at IS NULL
    ) AS entry`;
  const ofRefund = conditionsOn('refunds', { rows, id: 'refund_id' });
  const ofEntry = conditionsOn('commissionEntries', { rows, id: 'entry_id' });
  return [
    ofRefund('every refund is of a purchase', {
      expected: 'refunded',
      found: 'NULL',
      isBroken:
        'refund_id IS NOT NULL AND (purchase_id IS NULL OR CASE WHEN currency IS NULL THEN back <= 0 ELSE back < 0 END)',
    }),
    ofRefund('a refund is in the currency of its purchase, at its rate', {
      isBroken: `refund_id IS NOT NULL AND purchase_id IS NOT NULL AND (
        currency IS DISTINCT FROM paid_in OR (currency IS NULL) <> (original_amount IS NULL) OR original_amount <= 0
        OR (${cent} <= abs(back - original_amount * exchange_rate) AND NOT EXISTS (
          SELECT FROM ${refunds} u WHERE u.user_id = refunder AND u.purchase = refunded AND u.undone_at IS NOT NULL))
      )`,
      // It is the difference of two rounded sums, so it is less than a cent off, unless it follows one that was undone.
      expected: `concat_ws('/', paid_in, round(original_amount * exchange_rate, ${digits}))`,
      found: `concat_ws('/', currency, back)`,
    }),
    ofEntry('every entry is of a refund of the purchase, and is one', {
      expected: 'purchase',
      found: 'refunded',
      isBroken: `entry_id IS NOT NULL AND CASE
        WHEN purchase IS NULL THEN true
        WHEN kind IN ('refund', 'undo') THEN purchase IS DISTINCT FROM refunded OR (kind = 'undo') <> (amount > 0)
        WHEN kind IN ('reject', 'move') THEN refund <> '' OR amount >= 0
      END`,
    }),
    ofEntry('an entry takes back the share of its refund', {
      // An entry is the difference of two rounded sums, so it is less than a cent off the exact share; less than two where
      // the refund is the difference of two converted sums.
      expected: `round(-earned * back / nullif(paid, 0), ${digits})`,
      found: 'amount',
      isBroken: `abs(abs(amount) * paid - earned * back) > CASE WHEN currency IS NULL THEN 1 ELSE 2 END * ${cent} * paid`,
    }),
    ofEntry('an entry was made with its refund', {
      // A refund before a second look got its entry with the commission.
      expected: `CASE kind WHEN 'refund' THEN greatest(back_at, earned_at) WHEN 'undo' THEN undone_at WHEN 'move' THEN moved_at ELSE rejected_at END`,
      found: 'created_at',
      isBroken: `entry_id IS NOT NULL AND CASE kind
        WHEN 'refund' THEN created_at <> back_at AND (created_at <> earned_at OR back_at > earned_at)
        WHEN 'undo' THEN created_at IS DISTINCT FROM undone_at
        WHEN 'reject' THEN created_at IS DISTINCT FROM rejected_at
        WHEN 'move' THEN created_at IS DISTINCT FROM moved_at
      END`,
    }),
    ofRefund('a refund is undone after it was made', {
      expected: 'back_at',
      found: 'undone_at',
      isBroken: 'undone_at < back_at',
    }),
    ofRefund('a refund of a cent or more of a commission has its entry', {
      expected: `round(-earned * back / nullif(paid, 0), ${digits})`,
      found: 'amount',
      // A refund after a rejection takes nothing, nor does one that was undone before a second look.
      isBroken: `entry_id IS NULL AND commission_id IS NOT NULL AND earned * back >= ${cent} * paid
        AND (rejected_at <= back_at OR undone_at <= earned_at) IS NOT TRUE`,
    }),
  ];
}
