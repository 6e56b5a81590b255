import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of purchases, refunds and commissions. */
export function commissionInvariants({
  purchases,
  refunds,
  commissions,
  commissionEntries: entries,
}: Database['tables']): Invariant[] {
  // Each commission with its purchase, and the sum of its entries.
  const traced = `(
    SELECT c.*, p.amount AS paid, p.refunded, p.no_commission, p.user_id AS buyer_id, p.purchased_at,
      coalesce(e.amount, 0) AS entered
    FROM ${commissions} c LEFT JOIN ${purchases} p ON p.user_id = c.referee_id AND p.reference = c.purchase
      AND p.referrer_id = c.user_id
    LEFT JOIN (SELECT user_id, commission_id, sum(amount) AS amount FROM ${entries} GROUP BY 1, 2) e
      ON e.user_id = c.user_id AND e.commission_id = c.id
  )`;
  return [
    {
      name: 'every commission is of a purchase',
      table: 'commissions',
      sql: `SELECT id, purchase AS expected, buyer_id AS found FROM ${traced} AS c
       WHERE buyer_id IS NULL OR no_commission IS NOT NULL`,
    },
    {
      name: 'earned = rate x purchase, or less at the limit',
      table: 'commissions',
      sql: `SELECT id, round(rate * paid, 2) AS expected, earned AS found FROM ${traced} AS c
       WHERE earned > round(rate * paid, 2) OR (max_per_referee IS NULL AND earned < round(rate * paid, 2))
         OR earned > max_per_referee
         OR rate NOT BETWEEN 0 AND 1`,
    },
    {
      name: 'available some whole days after the purchase',
      table: 'commissions',
      sql: `SELECT id, purchased_at AS expected, available_at AS found FROM ${traced} AS c
       WHERE available_at NOT BETWEEN purchased_at AND purchased_at + interval '876000 hours'
         OR mod(extract(epoch FROM available_at) - extract(epoch FROM purchased_at), 86400) <> 0`,
    },
    {
      name: 'amount = earned + entries',
      table: 'commissions',
      sql: `SELECT id, earned + entered AS expected, amount AS found FROM ${traced} AS c
       WHERE amount <> earned + entered`,
    },
    {
      name: 'refunds take back in proportion',
      table: 'commissions',
      sql: `SELECT id, earned - round(earned * refunded / paid, 2) AS expected, amount AS found FROM ${traced} AS c
       WHERE paid > 0 AND amount <> earned - round(earned * refunded / paid, 2)`,
    },
    {
      name: 'reverted = refunded as a whole',
      table: 'commissions',
      sql: `SELECT id, refunded >= paid AS expected, reverted_at IS NOT NULL AS found FROM ${traced} AS c
       WHERE (refunded >= paid) <> (reverted_at IS NOT NULL)`,
    },
    {
      name: 'every entry is of a refund of the purchase, and is one',
      table: 'commissionEntries',
      sql: `SELECT e.id, c.purchase AS expected, r.purchase AS found
       FROM ${entries} e LEFT JOIN ${commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id
       LEFT JOIN ${refunds} r ON r.user_id = c.referee_id AND r.reference = e.refund
       WHERE c.purchase IS DISTINCT FROM r.purchase OR c.id IS NULL OR e.amount >= 0`,
    },
    {
      name: 'refunded = refunds',
      table: 'purchases',
      sql: `SELECT p.id, coalesce(r.amount, 0) AS expected, p.refunded AS found
       FROM ${purchases} p LEFT JOIN (SELECT user_id, purchase, sum(amount) AS amount FROM ${refunds} GROUP BY 1, 2) r
         ON r.user_id = p.user_id AND r.purchase = p.reference
       WHERE p.refunded <> coalesce(r.amount, 0) OR p.refunded > p.amount OR p.amount < 0`,
    },
    {
      name: 'every refund is of a purchase',
      table: 'refunds',
      sql: `SELECT r.user_id || '/' || r.reference AS id, r.purchase AS expected, NULL AS found
       FROM ${refunds} r LEFT JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.purchase
       WHERE p.user_id IS NULL OR r.amount <= 0`,
    },
    {
      name: 'a purchase earns once, or says why not',
      table: 'purchases',
      sql: `SELECT p.id, (p.no_commission IS NULL)::integer AS expected, count(c.id) AS found
       FROM ${purchases} p LEFT JOIN ${commissions} c ON c.referee_id = p.user_id AND c.purchase = p.reference
       GROUP BY p.user_id, p.reference, p.id, p.no_commission HAVING count(c.id) <> (p.no_commission IS NULL)::integer`,
    },
  ];
}
