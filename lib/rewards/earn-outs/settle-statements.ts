import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { grantEntriesCte } from '../credits/entries';

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

/** Locks the next earn-outs of the mode `credits` in progress. Those that another process has locked are skipped. */
export function waitingStatement(database: Database): Statement<{ limit: number }> {
  return statement<{ limit: number }>(
    { limit: true },
    ($) => `
    SELECT ${database.columns(ReferralEarnOut)} FROM ${database.tables.earnOuts}
    WHERE status = 'processing' AND mode = 'credits'
    ORDER BY mode, user_id LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED`,
  );
}

/** Completes locked earn-outs. */
export function completeStatement(database: Database): Statement<LockedEarnOuts> {
  return statement<LockedEarnOuts>(
    { users: true, ids: true, now: true },
    ($) => `
    WITH completed AS (
      UPDATE ${database.tables.earnOuts} e SET status = 'completed', settled_at = ${timeOf($.now)},
        updated_at = ${timeOf($.now)}
      FROM unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS done (user_id, id)
      WHERE e.user_id = done.user_id AND e.id = done.id AND e.status = 'processing'
      RETURNING e.*
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM completed`,
  );
}

/**
 * Inserts the credits of locked earn-outs, and their ledger entries. The reference of each credit is the idempotency key
 * of its earn-out.
 */
export function creditStatement(database: Database): Statement<CreditParameters> {
  const { earnOuts, credits } = database.tables;
  return statement<CreditParameters>(
    { users: true, ids: true, now: true, type: true, days: true },
    ($) => `
    WITH
    -- The new credits.
    given AS (
      INSERT INTO ${credits} (user_id, reference, kind, initial_balance, current_balance, type_id, name, start_date,
        expiry_date, created_at)
      SELECT e.user_id, e.idempotency_key, 'earn-out', e.amount, e.amount, ${$.type}::bigint,
        'commissions of earn-out ' || e.id, at.now,
        at.now + ${$.days}::integer * interval '24 hours', at.now
      FROM (SELECT ${timeOf($.now)} AS now) AS at
      CROSS JOIN unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS done (user_id, id)
      JOIN ${earnOuts} e ON e.user_id = done.user_id AND e.id = done.id
      WHERE e.status = 'processing'
      RETURNING *
    ),
    ${grantEntriesCte(database, 'given')}
    SELECT ${database.columns(ReferralCredit)} FROM given`,
  );
}
