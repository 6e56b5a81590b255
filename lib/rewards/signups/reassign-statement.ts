import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralSignup } from '../../entities/referral-signup';
import { holdsOfPair } from '../reviews/holds-of-pair';
import { commissionColumns } from './signup-statement';
import { undoneGrants } from './undone-grants';

export interface ReassignParameters {
  user: string;
  /** The id of the new referral; null for nobody. */
  referral: number | null;
  isSelfReferral: boolean;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

/**
 * Makes a sign-up point to another referral, with the terms of its program at this time. What the sign-up has earned stays, and is not
 * earned a second time. What the sign-up has granted stays with those who have it; a reward that was granted is not granted a
 * second time, and no limit of rewards refuses the new one, because staff have decided it. The referee's credit that was not
 * granted yet, because it waits for a review, goes with the sign-up, unless that review was refused.
 *
 * The caller has locked the buyer, the sign-up, both referrals and the accounts of both owners, and grants what is due.
 */
export function reassignStatement(database: Database): Statement<ReassignParameters> {
  const { signups, referrals, programs, referees, accounts, usages, credits, buyers, commissions, reviews } =
    database.tables;
  const kept = (column: string): string => `${column} = CASE WHEN credit.is_kept THEN s.${column} END`;
  return statement<ReassignParameters>(
    { user: true, referral: true, isSelfReferral: true, now: true },
    ($) => `
      WITH
      -- The time of the statement.
      at AS (
        SELECT ${timeOf($.now)} AS now
      ),
      -- The sign-up as it was.
      was AS (
        SELECT * FROM ${signups} WHERE user_id = ${$.user}
      ),
      -- The new referral and its terms, or one row of nulls. The reward is due once for a user.
      terms AS (
        SELECT r.id, r.user_id, rewarded.ever, p.id AS program_id, ${commissionColumns.map((name) => `p.${name}`).join(', ')},
          coalesce(p.before_reward_usage_threshold, 0) AS threshold,
          CASE WHEN NOT rewarded.ever THEN p.reward_credit_amount END AS reward_credit_amount,
          CASE WHEN NOT rewarded.ever THEN p.reward_credit_duration END AS reward_credit_duration,
          CASE WHEN NOT rewarded.ever THEN p.reward_credit_type_id END AS reward_credit_type_id
        FROM (
          SELECT was.was_rewarded
            OR EXISTS (SELECT FROM ${credits} WHERE referee_id = ${$.user} AND kind = 'reward') AS ever FROM was
        ) AS rewarded
        LEFT JOIN ${referrals} r ON r.id = ${$.referral}::bigint LEFT JOIN ${programs} p ON p.id = r.program_id
      ),
      -- Whether the referee's credit is still to be granted.
      credit AS (
        SELECT NOT EXISTS (SELECT FROM ${credits} WHERE referee_id = ${$.user} AND kind = 'referral') AND NOT EXISTS (
          SELECT FROM ${reviews} v JOIN was ON v.user_id IS NOT DISTINCT FROM was.referrer_id
          WHERE v.referee_id = ${$.user} AND v.status = 'refused'
        ) AS is_kept
      ),
      ${undoneGrants(database, `c.referee_id = ${$.user}`)},
      -- Points the sign-up to it. The usage so far counts towards the new threshold.
      moved AS (
        UPDATE ${signups} s SET referral_id = terms.id, referrer_id = terms.user_id, program_id = terms.program_id,
          is_self_referral = ${$.isSelfReferral}::boolean,
          ${['referral_credit_amount', 'referral_credit_duration', 'referral_credit_type_id'].map(kept).join(', ')},
          reward_credit_amount = terms.reward_credit_amount, reward_credit_duration = terms.reward_credit_duration,
          reward_credit_type_id = terms.reward_credit_type_id,
          reward_limit_count = NULL, reward_limit_period = NULL, no_reward = NULL, was_rewarded = terms.ever,
          ${commissionColumns.map((name) => `${name} = terms.${name}`).join(', ')}, held_for = ${holdsOfPair(database.tables, 'terms.user_id', $.user)},
          before_reward_usage_threshold = terms.threshold,
          threshold_reached_at = CASE WHEN terms.threshold = 0 THEN s.created_at
            WHEN s.recorded_usage >= terms.threshold
            THEN (SELECT max(created_at) FROM ${usages} WHERE user_id = ${$.user} AND is_counted) END
        FROM terms CROSS JOIN credit WHERE s.user_id = ${$.user}
        RETURNING s.*
      ),
      -- Moves the use from the old referral to the new one.
      used AS (
        UPDATE ${referrals} r SET uses = r.uses + CASE r.id WHEN moved.referral_id THEN 1 ELSE -1 END
        FROM was CROSS JOIN moved WHERE r.id IN (was.referral_id, moved.referral_id)
      ),
      -- Deletes the pair with the old referrer, unless a purchase or a commission has used it.
      unmet AS (
        DELETE FROM ${referees} e USING was CROSS JOIN moved
        WHERE e.user_id = was.referrer_id AND e.referee_id = ${$.user} AND e.earned = 0 AND e.upgraded_at IS NULL
          AND was.referrer_id IS DISTINCT FROM moved.referrer_id AND NOT EXISTS (
            SELECT FROM ${commissions}
            WHERE user_id = was.referrer_id AND referee_id = ${$.user} AND moved_at IS NULL
          )
        RETURNING e.user_id
      ),
      -- Inserts the pair with the new referrer, as old as the sign-up, unless there is one.
      met AS (
        INSERT INTO ${referees} (user_id, referee_id, held_for, created_at)
        SELECT referrer_id, ${$.user}, held_for, created_at FROM moved WHERE referrer_id IS NOT NULL
        ON CONFLICT DO NOTHING
        RETURNING user_id
      ),
      -- Subtracts the deleted pair from the count of its account.
      uncounted_user AS (
        UPDATE ${accounts} SET users_referred = users_referred - 1 WHERE user_id IN (SELECT user_id FROM unmet)
      ),
      -- Counts the new pair. Inserts the account if there is none. -1 is refused, as in a sign-up.
      counted_user AS (
        INSERT INTO ${accounts} AS a (user_id, users_referred, created_at, updated_at)
        SELECT met.user_id, 1, at.now, at.now FROM met CROSS JOIN at
        ON CONFLICT (user_id) DO UPDATE
          SET users_referred = CASE WHEN a.suspended_at IS NULL THEN a.users_referred + 1 ELSE -1 END
      ),
      -- What was decided about purchases until now stands.
      stands AS (
        UPDATE ${buyers} b SET reassigned_at = at.now FROM at WHERE b.user_id = ${$.user}
      )
      SELECT ${database.columns(ReferralSignup)} FROM moved`,
  );
}
