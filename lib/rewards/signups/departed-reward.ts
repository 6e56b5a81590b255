import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { periodAt } from '../records/calendar-period';

type Parameters = Placeholders<{ user: string }>;

/** SQL: the period in which the reward of a sign-up `s` is counted. */
export const rewardPeriod = periodAt('s.reward_limit_period', 's.threshold_reached_at');

/** SQL: whether a limit counts the reward of a sign-up `s`: when it becomes due, also while it waits for a review. */
export const isRewardCounted = `(s.reward_limit_count IS NOT NULL AND s.threshold_reached_at IS NOT NULL
        AND s.referrer_id IS NOT NULL AND s.reward_credit_amount IS NOT NULL AND s.no_reward IS NULL)`;

const theCount = ({ signups }: Database['tables'], $: Parameters): string => `
      SELECT s.referrer_id, s.program_id, ${rewardPeriod} FROM ${signups} s WHERE s.user_id = ${$.user} AND ${isRewardCounted}`;

/** Locks the count that has the reward of a sign-up: after the referral and before the accounts, as a sign-up does. */
export function lockCountStatement({ tables }: Database): Statement<{ user: string }> {
  return statement<{ user: string }>(
    { user: true },
    ($) => `SELECT FROM ${tables.rewardCounts} WHERE (user_id, program_id, period) IN (${theCount(tables, $)})
      FOR NO KEY UPDATE`,
  );
}

/**
 * Leaves the count of limited rewards without a sign-up that is about to leave its referrer. A reward that was granted stays
 * counted, because the referrer keeps it; one that has waited for a review makes room.
 */
export function departedRewardStatement({ tables }: Database): Statement<{ user: string }> {
  return statement<{ user: string }>(
    { user: true },
    ($) => `
      UPDATE ${tables.rewardCounts} n SET rewards = n.rewards - (NOT granted.ever)::integer,
        departed = n.departed + granted.ever::integer
      FROM (
        SELECT EXISTS (SELECT FROM ${tables.credits} WHERE referee_id = ${$.user} AND kind = 'reward') AS ever
      ) AS granted
      WHERE (n.user_id, n.program_id, n.period) IN (${theCount(tables, $)})`,
  );
}
