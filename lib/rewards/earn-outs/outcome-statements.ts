import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { wakeIfLate } from './due-accounts';
import { isClaimedBy, isInProgress, unclaimed } from './statuses';
import { attemptWait } from './waits';

/** A payout in progress: the user and id, and the claim that must hold it; null if that makes no difference. */
export interface ClaimedParameters {
  user: string;
  id: number;
  claim: string | null;
  now: Date | null;
}

/** SQL: whether an earn-out is in progress and claimed by the caller. */
const isOwnClaim = ($: Record<'user' | 'id' | 'claim', string>): string =>
  `e.user_id = ${$.user} AND e.id = ${$.id} AND ${isInProgress('e')} AND ${isClaimedBy($.claim)}`;

/** Payouts in progress that were paid, by their keys: `users[0]` with `ids[0]`, and so on. */
export interface CompleteParameters {
  users: readonly string[];
  ids: readonly number[];
  /** The claims that must hold them; null if that makes no difference. */
  claims: readonly (string | null)[];
  /** The provider's references, as far as they are known now. */
  references: readonly (string | null)[];
  /** When they were paid; null for now. */
  paidAt: readonly (Date | null)[];
  now: Date | null;
  /** The option `earnOuts.every` in milliseconds. */
  period: number;
}

/** Completes payouts in progress, found by their keys. */
export function completePayoutsStatement(database: Database): Statement<CompleteParameters> {
  const { earnOuts } = database.tables;
  return statement<CompleteParameters>(
    { users: true, ids: true, claims: true, references: true, paidAt: true, now: true, period: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- Sets the status.
    completed AS (
      UPDATE ${earnOuts} e SET status = 'completed', completions = e.completions + 1, updated_at = at.now, settled_at = coalesce(paid.at, at.now),
        reference = coalesce(paid.reference, e.reference), next_attempt_at = NULL, ${unclaimed}
      FROM at CROSS JOIN unnest(${$.users}::varchar[], ${$.ids}::bigint[], ${$.claims}::varchar[],
        ${$.references}::varchar[], ${$.paidAt}::timestamptz[]) AS paid (user_id, id, claim, reference, at)
      WHERE e.user_id = paid.user_id AND e.id = paid.id AND ${isInProgress('e')} AND ${isClaimedBy('paid.claim')}
      RETURNING e.*
    ),
    -- New commissions may have waited for it.
    woken AS (
      ${wakeIfLate(database.tables, 'completed', $.period)}
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM completed`,
  );
}

/** Stores that the provider has accepted a claimed payout. It then waits for `earnOuts.settle`. */
export function submitStatement(database: Database): Statement<ClaimedParameters & { reference: string }> {
  return statement<ClaimedParameters & { reference: string }>(
    { user: true, id: true, claim: true, now: true, reference: true },
    ($) => `
    WITH submitted AS (
      UPDATE ${database.tables.earnOuts} e SET submitted_at = ${timeOf($.now)}, updated_at = ${timeOf($.now)},
        reference = ${$.reference}, next_attempt_at = NULL, ${unclaimed}
      WHERE ${isOwnClaim($)}
      RETURNING e.*
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM submitted`,
  );
}

/**
 * Gives up the claim of a payout whose result is not known, and stores when the provider is asked again: never after the
 * last attempt, which then waits for the host's staff.
 */
export function unclearStatement(database: Database): Statement<ClaimedParameters> {
  return statement<ClaimedParameters>(
    { user: true, id: true, claim: true, now: true },
    ($) => `
    WITH unclear AS (
      UPDATE ${database.tables.earnOuts} e SET updated_at = ${timeOf($.now)}, ${unclaimed},
        next_attempt_at = ${timeOf($.now)} + ${attemptWait('e.attempts')}
      WHERE ${isOwnClaim($)}
      RETURNING e.*
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM unclear`,
  );
}
