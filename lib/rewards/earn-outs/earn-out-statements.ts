import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { periodStart } from './schedule';

/** The condition that an account `a` was not paid in a mode `m` since its current period began, and is not being paid. */
function isUnpaid({ tables }: Database, now: string, every: string): string {
  return `${now} >= a.created_at + ${every}::float8 * interval '1 millisecond' AND NOT EXISTS (
    SELECT FROM ${tables.earnOuts} e WHERE e.user_id = a.user_id AND e.mode = m.mode
      AND (e.status = 'processing' OR (e.status = 'completed' AND e.created_at >= ${periodStart('a', now, every)}))
  )`;
}

/** The modes that can be paid: payouts only by a host that pays them out, to an account that says where. */
const modes = `(VALUES ('credits', true), ('payout', $3::boolean)) AS m (mode, is_offered)`;
const isPayable = `m.is_offered AND (m.mode = 'credits' OR a.payout_email IS NOT NULL)`;

/**
 * The next accounts that are due. What an account has earned and was not paid, pending or not, is a limit to what it has available.
 *
 * `$1` now, `$2` the period in milliseconds, `$3` whether payouts are offered, `$4` minimum, `$5` after which user, `$6` how many.
 */
export function dueStatement(database: Database): string {
  const { accounts, totals } = database.tables;
  const now = timeOf('$1');
  return `
    SELECT a.user_id AS "userId" FROM ${accounts} a
    WHERE a.user_id > $5 AND EXISTS (
      SELECT FROM ${modes} WHERE ${isPayable} AND ${isUnpaid(database, now, '$2')} AND (
        SELECT sum(t.amount) FROM ${totals} t WHERE t.user_id = a.user_id AND t.mode = m.mode
      ) >= $4::numeric + CASE m.mode WHEN 'credits' THEN a.credits_paid ELSE a.payouts_paid END
    )
    ORDER BY a.user_id LIMIT $6::integer`;
}

/** What becomes of accounts that somebody else has locked. */
export type Others = 'left out' | 'waited for';

/** Locks accounts: `$1` users. */
export function lockStatement({ tables }: Database, others: Others): string {
  return `
    SELECT user_id AS "userId" FROM ${tables.accounts} WHERE user_id = ANY($1::varchar[])
    ORDER BY user_id FOR NO KEY UPDATE ${others === 'left out' ? 'SKIP LOCKED' : ''}`;
}

/**
 * Makes the earn-outs of locked accounts, and binds to each the commissions of its mode that are available and not paid yet, with
 * what refunds took from these.
 *
 * What refunds took from commissions that were paid is a debt. It is netted in its own mode, if that leaves enough for an earn-out;
 * else in the other mode: nobody is paid in one mode who owes in the other. A commission whose earn-out is still under way owes
 * nothing yet.
 *
 * `$1` now, `$2` the period, `$3` whether payouts are offered, `$4` minimum, `$5` the users.
 */
export function bindStatement(database: Database): string {
  const { tables } = database;
  return `
    WITH at AS (
      SELECT ${timeOf('$1')} AS now
    ), due AS (
      SELECT a.user_id, m.mode, CASE m.mode WHEN 'payout' THEN a.payout_email END AS payout_email
      FROM ${tables.accounts} a CROSS JOIN ${modes} CROSS JOIN at
      WHERE a.user_id = ANY($5::varchar[]) AND ${isPayable} AND ${isUnpaid(database, 'at.now', '$2')}
    ), open_entries AS (
      SELECT e.user_id, e.commission_id, e.id, e.amount, c.mode, c.earn_out_id IS NOT NULL AS is_debt
      FROM ${tables.commissionEntries} e JOIN ${tables.commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id CROSS JOIN at
      WHERE e.user_id = ANY($5::varchar[]) AND e.earn_out_id IS NULL AND c.available_at <= at.now AND (
        c.earn_out_id IS NULL
        OR EXISTS (SELECT FROM ${tables.earnOuts} o WHERE o.user_id = c.user_id AND o.id = c.earn_out_id AND o.status = 'completed')
      )
    ), parts AS (
      SELECT c.user_id, c.mode, c.earned AS amount, 1 AS is_commission, false AS is_debt
      FROM ${tables.commissions} c CROSS JOIN at
      WHERE c.user_id = ANY($5::varchar[]) AND c.earn_out_id IS NULL AND c.available_at <= at.now
      UNION ALL SELECT user_id, mode, amount, 0, is_debt FROM open_entries
    ), nets AS (
      SELECT user_id, mode, coalesce(sum(amount) FILTER (WHERE NOT is_debt), 0) AS ready, sum(is_commission) AS commissions,
        coalesce(sum(amount) FILTER (WHERE is_debt), 0) AS debt
      FROM parts GROUP BY user_id, mode
    ), sums AS (
      SELECT due.user_id, due.mode, due.payout_email, n.commissions, n.ready + n.debt AS own, coalesce(other.debt, 0) AS others
      FROM due JOIN nets n USING (user_id, mode) LEFT JOIN nets other ON other.user_id = due.user_id AND other.mode <> due.mode
        AND NOT (other.ready + other.debt >= $4::numeric AND EXISTS (
          SELECT FROM due d WHERE d.user_id = due.user_id AND d.mode = other.mode
        ))
    ), made AS (
      INSERT INTO ${tables.earnOuts} (user_id, mode, payout_email, amount, commissions, status, idempotency_key, created_at, updated_at)
      SELECT user_id, mode, payout_email, own + others, commissions, 'processing', gen_random_uuid()::text, at.now, at.now
      FROM sums CROSS JOIN at WHERE own + others >= $4::numeric ORDER BY user_id, mode
      RETURNING *
    ), bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = made.id
      FROM made CROSS JOIN at
      WHERE c.user_id = made.user_id AND c.mode = made.mode AND c.earn_out_id IS NULL AND c.available_at <= at.now
      RETURNING c.user_id, c.mode, c.earned AS amount
    ), netted AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = made.id
      FROM open_entries o JOIN made ON made.user_id = o.user_id JOIN sums s ON s.user_id = made.user_id AND s.mode = made.mode
      WHERE e.user_id = o.user_id AND e.commission_id = o.commission_id AND e.id = o.id
        AND (o.mode = made.mode OR (o.is_debt AND s.others < 0))
      RETURNING e.user_id, o.mode, e.amount
    ), paid AS (
      UPDATE ${tables.accounts} a SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts
      FROM (${byMode('SELECT * FROM bound UNION ALL SELECT * FROM netted')}) AS by_user
      WHERE a.user_id = by_user.user_id
    )
    SELECT count(*) AS made FROM made`;
}

/** What parts of earn-outs amount to, by the mode that they were earned in. */
function byMode(parts: string): string {
  return `SELECT user_id, coalesce(sum(amount) FILTER (WHERE mode = 'credits'), 0) AS credits,
    coalesce(sum(amount) FILTER (WHERE mode = 'payout'), 0) AS payouts FROM (${parts}) AS parts GROUP BY user_id`;
}

/** Locks the next earn-outs of a mode (`$1`) that wait to be paid, `$2` of them, leaving out what another process is at. */
export function waitingStatement(database: Database): string {
  return `
    SELECT ${database.columns(ReferralEarnOut)} FROM ${database.tables.earnOuts}
    WHERE status = 'processing' AND mode = $1 ORDER BY mode, user_id LIMIT $2::integer FOR NO KEY UPDATE SKIP LOCKED`;
}

/** Completes locked earn-outs: `$1` users, `$2` ids, `$3` now. */
export function completeStatement(database: Database): string {
  return `
    WITH completed AS (
      UPDATE ${database.tables.earnOuts} e SET status = 'completed', updated_at = ${timeOf('$3')}
      FROM unnest($1::varchar[], $2::bigint[]) AS done (user_id, id)
      WHERE e.user_id = done.user_id AND e.id = done.id AND e.status = 'processing'
      RETURNING e.*
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM completed`;
}

/** Gives credit for locked earn-outs, each under its key: `$1` users, `$2` ids, `$3` now, `$4` the credit's type, `$5` its days. */
export function creditStatement(database: Database): string {
  const { earnOuts, credits } = database.tables;
  return `
    INSERT INTO ${credits} (user_id, reference, kind, initial_balance, current_balance, type_id, name, start_date, expiry_date, created_at)
    SELECT e.user_id, e.idempotency_key, 'earn-out', e.amount, e.amount, $4::bigint, 'commissions of earn-out ' || e.id, at.now,
      at.now + $5::integer * interval '24 hours', at.now
    FROM (SELECT ${timeOf('$3')} AS now) AS at CROSS JOIN unnest($1::varchar[], $2::bigint[]) AS done (user_id, id)
    JOIN ${earnOuts} e ON e.user_id = done.user_id AND e.id = done.id
    WHERE e.status = 'processing'
    RETURNING ${database.columns(ReferralCredit)}`;
}

/**
 * Fails a locked earn-out of a locked account, and frees what was bound to it for the next one: `$1` user, `$2` id, `$3` now, `$4`
 * reason.
 */
export function failStatement(database: Database): string {
  const { tables } = database;
  return `
    WITH failed AS (
      UPDATE ${tables.earnOuts} SET status = 'failed', error_reason = $4, updated_at = ${timeOf('$3')}
      WHERE user_id = $1 AND id = $2 AND status = 'processing'
      RETURNING *
    ), freed AS (
      UPDATE ${tables.commissions} SET earn_out_id = NULL WHERE user_id = $1 AND earn_out_id = (SELECT id FROM failed)
      RETURNING user_id, mode, earned AS amount
    ), freed_entries AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = NULL FROM ${tables.commissions} c
      WHERE e.user_id = $1 AND e.earn_out_id = (SELECT id FROM failed) AND c.user_id = e.user_id AND c.id = e.commission_id
      RETURNING e.user_id, c.mode, e.amount
    ), paid AS (
      UPDATE ${tables.accounts} a SET credits_paid = a.credits_paid - by_user.credits, payouts_paid = a.payouts_paid - by_user.payouts
      FROM (${byMode('SELECT * FROM freed UNION ALL SELECT * FROM freed_entries')}) AS by_user
      WHERE a.user_id = by_user.user_id
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM failed`;
}
