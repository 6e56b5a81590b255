import type { Database } from '../../database/database';

/**
 * Returns the CTEs that take back unspent credit of earn-outs whose commissions are lowered after they were paid. They need
 * the CTE `at`. The CTE `taken_back` has the `amount` that was taken back for each `user_id` and `commission_id`.
 *
 * What is spent or held is not in the balance of a credit, so it is never taken; what overdue holds had is, if the caller has
 * written them down (`OverdueHolds.releaseFor`). Credit that has run out is: it makes no debt either. An earn-out in progress has given no credit yet.
 *
 * Locks: the accounts, then the credits, in the order of spends. A statement that also locks totals does so after `unpaid`,
 * as a purchase does.
 *
 * @param source the CTE with the commissions: their columns `user_id`, `id` and `earn_out_id`, and `back`, by how much they
 * are lowered.
 * @param isWanted SQL: the option `earnOuts.takeBackCredit`.
 */
export function creditTakenBack(
  { accounts, credits, earnOuts, transactions }: Database['tables'],
  source: string,
  isWanted: string,
): string {
  return `
    -- The earn-outs that have given credit for the commissions.
    paid_by AS (
      SELECT DISTINCT o.user_id, o.id, o.idempotency_key FROM ${source} s
      JOIN ${earnOuts} o ON o.user_id = s.user_id AND o.id = s.earn_out_id AND o.mode = 'credits'
        AND o.status = 'completed'
      WHERE s.back > 0 AND ${isWanted}::boolean
    ),
    -- Locks their accounts.
    paid_accounts AS (
      SELECT a.user_id FROM ${accounts} a WHERE a.user_id IN (SELECT user_id FROM paid_by)
      ORDER BY a.user_id FOR NO KEY UPDATE
    ),
    -- Locks their credits, and reads the newest balances.
    paid_credits AS (
      SELECT c.user_id, c.id, c.current_balance, o.id AS earn_out_id
      FROM paid_by o JOIN paid_accounts a ON a.user_id = o.user_id
      JOIN ${credits} c ON c.user_id = o.user_id AND c.reference = o.idempotency_key AND c.kind = 'earn-out'
      ORDER BY c.user_id, c.expiry_date, c.id FOR NO KEY UPDATE OF c
    ),
    -- What is taken back for each commission, until nothing is left of its credit.
    taken_back AS (
      SELECT user_id, commission_id, credit_id, least(back, greatest(balance - before, 0)) AS amount FROM (
        SELECT s.user_id, s.id AS commission_id, p.id AS credit_id, p.current_balance AS balance, s.back,
          sum(s.back) OVER (PARTITION BY s.user_id, p.id ORDER BY s.id) - s.back AS before
        FROM ${source} s JOIN paid_credits p ON p.user_id = s.user_id AND p.earn_out_id = s.earn_out_id
        WHERE s.back > 0
      ) AS shares
      WHERE balance > before
    ),
    -- Sets the new balances from the locked values, as a spend does.
    debited AS (
      UPDATE ${credits} c SET current_balance = p.current_balance - t.amount, is_used_up = p.current_balance = t.amount,
        entries = c.entries + t.count
      FROM paid_credits p JOIN (
        SELECT user_id, credit_id, sum(amount) AS amount, count(*)::integer AS count FROM taken_back GROUP BY 1, 2
      ) AS t ON t.user_id = p.user_id AND t.credit_id = p.id
      WHERE c.user_id = p.user_id AND c.id = p.id
    ),
    -- Adds an entry of the ledger for each commission.
    taken_entries AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, created_at)
      SELECT t.user_id, t.credit_id, 'take-back', -t.amount, 'commission ' || t.commission_id || ' taken back', at.now
      FROM taken_back t CROSS JOIN at ORDER BY t.user_id, t.credit_id, t.commission_id
    ),
    -- The accounts were paid less.
    unpaid AS (
      UPDATE ${accounts} a SET credits_paid = a.credits_paid - t.amount
      FROM (SELECT user_id, sum(amount) AS amount FROM taken_back GROUP BY 1) AS t WHERE a.user_id = t.user_id
      RETURNING a.user_id
    )`;
}
