import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isSuspended } from '../../database/suspended';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { grantEntriesCte } from '../credits/entries';
import { wakeIfLate } from './due-accounts';
import { isInProgress } from './statuses';

/** Earn-outs by their keys: `users[0]` with `ids[0]`, and so on. */
interface EarnOutKeys {
  users: readonly string[];
  ids: readonly number[];
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

export interface CompleteCreditsParameters extends EarnOutKeys {
  /** The option `earnOuts.every` in milliseconds. */
  period: number;
}

export interface GiveCreditsParameters extends EarnOutKeys {
  /** The id of the credits' type. */
  type: number;
  /** How long the credits last, in days of 24 hours. */
  days: number;
}

/** How many earn-outs of the mode `credits` to select, and after which user: one has a single one in progress. */
export interface NextCreditsParameters {
  afterUser: string;
  limit: number;
}

/**
 * Locks the next earn-outs of the mode `credits` in progress. Those that another process has locked, and those of suspended
 * accounts, are skipped.
 */
export function nextCreditsStatement({ tables }: Database): Statement<NextCreditsParameters> {
  return statement<NextCreditsParameters>(
    { afterUser: true, limit: true },
    ($) => `
    SELECT o.user_id AS "userId", o.id::text AS id FROM ${tables.earnOuts} o
    WHERE o.status = 'processing' AND o.mode = 'credits' AND o.user_id > ${$.afterUser}
      AND NOT ${isSuspended(tables, 'o.user_id')}
    ORDER BY o.mode, o.user_id LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED`,
  );
}

/** Completes those earn-outs that are still in progress. */
export function completeCreditsStatement(database: Database): Statement<CompleteCreditsParameters> {
  return statement<CompleteCreditsParameters>(
    { users: true, ids: true, now: true, period: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- Sets the status.
    completed AS (
      UPDATE ${database.tables.earnOuts} e SET status = 'completed', completions = e.completions + 1, settled_at = at.now, updated_at = at.now
      FROM unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS paid (user_id, id) CROSS JOIN at
      WHERE e.user_id = paid.user_id AND e.id = paid.id AND ${isInProgress('e')}
      RETURNING e.*
    ),
    -- New commissions may have waited for it.
    woken AS (
      ${wakeIfLate(database.tables, 'completed', $.period)}
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM completed`,
  );
}

/**
 * Inserts the credits of earn-outs that the transaction has completed, and their ledger entries. The reference of each
 * credit is the idempotency key of its earn-out.
 */
export function giveCreditsStatement(database: Database): Statement<GiveCreditsParameters> {
  const { earnOuts, credits } = database.tables;
  return statement<GiveCreditsParameters>(
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
      CROSS JOIN unnest(${$.users}::varchar[], ${$.ids}::bigint[]) AS paid (user_id, id)
      JOIN ${earnOuts} e ON e.user_id = paid.user_id AND e.id = paid.id
      RETURNING *
    ),
    ${grantEntriesCte(database, 'given')}
    SELECT ${database.columns(ReferralCredit)} FROM given`,
  );
}
