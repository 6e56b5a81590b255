import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of earn-outs. */
export function earnOutInvariants({
  credits,
  accounts,
  commissions,
  commissionEntries: entries,
  earnOuts,
  earnOutEntries: paymentEntries,
}: Database['tables']): Invariant[] {
  // The commissions and entries that are bound to earn-outs.
  const boundParts = `(
    SELECT user_id, earn_out_id, mode, earned AS amount, 1 AS is_commission FROM ${commissions}
    WHERE earn_out_id IS NOT NULL
    UNION ALL SELECT e.user_id, e.earn_out_id, c.mode, e.amount, 0
    FROM ${entries} e JOIN ${commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id
    WHERE e.earn_out_id IS NOT NULL
    UNION ALL SELECT user_id, earn_out_id, 'payout', amount, 0 FROM ${paymentEntries} WHERE earn_out_id IS NOT NULL
  ) AS parts`;
  const bound = `(
    SELECT user_id, earn_out_id, sum(amount) AS amount, sum(is_commission) AS commissions
    FROM ${boundParts} GROUP BY 1, 2
  )`;
  return [
    {
      name: 'an earn-out is what is bound to it, unless it failed or was returned',
      table: 'earnOuts',
      sql: `SELECT e.id, b.amount || '/' || b.commissions AS expected, e.amount || '/' || e.commissions AS found
       FROM ${earnOuts} e LEFT JOIN ${bound} b ON b.user_id = e.user_id AND b.earn_out_id = e.id
       WHERE CASE WHEN e.status IN ('failed', 'returned') THEN b.earn_out_id IS NOT NULL
         ELSE e.amount IS DISTINCT FROM b.amount OR e.commissions <> coalesce(b.commissions, 0) END`,
    },
    {
      name: 'a commission is paid by an earn-out of its owner and mode',
      table: 'commissions',
      sql: `SELECT c.id, c.user_id || '/' || c.mode AS expected, e.user_id || '/' || e.mode AS found
       FROM ${commissions} c LEFT JOIN ${earnOuts} e ON e.user_id = c.user_id AND e.id = c.earn_out_id
       WHERE c.earn_out_id IS NOT NULL AND c.mode IS DISTINCT FROM e.mode`,
    },
    {
      name: 'an entry is subtracted by an earn-out of its owner',
      table: 'commissionEntries',
      sql: `SELECT x.id, x.earn_out_id AS expected, e.id AS found
       FROM ${entries} x LEFT JOIN ${earnOuts} e ON e.user_id = x.user_id AND e.id = x.earn_out_id
       WHERE x.earn_out_id IS NOT NULL AND e.id IS NULL`,
    },
    {
      name: 'what a payment took without a commission is its debt',
      table: 'earnOutEntries',
      // A payment can be booked more than once, if it was returned in between.
      sql: `SELECT max(x.id) AS id, '0' AS expected, coalesce(sum(x.amount), 0) AS found
       FROM ${paymentEntries} x LEFT JOIN ${earnOuts} p ON p.user_id = x.user_id AND p.id = x.payment_id
       LEFT JOIN ${earnOuts} e ON e.user_id = x.user_id AND e.id = x.earn_out_id
       GROUP BY x.user_id, x.payment_id
       HAVING sum(x.amount) <> 0 OR count(p.id) < count(*) OR count(e.id) < count(x.earn_out_id)
         OR max(p.mode) <> 'payout' OR bool_or(x.amount = 'NaN')`,
    },
    {
      name: 'an earn-out waits for what is available',
      table: 'commissions',
      sql: `SELECT c.id, c.available_at AS expected, e.created_at AS found
       FROM ${commissions} c JOIN ${earnOuts} e ON e.user_id = c.user_id AND e.id = c.earn_out_id
       WHERE greatest(e.created_at, e.settled_at) < c.available_at`,
    },
    {
      name: 'paid = what is bound to earn-outs',
      table: 'accounts',
      // By the mode in which a part was earned, because the earn-out of the other mode can include a debt.
      sql: `SELECT coalesce(a.user_id, b.user_id) AS id,
         coalesce(b.credits, 0) || '/' || coalesce(b.payouts, 0) AS expected,
         a.credits_paid || '/' || a.payouts_paid AS found
       FROM ${accounts} a FULL JOIN (
         SELECT user_id, sum(amount) FILTER (WHERE mode = 'credits') AS credits,
           sum(amount) FILTER (WHERE mode = 'payout') AS payouts
         FROM ${boundParts} GROUP BY 1
       ) b ON b.user_id = a.user_id
       WHERE coalesce(b.credits, 0) IS DISTINCT FROM a.credits_paid
         OR coalesce(b.payouts, 0) IS DISTINCT FROM a.payouts_paid`,
    },
    {
      name: 'paid <= earned',
      table: 'accounts',
      // Compared with the amounts before refunds, because the refund of a paid commission leaves an entry for the next
      // earn-out.
      sql: `SELECT a.user_id AS id, coalesce(c.credits, 0) || '/' || coalesce(c.payouts, 0) AS expected,
         a.credits_paid || '/' || a.payouts_paid AS found
       FROM ${accounts} a LEFT JOIN (
         SELECT user_id, sum(earned) FILTER (WHERE mode = 'credits') AS credits,
           sum(earned) FILTER (WHERE mode = 'payout') AS payouts
         FROM ${commissions} GROUP BY 1
       ) c ON c.user_id = a.user_id
       LEFT JOIN (
         SELECT user_id, sum(amount) AS amount FROM ${paymentEntries} WHERE earn_out_id IS NOT NULL GROUP BY 1
       ) x ON x.user_id = a.user_id
       WHERE a.credits_paid > coalesce(c.credits, 0)
         OR a.payouts_paid - coalesce(x.amount, 0) > coalesce(c.payouts, 0)`,
    },
    {
      name: 'one earn-out at a time',
      table: 'earnOuts',
      sql: `SELECT max(id) AS id, '1' AS expected, count(*) AS found FROM ${earnOuts} WHERE status = 'processing'
       GROUP BY user_id, mode HAVING count(*) > 1`,
    },
    {
      name: 'a completed earn-out in credits gave the credit, once',
      table: 'earnOuts',
      sql: `SELECT e.id, CASE e.status WHEN 'completed' THEN e.amount END AS expected, c.amount AS found
       FROM ${earnOuts} e LEFT JOIN (
         SELECT user_id, reference, sum(initial_balance) AS amount FROM ${credits} WHERE kind = 'earn-out' GROUP BY 1, 2
       ) c ON c.user_id = e.user_id AND c.reference = e.idempotency_key
       WHERE c.amount IS DISTINCT FROM CASE WHEN e.mode = 'credits' AND e.status = 'completed' THEN e.amount END`,
    },
    {
      name: 'every credit of an earn-out is of one',
      table: 'credits',
      sql: `SELECT c.id, c.reference AS expected, e.idempotency_key AS found
       FROM ${credits} c LEFT JOIN ${earnOuts} e ON e.user_id = c.user_id AND e.idempotency_key = c.reference
       WHERE c.kind = 'earn-out' AND e.id IS NULL`,
    },
    {
      name: 'a failed earn-out says why',
      table: 'earnOuts',
      sql: `SELECT id, status AS expected, error_reason AS found FROM ${earnOuts}
       WHERE (status IN ('failed', 'returned')) <> (error_reason IS NOT NULL)`,
    },
    {
      name: 'the times of an earn-out fit its status',
      table: 'earnOuts',
      sql: `SELECT id, status AS expected, concat_ws('/', settled_at, refused_at, submitted_at, claimed_until,
           next_attempt_at) AS found
       FROM ${earnOuts}
       WHERE status NOT IN ('processing', 'completed', 'failed', 'returned')
         OR (status = 'processing') <> (settled_at IS NULL)
         OR (status IN ('failed', 'returned')) > (refused_at IS NOT NULL)
         OR (status NOT IN ('failed', 'returned') AND refusals <> 0)
         OR (claimed_by IS NULL) <> (claimed_until IS NULL)
         OR (claimed_by IS NOT NULL AND (status <> 'processing' OR next_attempt_at IS NULL))
         OR (status = 'completed' AND next_attempt_at IS NOT NULL)
         OR (mode = 'credits' AND (
           reference IS NOT NULL OR submitted_at IS NOT NULL OR attempts <> 0 OR payout_email IS NOT NULL
           OR (status = 'processing' AND next_attempt_at IS NOT NULL)
         ))
         OR attempts < 0 OR refusals < 0 OR 'NaN' = amount`,
    },
    {
      name: 'every earn-out is counted',
      table: 'accounts',
      sql: `SELECT coalesce(a.user_id, e.user_id) AS id, a.earn_outs AS expected, coalesce(e.count, 0) AS found
       FROM ${accounts} a FULL JOIN (SELECT user_id, count(*) FROM ${earnOuts} GROUP BY 1) e ON e.user_id = a.user_id
       WHERE a.earn_outs IS DISTINCT FROM coalesce(e.count, 0)`,
    },
  ];
}
