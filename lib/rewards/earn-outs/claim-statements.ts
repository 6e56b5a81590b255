import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { periodStart } from './schedule';
import { attemptWait } from './waits';

/** The place of a payout in the order in which payouts are claimed. */
export interface ClaimPlace {
  nextAttemptAt: string;
  userId: string;
  id: string;
}

export interface ClaimParameters {
  now: Date | null;
  /** How many to claim. */
  limit: number;
  /** Who claims them, for `claimed_by`. */
  claim: string;
  /** How long the host's function may take, in milliseconds. */
  timeout: number;
  /** How long the lease lasts, in milliseconds. */
  lease: number;
  /** Only payouts after this place. */
  afterTime: string;
  afterUser: string;
  afterId: string;
}

/** A payout in progress: the user and id, and the claim that must hold it; null if that makes no difference. */
export interface ClaimedParameters {
  user: string;
  id: number;
  claim: string | null;
  now: Date | null;
}

/**
 * Claims the next payouts that are due to be asked for: writes who pays them and until when, before the provider is
 * asked.
 *
 * The time of the next attempt is that for the case that this one has no clear result, or that the process dies. So a
 * claimed payout is not due any more, and the index leads to the next one. The place after which the run continues
 * keeps it from reading the index entries that its own claims have left behind.
 */
export function claimStatement(database: Database): Statement<ClaimParameters> {
  const { earnOuts } = database.tables;
  return statement<ClaimParameters>(
    {
      now: true,
      limit: true,
      claim: true,
      timeout: true,
      lease: true,
      afterTime: true,
      afterUser: true,
      afterId: true,
    },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The next payouts. Those that another process is claiming at this moment are skipped.
    next AS (
      SELECT o.user_id, o.id, o.next_attempt_at FROM ${earnOuts} o
      WHERE o.status = 'processing' AND o.next_attempt_at <= ${timeOf($.now)}
        AND (o.next_attempt_at, o.user_id, o.id)
          > (${$.afterTime}::timestamptz, ${$.afterUser}::varchar, ${$.afterId}::bigint)
      ORDER BY o.next_attempt_at, o.user_id, o.id LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED
    ),
    claimed AS (
      UPDATE ${earnOuts} e SET attempts = e.attempts + 1, claimed_by = ${$.claim},
        claimed_until = at.now + ${$.lease}::float8 * interval '1 millisecond',
        next_attempt_at = greatest(
          at.now + ${$.lease}::float8 * interval '1 millisecond',
          at.now + ${$.timeout}::float8 * interval '1 millisecond' + ${attemptWait('e.attempts + 1')}
        ),
        updated_at = at.now
      FROM next CROSS JOIN at WHERE e.user_id = next.user_id AND e.id = next.id
      RETURNING e.*, next.next_attempt_at AS claim_place
    )
    SELECT ${database.columns(ReferralEarnOut)}, claim_place::text AS "claimPlace" FROM claimed
    ORDER BY claim_place, user_id, id`,
  );
}

/** SQL: the columns of a claim, as they are without one. */
export const unclaimed = 'claimed_by = NULL, claimed_until = NULL';

/** SQL: whether a claim holds the earn-out `e`; true for null, if the caller needs none. */
export function isClaimedBy(claim: string): string {
  return `(${claim}::varchar IS NULL OR e.claimed_by = ${claim})`;
}

/** SQL: whether an earn-out is in progress and claimed by the caller. */
const isOwnClaim = ($: Record<'user' | 'id' | 'claim', string>): string =>
  `e.user_id = ${$.user} AND e.id = ${$.id} AND e.status = 'processing' AND ${isClaimedBy($.claim)}`;

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

/**
 * Completes payouts in progress. If the period of one has passed, it also makes the user due: new commissions have
 * waited for it.
 */
export function completePayoutsStatement(database: Database): Statement<CompleteParameters> {
  const { earnOuts, accounts, totals } = database.tables;
  return statement<CompleteParameters>(
    { users: true, ids: true, claims: true, references: true, paidAt: true, now: true, period: true },
    ($) => `
    WITH
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    completed AS (
      UPDATE ${earnOuts} e SET status = 'completed', updated_at = at.now, settled_at = coalesce(paid.at, at.now),
        reference = coalesce(paid.reference, e.reference), next_attempt_at = NULL, ${unclaimed}
      FROM at CROSS JOIN unnest(${$.users}::varchar[], ${$.ids}::bigint[], ${$.claims}::varchar[],
        ${$.references}::varchar[], ${$.paidAt}::timestamptz[]) AS paid (user_id, id, claim, reference, at)
      WHERE e.user_id = paid.user_id AND e.id = paid.id AND e.status = 'processing' AND ${isClaimedBy('paid.claim')}
      RETURNING e.*
    ),
    woken AS (
      UPDATE ${totals} t SET due_at = at.now
      FROM completed JOIN ${accounts} a ON a.user_id = completed.user_id CROSS JOIN at
      WHERE t.user_id = completed.user_id AND completed.created_at < ${periodStart('a', 'at.now', $.period)}
        AND (t.due_at IS NULL OR t.due_at > at.now)
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
