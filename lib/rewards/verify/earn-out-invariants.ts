import type { Database } from '../../database/database';
import { conditionsOn, type Invariant } from './invariant';

type Tables = Database['tables'];

/** The invariants of earn-outs. */
export function earnOutInvariants(tables: Tables): Invariant[] {
  const { accounts, adjustments, commissions, commissionEntries, credits, earnOuts, earnOutEntries, transactions } =
    tables;
  const ofEarnOut = conditionsOn('earnOuts', { rows: earnOutsWithParts(tables), id: 'id' });
  const ofCommission = conditionsOn('commissions', { rows: paidCommissions(tables), id: 'id' });
  const ofAccount = conditionsOn('accounts', { rows: accountsWithSums(tables), id: 'user_id' });
  return [
    ofEarnOut('an earn-out is what is bound to it, unless it failed or was returned', {
      isBroken: `CASE WHEN status IN ('failed', 'returned') THEN bound_id IS NOT NULL
        ELSE amount IS DISTINCT FROM bound_amount OR commissions <> coalesce(bound_commissions, 0) END`,
      expected: `bound_amount || '/' || bound_commissions`,
      found: `amount || '/' || commissions`,
    }),
    ofEarnOut('a completed earn-out in credits gave the credit, once', {
      isBroken: `given IS DISTINCT FROM CASE WHEN mode = 'credits' AND status = 'completed' THEN amount END`,
      expected: `CASE status WHEN 'completed' THEN amount END`,
      found: 'given',
    }),
    ofEarnOut('a failed earn-out says why', {
      isBroken: `(status IN ('failed', 'returned')) <> (error_reason IS NOT NULL)`,
      expected: 'status',
      found: 'error_reason',
    }),
    ofEarnOut('the times of an earn-out fit its status', {
      isBroken: `status NOT IN ('processing', 'completed', 'failed', 'returned')
        OR (status = 'processing') <> (settled_at IS NULL)
        OR (status IN ('failed', 'returned')) > (refused_at IS NOT NULL)
        OR (status NOT IN ('failed', 'returned') AND refusals <> 0)
        OR (claimed_by IS NULL) <> (claimed_until IS NULL)
        OR (claimed_by IS NOT NULL AND (status <> 'processing' OR next_attempt_at IS NULL))
        OR (status = 'completed' AND next_attempt_at IS NOT NULL)
        OR (status = 'processing' AND attempts > 0 AND asked_at IS NULL)
        OR (awaits_approval AND (
          mode <> 'payout' OR status <> 'processing' OR next_attempt_at IS NOT NULL OR attempts <> 0
          OR submitted_at IS NOT NULL
        ))
        OR (mode = 'credits' AND (
          reference IS NOT NULL OR submitted_at IS NOT NULL OR attempts <> 0 OR asked_at IS NOT NULL
          OR payout_email IS NOT NULL
          OR (status = 'processing' AND next_attempt_at IS NOT NULL)
        ))
        OR attempts < 0 OR refusals < 0 OR 'NaN' = amount`,
      expected: 'status',
      found: `concat_ws('/', settled_at, refused_at, submitted_at, claimed_until, next_attempt_at)`,
    }),
    ofEarnOut('an earn-out in progress was never settled', {
      isBroken: `status = 'processing' AND (completions <> 0 OR refused_at IS NOT NULL)`,
      expected: `'0'`,
      found: 'completions',
    }),
    ofEarnOut('what was completed stays so, or is returned', {
      isBroken: `(status = 'completed' AND completions < 1) OR (status = 'failed' AND completions <> 0)`,
      expected: 'status',
      found: 'completions',
    }),
    {
      name: 'one earn-out at a time',
      table: 'earnOuts',
      sql: `SELECT max(id) AS id, '1' AS expected, count(*) AS found FROM ${earnOuts} WHERE status = 'processing'
       GROUP BY user_id, mode HAVING count(*) > 1`,
    },
    {
      name: 'every credit of an earn-out is of one',
      table: 'credits',
      sql: `SELECT c.id, c.reference AS expected, e.idempotency_key AS found
       FROM ${credits} c LEFT JOIN ${earnOuts} e ON e.user_id = c.user_id AND e.idempotency_key = c.reference
       WHERE c.kind = 'earn-out' AND e.id IS NULL`,
    },
    ofCommission('a commission is paid by an earn-out of its owner and mode', {
      isBroken: 'mode IS DISTINCT FROM paid_mode',
      expected: `user_id || '/' || mode`,
      found: `user_id || '/' || paid_mode`,
    }),
    {
      name: 'a banned account has no commission that waits',
      table: 'commissions',
      sql: `SELECT c.id, a.banned_at AS expected, c.rejected_at AS found
       FROM ${accounts} a JOIN ${commissions} c ON c.user_id = a.user_id
       WHERE a.banned_at IS NOT NULL AND c.earn_out_id IS NULL AND c.rejected_at IS NULL
         AND c.moved_at IS NULL`,
    },
    ofCommission('an earn-out waits for what is available', {
      isBroken: 'bound_at < available_at',
      expected: 'available_at',
      found: 'bound_at',
    }),
    {
      name: 'what was taken back of a commission has left the credit that paid it',
      table: 'credits',
      sql: `SELECT coalesce(t.credit_id, e.id) AS id, coalesce(e.amount, 0) AS expected, coalesce(t.amount, 0) AS found
       FROM (
         SELECT user_id, credit_id, -sum(value) AS amount FROM ${transactions} WHERE kind = 'take-back' GROUP BY 1, 2
       ) t FULL JOIN (
         SELECT x.user_id, d.id, sum(x.taken_back) AS amount FROM ${commissionEntries} x
         LEFT JOIN ${commissions} c ON c.user_id = x.user_id AND c.id = x.commission_id
         LEFT JOIN ${earnOuts} o ON o.user_id = c.user_id AND o.id = c.earn_out_id
         LEFT JOIN ${credits} d ON d.user_id = o.user_id AND d.reference = o.idempotency_key AND d.kind = 'earn-out'
         WHERE x.taken_back <> 0 GROUP BY 1, 2
       ) e ON e.user_id = t.user_id AND e.id = t.credit_id
       WHERE t.amount IS DISTINCT FROM e.amount AND coalesce(t.credit_id, e.id) IS NOT NULL`,
    },
    {
      name: 'an entry is subtracted by an earn-out of its owner',
      table: 'commissionEntries',
      sql: `SELECT x.id, x.earn_out_id AS expected, e.id AS found
       FROM ${commissionEntries} x LEFT JOIN ${earnOuts} e ON e.user_id = x.user_id AND e.id = x.earn_out_id
       WHERE x.earn_out_id IS NOT NULL AND e.id IS NULL`,
    },
    {
      name: 'an adjustment is included by an earn-out of its owner',
      table: 'adjustments',
      sql: `SELECT x.id, x.earn_out_id AS expected, e.id AS found
       FROM ${adjustments} x LEFT JOIN ${earnOuts} e ON e.user_id = x.user_id AND e.id = x.earn_out_id
       WHERE x.earn_out_id IS NOT NULL AND (e.id IS NULL OR (e.mode <> x.mode AND x.amount > 0))`,
    },
    {
      name: 'what a payment took without a commission is its debt',
      table: 'earnOutEntries',
      // A payment can be booked more than once, if it was returned in between.
      sql: `SELECT max(x.id) AS id, '0' AS expected, coalesce(sum(x.amount), 0) AS found
       FROM ${earnOutEntries} x LEFT JOIN ${earnOuts} p ON p.user_id = x.user_id AND p.id = x.payment_id
       LEFT JOIN ${earnOuts} e ON e.user_id = x.user_id AND e.id = x.earn_out_id
       GROUP BY x.user_id, x.payment_id
       HAVING sum(x.amount) <> 0 OR count(p.id) < count(*) OR count(e.id) < count(x.earn_out_id)
         OR max(p.mode) <> 'payout' OR bool_or(x.amount = 'NaN')`,
    },
    ofAccount('paid = what is bound to earn-outs', {
      isBroken: '(bound_credits, bound_payouts) IS DISTINCT FROM (credits_paid, payouts_paid)',
      expected: `bound_credits || '/' || bound_payouts`,
      found: `credits_paid || '/' || payouts_paid`,
    }),
    ofAccount('paid <= earned', {
      // Compared with the amounts before refunds, because the refund of a paid commission leaves an entry for the next
      // earn-out.
      isBroken: 'credits_paid > earned_credits OR payouts_paid - paid_ahead > earned_payouts',
      expected: `earned_credits || '/' || earned_payouts`,
      found: `credits_paid || '/' || payouts_paid`,
    }),
    ofAccount('every earn-out is counted', {
      isBroken: 'count IS DISTINCT FROM earn_outs',
      expected: 'earn_outs',
      found: 'count',
    }),
  ];
}

/** SQL: the commissions and entries that are bound to earn-outs. */
const boundParts = ({ adjustments, commissions, commissionEntries, earnOutEntries }: Tables): string => `(
    SELECT user_id, earn_out_id, mode, earned AS amount, 1 AS is_commission FROM ${commissions}
    WHERE earn_out_id IS NOT NULL
    UNION ALL SELECT e.user_id, e.earn_out_id, c.mode, e.amount + e.taken_back, 0
    FROM ${commissionEntries} e JOIN ${commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id
    WHERE e.earn_out_id IS NOT NULL
    UNION ALL SELECT user_id, earn_out_id, 'payout', amount, 0 FROM ${earnOutEntries} WHERE earn_out_id IS NOT NULL
    UNION ALL SELECT user_id, earn_out_id, mode, amount, 0 FROM ${adjustments} WHERE earn_out_id IS NOT NULL
  ) AS parts`;

/** Each earn-out with the sum of what is bound to it, and with the credit that was given for it. */
const earnOutsWithParts = (tables: Tables): string => `(
    SELECT e.*, b.earn_out_id AS bound_id, b.amount AS bound_amount, b.commissions AS bound_commissions,
      c.amount AS given
    FROM ${tables.earnOuts} e
    LEFT JOIN (
      SELECT user_id, earn_out_id, sum(amount) AS amount, sum(is_commission) AS commissions
      FROM ${boundParts(tables)} GROUP BY 1, 2
    ) b ON b.user_id = e.user_id AND b.earn_out_id = e.id
    LEFT JOIN (
      SELECT user_id, reference, sum(initial_balance) AS amount FROM ${tables.credits} WHERE kind = 'earn-out'
      GROUP BY 1, 2
    ) c ON c.user_id = e.user_id AND c.reference = e.idempotency_key
  ) AS earn_out`;

/**
 * Each commission that is paid, with its earn-out, and with when it was bound to that: when the earn-out was created, or
 * when one that had been refused was booked.
 */
const paidCommissions = ({ commissions, earnOuts }: Tables): string => `(
    SELECT c.id, c.user_id, c.mode, c.available_at, e.mode AS paid_mode,
      CASE WHEN e.refused_at IS NULL THEN e.created_at ELSE greatest(e.created_at, e.updated_at) END AS bound_at
    FROM ${commissions} c LEFT JOIN ${earnOuts} e ON e.user_id = c.user_id AND e.id = c.earn_out_id
    WHERE c.earn_out_id IS NOT NULL
  ) AS paid`;

/**
 * Each account with what it has earned, what is bound to its earn-outs by the mode in which it was earned (the earn-out
 * of the other mode can include a debt), what was paid to it without a commission, and how many earn-outs it has.
 */
const accountsWithSums = (tables: Tables): string => `(
    SELECT coalesce(a.user_id, b.user_id, o.user_id) AS user_id, a.credits_paid, a.payouts_paid, a.earn_outs,
      coalesce(b.credits, 0) AS bound_credits, coalesce(b.payouts, 0) AS bound_payouts, coalesce(o.count, 0) AS count,
      coalesce(c.credits, 0) AS earned_credits, coalesce(c.payouts, 0) AS earned_payouts,
      coalesce(x.amount, 0) AS paid_ahead
    FROM ${tables.accounts} a
    FULL JOIN (
      SELECT user_id, ${byMode('amount')} FROM (
        SELECT user_id, mode, amount FROM ${boundParts(tables)}
        UNION ALL SELECT user_id, 'credits', -taken_back FROM ${tables.commissionEntries} WHERE taken_back <> 0
      ) AS settled GROUP BY 1
    ) b ON b.user_id = a.user_id
    FULL JOIN (
      SELECT user_id, count(*) FROM ${tables.earnOuts} GROUP BY 1
    ) o ON o.user_id = coalesce(a.user_id, b.user_id)
    LEFT JOIN (
      SELECT user_id, ${byMode('earned')} FROM (
        SELECT user_id, mode, earned FROM ${tables.commissions}
        UNION ALL SELECT user_id, mode, amount FROM ${tables.adjustments} WHERE amount > 0
      ) AS earnings GROUP BY 1
    ) c ON c.user_id = a.user_id
    LEFT JOIN (
      SELECT user_id, sum(amount) AS amount FROM ${tables.earnOutEntries} WHERE earn_out_id IS NOT NULL GROUP BY 1
    ) x ON x.user_id = a.user_id
  ) AS account`;

const byMode = (column: string): string => `sum(${column}) FILTER (WHERE mode = 'credits') AS credits,
        sum(${column}) FILTER (WHERE mode = 'payout') AS payouts`;
