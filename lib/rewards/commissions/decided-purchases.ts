import type { Database } from '../../database/database';
import { decidedTerms } from './purchase-statement';

/** The columns of a purchase that a second look decides. */
const decided = [
  ...['source', 'referral_id', 'channel_id', 'referrer_id', 'mode', 'is_revenue', 'no_commission'],
  ...decidedTerms.split(', '),
];

/**
 * SQL: the purchases, as a subquery. What was decided later, by a second look or by staff who have moved the
 * commission, replaces what was decided at first; `decided_at` says
 * when.
 */
export function decidedPurchases({ purchases, lateAttributions }: Database['tables']): string {
  return `(
      SELECT p.user_id, p.reference, p.id, p.amount, p.refunded, p.refund_count, p.currency, p.original_amount,
        p.original_refunded, p.exchange_rate, p.purchased_at,
        coalesce(l.decided_at, p.created_at) AS decided_at, coalesce(l.is_moved, false) AS is_moved,
        ${decided.map((name) => `CASE WHEN l.user_id IS NULL THEN p.${name} ELSE l.${name} END AS ${name}`).join(', ')}
      FROM ${purchases} p LEFT JOIN ${lateAttributions} l ON l.user_id = p.user_id AND l.purchase = p.reference
    )`;
}
