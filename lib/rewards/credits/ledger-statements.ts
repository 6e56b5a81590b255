import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';

type Tables = Database['tables'];

/** The condition that a credit `c` can be spent at a time. */
export function isSpendable(now: string): string {
  return `c.start_date <= ${now} AND c.expiry_date > ${now}`;
}

/** The condition that a credit's type `t` covers a product or its category; one that lists neither covers all. */
export function suits(product: string, category: string): string {
  return `(cardinality(t.only_for_products) + cardinality(t.only_for_product_categories) = 0
    OR ${product}::text = ANY(t.only_for_products) OR ${category}::text = ANY(t.only_for_product_categories))`;
}

/**
 * Takes an amount from a user's credits, soonest to expire first.
 *
 * `$1` user, `$2` reference, `$3` kind, `$4` amount, `$5` whether less will do, `$6` description, `$7` product, `$8` category,
 * `$9` now.
 *
 * Only as many credits are locked as were enough when the statement began. If others have spent of those meanwhile, it may take
 * nothing, and is to be asked again.
 *
 * The locked rows are read as they are once locked, and the new balances are made of those: on what the statement saw when it
 * began, PostgreSQL would test the constraint of the balance too early. The key of spends lets one of several calls with a
 * reference through, and only what it lets through changes a balance.
 */
export function spendStatement({ spends, credits, creditTypes, transactions }: Tables, columns: string): string {
  return `
    WITH at AS (
      SELECT ${timeOf('$9')} AS now
    ), known AS (
      SELECT * FROM ${spends} WHERE user_id = $1 AND reference = $2
    ), candidates AS (
      SELECT c.id, sum(c.current_balance) OVER (ORDER BY c.expiry_date, c.id) - c.current_balance AS before,
        sum(c.current_balance) OVER () AS total
      FROM ${credits} c JOIN ${creditTypes} t ON t.id = c.type_id CROSS JOIN at
      WHERE c.user_id = $1 AND c.current_balance > 0 AND ${isSpendable('at.now')} AND ${suits('$7', '$8')}
        AND NOT EXISTS (SELECT FROM known)
    ), locked AS (
      SELECT c.id, c.expiry_date, c.current_balance FROM ${credits} c
      WHERE c.user_id = $1 AND ${isSpendable('(SELECT now FROM at)')} AND c.id IN (
        SELECT id FROM candidates WHERE ($5 OR total >= $4::numeric) AND before < $4::numeric
      )
      ORDER BY c.expiry_date, c.id FOR NO KEY UPDATE
    ), share AS (
      SELECT id, current_balance AS held, least(current_balance, $4::numeric - before) AS amount
      FROM (
        SELECT id, current_balance, sum(current_balance) OVER (ORDER BY expiry_date, id) - current_balance AS before
        FROM locked
      ) AS running
      WHERE before < $4::numeric AND current_balance > 0
    ), claimed AS (
      INSERT INTO ${spends}
        (user_id, reference, kind, amount, covered, captured, description, product, product_category, created_at)
      SELECT $1, $2, $3::text, $4::numeric, covered, CASE $3::text WHEN 'spend' THEN covered END, $6, $7, $8, at.now
      FROM at, (SELECT coalesce(sum(amount), 0) AS covered FROM share) AS sums
      WHERE NOT EXISTS (SELECT FROM known) AND (covered = $4::numeric
        OR ($5 AND coalesce((SELECT total FROM candidates LIMIT 1), 0) < $4::numeric))
      ON CONFLICT DO NOTHING
      RETURNING *
    ), debited AS (
      UPDATE ${credits} c SET current_balance = share.held - share.amount
      FROM share CROSS JOIN claimed WHERE c.user_id = $1 AND c.id = share.id
    ), entered AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
      SELECT $1, share.id, $3::text, -share.amount, $6, $2, at.now
      FROM share CROSS JOIN claimed CROSS JOIN at ORDER BY share.id
    )
    SELECT ${columns}, EXISTS (SELECT FROM claimed) AS "isNew", s.amount = $4::numeric AND s.kind = $3::text AS "isSame",
      available::text, available >= $4::numeric AS "wasEnough"
    FROM (SELECT coalesce((SELECT total FROM candidates LIMIT 1), 0.0000) AS available) AS sums
    LEFT JOIN (SELECT * FROM claimed UNION ALL SELECT * FROM known) AS s ON true`;
}

/** What settles a spend: the assignment, what it must not be yet, and what goes back, of which credits, as which entry. */
const settlements = {
  capture: {
    set: 'captured = coalesce($4::numeric, covered)',
    when: 'captured IS NULL AND coalesce($4::numeric, covered) <= covered',
    isSame: 's.captured = coalesce($4::numeric, s.covered)',
    back: 'covered - captured',
    from: 'true',
    entry: 'release',
  },
  refund: {
    set: 'refunded = (SELECT coalesce(sum(amount), 0) FROM taken)',
    when: 'captured IS NOT NULL AND refunded IS NULL',
    isSame: 'true',
    back: 'refunded',
    from: 't.refundable',
    entry: 'refund',
  },
};

/**
 * Settles a spend or hold, once: captures it (`$4` the amount, null for all; 0 releases it) or refunds it. What is left goes
 * back where it came from, last to expire first. `$1` user, `$2` reference, `$3` now.
 *
 * What was taken can be read before the lock: entries of a reference are added by the statements that settle it, and of those
 * only one comes through. One that is overtaken by another answers the row as it was before: it must be asked again.
 */
export function settleStatement(
  { spends, credits, creditTypes, transactions }: Tables,
  columns: string,
  how: keyof typeof settlements,
): string {
  const { set, when, isSame, back, from, entry } = settlements[how];
  return `
    WITH at AS (
      SELECT ${timeOf('$3')} AS now
    ), taken AS (
      SELECT e.credit_id, -sum(e.value) AS amount
      FROM ${transactions} e JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id
      JOIN ${creditTypes} t ON t.id = c.type_id
      WHERE e.user_id = $1 AND e.reference = $2 AND e.kind <> 'adjustment' AND ${from}
      GROUP BY e.credit_id HAVING sum(e.value) < 0
    ), settled AS (
      UPDATE ${spends} SET ${set} WHERE user_id = $1 AND reference = $2 AND ${when}
      RETURNING *
    ), locked AS (
      SELECT c.id, c.expiry_date, c.current_balance, taken.amount, ${back} AS back
      FROM ${credits} c JOIN taken ON taken.credit_id = c.id CROSS JOIN settled
      WHERE c.user_id = $1
      ORDER BY c.expiry_date, c.id FOR NO KEY UPDATE OF c
    ), share AS (
      SELECT id, current_balance AS held, least(amount, back - before) AS amount
      FROM (
        SELECT id, current_balance, amount, back, sum(amount) OVER (ORDER BY expiry_date DESC, id DESC) - amount AS before FROM locked
      ) AS running
      WHERE before < back
    ), credited AS (
      UPDATE ${credits} c SET current_balance = share.held + share.amount
      FROM share WHERE c.user_id = $1 AND c.id = share.id
    ), entered AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
      SELECT $1, share.id, '${entry}', share.amount, settled.description, $2, at.now
      FROM share CROSS JOIN settled CROSS JOIN at ORDER BY share.id
    )
    SELECT ${columns}, EXISTS (SELECT FROM settled) AS "isNew", ${isSame} AS "isSame", ${when} AS "isOvertaken"
    FROM (SELECT) AS always LEFT JOIN (
      SELECT * FROM settled
      UNION ALL SELECT * FROM ${spends} WHERE user_id = $1 AND reference = $2 AND NOT EXISTS (SELECT FROM settled)
    ) AS s ON true`;
}
