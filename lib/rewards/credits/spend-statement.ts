import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { addCounts } from '../records/user-counts';
import { isOverdue } from './overdue-holds';
import { coversPurpose, isSpendable } from './spendable';

export interface SpendParameters {
  user: string;
  reference: string;
  kind: 'spend' | 'hold';
  amount: string;
  /** Whether to take all available credit if it is less than the amount. */
  partial: boolean;
  description: string;
  product: string | null;
  category: string | null;
  /** When a hold ends by itself; null for never. */
  expiresAt: Date | null;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

/** The result: the columns of the spend, or nulls if nothing was taken. */
export interface SpendRow {
  userId: string | null;
  /** Whether this statement inserted the spend. */
  isNew: boolean;
  /** Whether the spend has the amount and the kind of this call; null without a spend. */
  isSame: boolean | null;
  /** The sum of the spendable credits in the statement's snapshot. */
  available: string;
  /** Whether that sum covers the amount. */
  wasEnough: boolean;
  /** Whether nothing was written because holds of the user have ended: they must be released first. */
  hasOverdue: boolean;
}

/**
 * Takes an amount from a user's credits, soonest to expire first.
 *
 * It locks only as many credits as cover the amount in its snapshot. If another call has spent from those credits in
 * the meantime, it may take nothing, and the caller retries.
 */
export function spendStatement(database: Database): Statement<SpendParameters> {
  const { spends, credits, creditTypes, transactions } = database.tables;
  return statement<SpendParameters>(
    {
      ...{ user: true, reference: true, kind: true, amount: true, partial: true },
      ...{ description: true, product: true, category: true, expiresAt: true, now: true },
    },
    ($) => `
    WITH
    -- The time of the statement.
    at AS (
      SELECT ${timeOf($.now)} AS now
    ),
    -- An earlier spend or hold with this reference. If there is one, the statement locks and writes nothing.
    known AS (
      SELECT * FROM ${spends} WHERE user_id = ${$.user} AND reference = ${$.reference}
    ),
    -- One row if holds of the user have ended that are not released yet. Then the statement locks and writes nothing.
    overdue AS (
      SELECT FROM ${spends} CROSS JOIN at WHERE user_id = ${$.user} AND ${isOverdue('at.now')} LIMIT 1
    ),
    -- The spendable credits in the snapshot, without locks. before: the sum of those that expire sooner.
    candidates AS (
      SELECT c.id, sum(c.current_balance) OVER (ORDER BY c.expiry_date, c.id) - c.current_balance AS before,
        sum(c.current_balance) OVER () AS total
      FROM ${credits} c JOIN ${creditTypes} t ON t.id = c.type_id CROSS JOIN at
      WHERE c.user_id = ${$.user} AND ${isSpendable('at.now')} AND ${coversPurpose($.product, $.category)}
        AND NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM overdue)
    ),
    -- Locks the credits that are needed, in the order in which all calls lock them, and reads their newest balances. The
    -- array makes PostgreSQL look each of them up by the primary key, also in a generic plan.
    locked AS (
      SELECT c.id, c.expiry_date, c.current_balance FROM ${credits} c
      WHERE c.user_id = ${$.user} AND ${isSpendable('(SELECT now FROM at)')} AND c.id = ANY (ARRAY(
        SELECT id FROM candidates
        WHERE (${$.partial} OR total >= ${$.amount}::numeric) AND before < ${$.amount}::numeric
      ))
      ORDER BY c.expiry_date, c.id FOR NO KEY UPDATE
    ),
    -- The amount that is taken from each locked credit.
    share AS (
      SELECT id, current_balance AS held, least(current_balance, ${$.amount}::numeric - before) AS amount
      FROM (
        SELECT id, current_balance, sum(current_balance) OVER (ORDER BY expiry_date, id) - current_balance AS before
        FROM locked
      ) AS running
      WHERE before < ${$.amount}::numeric AND current_balance > 0
    ),
    -- Inserts the spend if the shares suffice. It guards the two writes below: of concurrent calls with the same
    -- reference, the primary key lets only one insert, and only that one changes balances.
    claimed AS (
      INSERT INTO ${spends}
        (user_id, reference, kind, amount, is_partial, covered, captured, captured_at, description, product,
          product_category, expires_at, created_at)
      SELECT ${$.user}, ${$.reference}, ${$.kind}::text, ${$.amount}::numeric, ${$.partial}::boolean, covered,
        CASE ${$.kind}::text WHEN 'spend' THEN covered END, CASE ${$.kind}::text WHEN 'spend' THEN at.now END,
        ${$.description}, ${$.product}, ${$.category}, ${$.expiresAt}::timestamptz, at.now
      FROM at, (SELECT coalesce(sum(amount), 0) AS covered FROM share) AS shares
      WHERE NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM overdue) AND (covered = ${$.amount}::numeric
        OR (${$.partial} AND coalesce((SELECT total FROM candidates LIMIT 1), 0) < ${$.amount}::numeric))
      ON CONFLICT DO NOTHING
      RETURNING *
    ),
    -- Sets the new balances from the locked values. With current_balance - amount, PostgreSQL would first test the
    -- CHECK constraint with the balance of the snapshot, which may be lower than the newest one.
    debited AS (
      UPDATE ${credits} c SET current_balance = share.held - share.amount, is_used_up = share.held = share.amount,
        entries = c.entries + 1
      FROM share CROSS JOIN claimed WHERE c.user_id = ${$.user} AND c.id = share.id
    ),
    -- Adds the ledger entry of each credit.
    entered AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
      SELECT ${$.user}, share.id, ${$.kind}::text, -share.amount, ${$.description}, ${$.reference}, at.now
      FROM share CROSS JOIN claimed CROSS JOIN at ORDER BY share.id
    ),
    -- Counts a spend that covers nothing: no credit counts an entry of it.
    counted AS (
      ${addCounts(database, ['empty_spends'], 'SELECT user_id, 1 FROM claimed WHERE covered = 0')}
    )
    SELECT ${database.columns(ReferralCreditSpend, 's')}, EXISTS (SELECT FROM claimed) AS "isNew",
      s.amount = ${$.amount}::numeric AND s.kind = ${$.kind}::text AS "isSame",
      available::text, available >= ${$.amount}::numeric AS "wasEnough",
      EXISTS (SELECT FROM overdue) AS "hasOverdue"
    FROM (SELECT coalesce((SELECT total FROM candidates LIMIT 1), 0.0000) AS available) AS offer
    LEFT JOIN (SELECT * FROM claimed UNION ALL SELECT * FROM known) AS s ON true`,
  );
}
