import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { sumsByMode } from './bind-statement';
import { wake } from './due-accounts';
import { isUnpaid, unclaimed } from './statuses';

export interface BookParameters {
  user: string;
  id: number;
  now: Date | null;
  /** When it was paid; null for now. */
  paidAt: Date | null;
  /** The provider's reference, if it is known now. */
  reference: string | null;
}

/**
 * Locks the commissions that `bookStatement` can take: those in no earn-out, also if they are not available yet. So no
 * concurrent call holds one that it takes.
 */
export function lockUnboundStatement({ tables }: Database): Statement<Pick<BookParameters, 'user'>> {
  return statement<Pick<BookParameters, 'user'>>(
    { user: true },
    ($) => `
    SELECT FROM ${tables.commissions} c
    WHERE c.user_id = ${$.user} AND c.mode = 'payout' AND c.earn_out_id IS NULL ORDER BY c.id FOR NO KEY UPDATE`,
  );
}

/**
 * Completes an earn-out of the mode `payout` to which nothing is bound: its money was paid in spite of what the database
 * knew. It takes the oldest available commissions whose sum is at most its amount. For the rest it gets an entry, and
 * an entry of the opposite amount is the debt that a later earn-out subtracts. The caller has locked the account, and then
 * the commissions by `lockUnboundStatement`.
 */
export function bookStatement(database: Database): Statement<BookParameters> {
  const { tables } = database;
  return statement<BookParameters>(
    { user: true, id: true, now: true, paidAt: true, reference: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The earn-out. It guards the writes below: no row if it is in progress or completed.
    payment AS (
      SELECT * FROM ${tables.earnOuts} o WHERE o.user_id = ${$.user} AND o.id = ${$.id} AND ${isUnpaid('o')}
    ),
    -- The commissions that are available and not paid, net of open entries. Those that are larger than the payment can't
    -- be a part of it.
    available AS (
      SELECT c.id, c.available_at, c.earned + coalesce(e.amount, 0) AS net
      FROM payment CROSS JOIN at JOIN ${tables.commissions} c ON c.user_id = payment.user_id AND c.mode = payment.mode
        AND c.earn_out_id IS NULL AND c.available_at <= at.now
      LEFT JOIN (
        SELECT commission_id, sum(amount) AS amount FROM ${tables.commissionEntries}
        WHERE user_id = ${$.user} AND earn_out_id IS NULL GROUP BY 1
      ) AS e ON e.commission_id = c.id
      WHERE c.earned + coalesce(e.amount, 0) <= payment.amount
    ),
    -- Each with the sum up to it, oldest first.
    summed AS (
      SELECT id, sum(net) OVER (ORDER BY available_at, id) AS sum FROM available
    ),
    -- Those that the payment has paid.
    taken AS (
      SELECT summed.id, summed.sum FROM summed CROSS JOIN payment WHERE summed.sum <= payment.amount
    ),
    -- What is left of the payment.
    rest AS (
      SELECT payment.amount - coalesce((SELECT max(sum) FROM taken), 0) AS amount FROM payment
    ),
    -- Binds the commissions.
    bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = ${$.id}
      FROM taken WHERE c.user_id = ${$.user} AND c.id = taken.id
      RETURNING c.user_id, c.mode, c.earned AS amount
    ),
    -- Binds their entries.
    bound_entries AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = ${$.id}
      FROM taken WHERE e.user_id = ${$.user} AND e.commission_id = taken.id AND e.earn_out_id IS NULL
      RETURNING e.user_id, 'payout' AS mode, e.amount
    ),
    -- Inserts the two entries for the rest.
    entered AS (
      INSERT INTO ${tables.earnOutEntries} (user_id, payment_id, amount, earn_out_id, created_at)
      SELECT ${$.user}, ${$.id}, side.sign * rest.amount, side.earn_out_id, at.now
      FROM rest CROSS JOIN at CROSS JOIN (VALUES (1, ${$.id}::bigint), (-1, NULL)) AS side (sign, earn_out_id)
      WHERE rest.amount > 0
      RETURNING user_id, 'payout' AS mode, amount, earn_out_id
    ),
    -- Adds what is bound to what the account was paid.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts
      FROM (
        ${sumsByMode(`SELECT * FROM bound UNION ALL SELECT * FROM bound_entries
          UNION ALL SELECT user_id, mode, amount FROM entered WHERE earn_out_id IS NOT NULL`)}
      ) AS by_user
      WHERE a.user_id = by_user.user_id
    ),
    -- Sets the status.
    completed AS (
      UPDATE ${tables.earnOuts} e SET status = 'completed', completions = e.completions + 1, error_reason = NULL, refusals = 0,
        settled_at = coalesce(${$.paidAt}::timestamptz, at.now), updated_at = at.now,
        commissions = (SELECT count(*) FROM taken), reference = coalesce(${$.reference}, e.reference),
        next_attempt_at = NULL, ${unclaimed}
      FROM payment CROSS JOIN at WHERE e.user_id = payment.user_id AND e.id = payment.id
      RETURNING e.*
    ),
    -- What is left can be due, also if the account has waited for staff until now.
    woken AS (
      ${wake(tables, 'completed')}
    )
    SELECT ${database.columns(ReferralEarnOut)}, (SELECT amount FROM rest)::text AS debt FROM completed`,
  );
}
