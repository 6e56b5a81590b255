import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isSuspended, isUnderReview } from '../../database/suspended';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import { attemptWait, maxAttempts } from './waits';

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

/**
 * Claims the next payouts that are due to be asked for: writes who pays them and until when, before the provider is
 * asked.
 *
 * The time of the next attempt is that for the case that this one has no clear result, or that the process dies. So a
 * claimed payout is not due any more, and the index leads to the next one. The place after which the run continues
 * keeps it from reading the index entries that its own claims have left behind.
 *
 * A payout of an account that is suspended, or held by a review, is not claimed, unless the provider may have been asked
 * about it before.
 *
 * A payout that is still due after its last attempt is not claimed, because the process died in that attempt. It waits
 * for the host's staff from now on: `next_attempt_at` and `claimed_by` are null.
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
      SELECT o.user_id, o.id, o.next_attempt_at, o.attempts < ${maxAttempts} AS is_tried FROM ${earnOuts} o
      WHERE o.status = 'processing' AND o.next_attempt_at <= ${timeOf($.now)}
        AND (o.next_attempt_at, o.user_id, o.id)
          > (${$.afterTime}::timestamptz, ${$.afterUser}::varchar, ${$.afterId}::bigint)
        AND (o.asked_at IS NOT NULL
          OR NOT (${isSuspended(database.tables, 'o.user_id')} OR ${isUnderReview(database.tables, 'o.user_id')}))
      ORDER BY o.next_attempt_at, o.user_id, o.id LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED
    ),
    -- Claims them, or gives them up.
    claimed AS (
      UPDATE ${earnOuts} e SET attempts = e.attempts + next.is_tried::integer, asked_at = coalesce(e.asked_at, at.now),
        claimed_by = CASE WHEN next.is_tried THEN ${$.claim} END,
        claimed_until = CASE WHEN next.is_tried THEN at.now + ${$.lease}::float8 * interval '1 millisecond' END,
        next_attempt_at = CASE WHEN next.is_tried THEN greatest(
          at.now + ${$.lease}::float8 * interval '1 millisecond',
          at.now + ${$.timeout}::float8 * interval '1 millisecond' + ${attemptWait('e.attempts + 1')}
        ) END,
        updated_at = at.now
      FROM next CROSS JOIN at WHERE e.user_id = next.user_id AND e.id = next.id
      RETURNING e.*, next.next_attempt_at AS claim_place
    )
    SELECT ${database.columns(ReferralEarnOut)}, claim_place::text AS "claimPlace" FROM claimed
    ORDER BY claim_place, user_id, id`,
  );
}
