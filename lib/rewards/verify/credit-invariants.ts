import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of credits, their entries and what was spent. */
export function creditInvariants({ credits, transactions, spends }: Database['tables']): Invariant[] {
  return [
    {
      name: 'balance = initial + entries',
      table: 'credits',
      sql: `SELECT c.id, c.initial_balance + coalesce(e.value, 0) AS expected, c.current_balance AS found
       FROM ${credits} c LEFT JOIN (
         SELECT user_id, credit_id, sum(value) AS value FROM ${transactions} GROUP BY 1, 2
       ) e ON e.user_id = c.user_id AND e.credit_id = c.id
       WHERE c.current_balance <> c.initial_balance + coalesce(e.value, 0)`,
    },
    {
      name: 'balance from 0',
      table: 'credits',
      sql: `SELECT id, '0' AS expected, least(initial_balance, current_balance) AS found FROM ${credits}
       WHERE current_balance < 0 OR initial_balance <= 0 OR 'NaN' IN (initial_balance, current_balance)`,
    },
    {
      name: 'expiry after start',
      table: 'credits',
      sql: `SELECT id, start_date AS expected, expiry_date AS found FROM ${credits} WHERE expiry_date <= start_date`,
    },
    {
      name: 'every entry is of a credit',
      table: 'transactions',
      sql: `SELECT e.id, e.credit_id AS expected, NULL AS found FROM ${transactions} e
       LEFT JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id WHERE c.id IS NULL`,
    },
    {
      name: 'spend = its entries',
      table: 'spends',
      // Compares four sums of entries: spent, held, released and refunded.
      sql: `SELECT coalesce(s.user_id, e.user_id) || '/' || coalesce(s.reference, e.reference, '') AS id,
         sums.expected, sums.found
       FROM ${spends} s FULL JOIN (
         SELECT user_id, reference, ${['spend', 'hold', 'release', 'refund']
           .map((kind) => `coalesce(sum(value) FILTER (WHERE kind = '${kind}'), 0) AS ${kind}`)
           .join(', ')}
         FROM ${transactions} WHERE kind <> 'adjustment' GROUP BY 1, 2
       ) e ON e.user_id = s.user_id AND e.reference = s.reference
       CROSS JOIN LATERAL (VALUES
         (CASE s.kind WHEN 'spend' THEN s.covered ELSE 0 END, -coalesce(e.spend, 0)),
         (CASE s.kind WHEN 'hold' THEN s.covered ELSE 0 END, -coalesce(e.hold, 0)),
         (coalesce(s.covered - s.captured, 0), coalesce(e.release, 0)),
         (coalesce(s.refunded, 0), coalesce(e.refund, 0))
       ) AS sums (expected, found)
       WHERE sums.expected IS DISTINCT FROM sums.found`,
    },
    {
      name: 'one spend a reference of a user',
      table: 'spends',
      sql: `SELECT user_id || '/' || reference AS id, '1' AS expected, count(*) AS found FROM ${spends}
       GROUP BY user_id, reference HAVING count(*) > 1`,
    },
    {
      name: 'refunded <= captured <= covered <= amount',
      table: 'spends',
      sql: `SELECT user_id || '/' || reference AS id, amount AS expected, greatest(covered, captured, refunded) AS found
       FROM ${spends}
       WHERE amount <= 0 OR covered NOT BETWEEN 0 AND amount OR captured NOT BETWEEN 0 AND covered
         OR refunded NOT BETWEEN 0 AND captured OR (refunded IS NOT NULL AND captured IS NULL)`,
    },
    {
      name: 'a spend captures what it covers',
      table: 'spends',
      sql: `SELECT user_id || '/' || reference AS id, covered AS expected, captured AS found FROM ${spends}
       WHERE kind = 'spend' AND captured IS DISTINCT FROM covered`,
    },
    {
      name: 'nothing goes back where it did not come from',
      table: 'transactions',
      sql: `SELECT max(id) AS id, '0' AS expected, sum(value) AS found FROM ${transactions} WHERE kind <> 'adjustment'
       GROUP BY user_id, reference, credit_id HAVING sum(value) > 0`,
    },
  ];
}
