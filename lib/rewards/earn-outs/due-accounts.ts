import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { periodStart } from './schedule';

/** The parameters that decide when an account is due, and for how much. */
export interface EarnOutTerms {
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
  /** The option `earnOuts.every` in milliseconds. */
  period: number;
  /** Whether the host has the option `earnOuts.payout`. */
  isPayoutOffered: boolean;
  /** The option `earnOuts.minimum`. */
  minimum: string;
}

export interface DueParameters extends EarnOutTerms {
  /** Only users after this one; empty for all. */
  after: string;
  limit: number;
}

/** SQL: the modes of earn-outs, as the table `m`. */
export function modes(isPayoutOffered: string): string {
  return `(VALUES ('credits', true), ('payout', ${isPayoutOffered}::boolean)) AS m (mode, is_offered)`;
}

/**
 * SQL: whether a mode `m` can pay an account `a`. A payout needs the option `earnOuts.payout` and an e-mail address.
 */
export const isPayable = `m.is_offered AND (m.mode = 'credits' OR a.payout_email IS NOT NULL)`;

/**
 * SQL: whether the first period of an account `a` has passed, and it has no earn-out of a mode `m` in progress and none
 * completed in the current period.
 */
export function isDue({ tables }: Database, now: string, period: string): string {
  return `${now} >= a.created_at + ${period}::float8 * interval '1 millisecond' AND NOT EXISTS (
    SELECT FROM ${tables.earnOuts} o WHERE o.user_id = a.user_id AND o.mode = m.mode
      AND (o.status = 'processing' OR (o.status = 'completed' AND o.created_at >= ${periodStart('a', now, period)}))
  )`;
}

/**
 * Selects the next accounts that can be due. It compares the minimum with what an account has earned and was not paid,
 * available or not. That is an upper limit of what is available, and only needs the totals.
 */
export function dueStatement(database: Database): Statement<DueParameters> {
  const { accounts, totals } = database.tables;
  return statement<DueParameters>(
    { now: true, period: true, isPayoutOffered: true, minimum: true, after: true, limit: true },
    ($) => `
    SELECT a.user_id AS "userId" FROM ${accounts} a
    WHERE a.user_id > ${$.after} AND EXISTS (
      SELECT FROM ${modes($.isPayoutOffered)}
      WHERE ${isPayable} AND ${isDue(database, timeOf($.now), $.period)} AND (
        SELECT sum(t.amount) FROM ${totals} t WHERE t.user_id = a.user_id AND t.mode = m.mode
      ) >= ${$.minimum}::numeric + CASE m.mode WHEN 'credits' THEN a.credits_paid ELSE a.payouts_paid END
    )
    ORDER BY a.user_id LIMIT ${$.limit}::integer`,
  );
}

/** What to do with accounts that another transaction has locked. */
export type LockedAccounts = 'skip' | 'wait';

/** Locks the rows of accounts, ordered by user. */
export function lockStatement({ tables }: Database, locked: LockedAccounts): Statement<{ users: readonly string[] }> {
  return statement<{ users: readonly string[] }>(
    { users: true },
    ($) => `
    SELECT user_id AS "userId" FROM ${tables.accounts} WHERE user_id = ANY(${$.users}::varchar[])
    ORDER BY user_id FOR NO KEY UPDATE ${locked === 'skip' ? 'SKIP LOCKED' : ''}`,
  );
}
