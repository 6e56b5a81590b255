import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { EarningMode } from '../../types/earn-outs';
import { sumsByMode } from './bind-statement';

export interface WaitingParameters {
  mode: EarningMode;
  limit: number;
}

/** Earn-outs that the caller has locked, by their keys: `users[0]` with `ids[0]`, and so on. */
export interface LockedEarnOuts {
  users: readonly string[];
  ids: readonly number[];
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

export interface CreditParameters extends LockedEarnOuts {
  /** The id of the credit's type. */
  type: number;
  /** How long the credit lasts, in days of 24 hours. */
  days: number;
}

export interface FailParameters {
  user: string;
  id: number;
  now: Date | null;
  reason: string;
}

/** Locks the next earn-outs of a mode that wait to be paid. Those that another process has locked are skipped. */
export function waitingStatement(database: Database): Statement<WaitingParameters> {
  return statement<WaitingParameters>(
    { mode: true, limit: true },
    ($) => `
    SELECT ${database.columns(ReferralEarnOut)} FROM ${database.tables.earnOuts}
    WHERE status = 'processing' AND mode = ${$.mode}
    ORDER BY mode, user_id LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED`,
  );
}

/** Completes locked earn-outs. */
export function completeStatement(database: Database): Statement<LockedEarnOuts> {
  return statement<LockedEarnOuts>(
    { users: true, ids: true, now: true },
    ($) => `
    WITH completed AS (
      UPDATE ${database.tables.earnOuts} e SET status = 'completed', updated_at = ${timeOf($.now)}
      FROM unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS done (user_id, id)
      WHERE e.user_id = done.user_id AND e.id = done.id AND e.status = 'processing'
      RETURNING e.*
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM completed`,
  );
}

/** Inserts the credits of locked earn-outs. The reference of each credit is the idempotency key of its earn-out. */
export function creditStatement(database: Database): Statement<CreditParameters> {
  const { earnOuts, credits } = database.tables;
  return statement<CreditParameters>(
    { users: true, ids: true, now: true, type: true, days: true },
    ($) => `
    INSERT INTO ${credits} (user_id, reference, kind, initial_balance, current_balance, type_id, name, start_date,
      expiry_date, created_at)
    SELECT e.user_id, e.idempotency_key, 'earn-out', e.amount, e.amount, ${$.type}::bigint,
      'commissions of earn-out ' || e.id, at.now,
      at.now + ${$.days}::integer * interval '24 hours', at.now
    FROM (SELECT ${timeOf($.now)} AS now) AS at
    CROSS JOIN unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS done (user_id, id)
    JOIN ${earnOuts} e ON e.user_id = done.user_id AND e.id = done.id
    WHERE e.status = 'processing'
    RETURNING ${database.columns(ReferralCredit)}`,
  );
}

/** Fails one earn-out, and unbinds its commissions and entries. The caller has locked the earn-out and the account. */
export function failStatement(database: Database): Statement<FailParameters> {
  const { tables } = database;
  return statement<FailParameters>(
    { user: true, id: true, now: true, reason: true },
    ($) => `
    WITH
    -- Sets the status. It guards the writes below: no row if the earn-out is settled already.
    failed AS (
      UPDATE ${tables.earnOuts} SET status = 'failed', error_reason = ${$.reason}, updated_at = ${timeOf($.now)}
      WHERE user_id = ${$.user} AND id = ${$.id} AND status = 'processing'
      RETURNING *
    ),
    -- Unbinds the commissions, for the next earn-out.
    freed AS (
      UPDATE ${tables.commissions} SET earn_out_id = NULL
      WHERE user_id = ${$.user} AND earn_out_id = (SELECT id FROM failed)
      RETURNING user_id, mode, earned AS amount
    ),
    -- Unbinds the entries, for the next earn-out.
    freed_entries AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = NULL FROM ${tables.commissions} c
      WHERE e.user_id = ${$.user} AND e.earn_out_id = (SELECT id FROM failed)
        AND c.user_id = e.user_id AND c.id = e.commission_id
      RETURNING e.user_id, c.mode, e.amount
    ),
    -- Subtracts both from what the account was paid.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid - by_user.credits, payouts_paid = a.payouts_paid - by_user.payouts
      FROM (${sumsByMode('SELECT * FROM freed UNION ALL SELECT * FROM freed_entries')}) AS by_user
      WHERE a.user_id = by_user.user_id
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM failed`,
  );
}
