import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { Database } from '../../tracking/database';
import { timeOf } from '../time';
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
 * Locks the next accounts that are due, leaving out what another process has locked. What an account has earned and was not paid,
 * pending or not, is a limit to what it has available.
 *
 * `$1` now, `$2` the period in milliseconds, `$3` whether payouts are offered, `$4` minimum, `$5` after which user, `$6` how many.
 */
export function lockStatement(database: Database): string {
  const { accounts, totals } = database.tables;
  const now = timeOf('$1');
  return `
    SELECT a.user_id AS "userId" FROM ${accounts} a
    WHERE a.user_id > $5 AND EXISTS (
      SELECT FROM ${modes} WHERE ${isPayable} AND ${isUnpaid(database, now, '$2')} AND (
        SELECT sum(t.amount) FROM ${totals} t WHERE t.user_id = a.user_id AND t.mode = m.mode
      ) >= $4::numeric + CASE m.mode WHEN 'credits' THEN a.credits_paid ELSE a.payouts_paid END
    )
    ORDER BY a.user_id LIMIT $6::integer FOR NO KEY UPDATE OF a SKIP LOCKED`;
}

/**
 * Makes the earn-outs of locked accounts, and binds to each the commissions that are available and not paid yet, with what refunds
 * took from these and from paid ones.
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
    ), ready AS (
      SELECT c.user_id, c.mode, c.id, c.earned
      FROM due JOIN ${tables.commissions} c ON c.user_id = due.user_id AND c.mode = due.mode CROSS JOIN at
      WHERE c.earn_out_id IS NULL AND c.available_at <= at.now
    ), taken_back AS (
      SELECT e.user_id, c.mode, e.commission_id, e.id, e.amount
      FROM due JOIN ${tables.commissionEntries} e ON e.user_id = due.user_id
      JOIN ${tables.commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id AND c.mode = due.mode CROSS JOIN at
      WHERE e.earn_out_id IS NULL AND c.available_at <= at.now
    ), sums AS (
      SELECT user_id, mode, sum(amount) AS amount, sum(is_commission) AS commissions
      FROM (
        SELECT user_id, mode, earned AS amount, 1 AS is_commission FROM ready
        UNION ALL SELECT user_id, mode, amount, 0 FROM taken_back
      ) AS parts
      GROUP BY user_id, mode HAVING sum(amount) >= $4::numeric
    ), made AS (
      INSERT INTO ${tables.earnOuts} (user_id, mode, payout_email, amount, commissions, status, idempotency_key, created_at, updated_at)
      SELECT user_id, mode, due.payout_email, amount, commissions, 'processing', gen_random_uuid()::text, at.now, at.now
      FROM sums JOIN due USING (user_id, mode) CROSS JOIN at ORDER BY user_id, mode
      RETURNING *
    ), bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = made.id
      FROM ready JOIN made USING (user_id, mode) WHERE c.user_id = ready.user_id AND c.id = ready.id
    ), netted AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = made.id
      FROM taken_back JOIN made USING (user_id, mode)
      WHERE e.user_id = taken_back.user_id AND e.commission_id = taken_back.commission_id AND e.id = taken_back.id
    ), paid AS (
      UPDATE ${tables.accounts} a SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts
      FROM (
        SELECT user_id, coalesce(sum(amount) FILTER (WHERE mode = 'credits'), 0) AS credits,
          coalesce(sum(amount) FILTER (WHERE mode = 'payout'), 0) AS payouts FROM made GROUP BY user_id
      ) AS by_user
      WHERE a.user_id = by_user.user_id
    )
    SELECT count(*) AS made FROM made`;
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
    ), freed_entries AS (
      UPDATE ${tables.commissionEntries} SET earn_out_id = NULL WHERE user_id = $1 AND earn_out_id = (SELECT id FROM failed)
    ), paid AS (
      UPDATE ${tables.accounts} a SET
        credits_paid = a.credits_paid - CASE failed.mode WHEN 'credits' THEN failed.amount ELSE 0 END,
        payouts_paid = a.payouts_paid - CASE failed.mode WHEN 'payout' THEN failed.amount ELSE 0 END
      FROM failed WHERE a.user_id = failed.user_id
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM failed`;
}
