import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isSuspended } from '../../database/suspended';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralUsage } from '../../entities/referral-usage';
import { periodAt } from '../records/calendar-period';
import { type GivenAmount, inProgramsCurrency } from '../records/exchange';
import { addCounts } from '../records/user-counts';
import { grantedCte, type SignupSide } from './granted-cte';
import { rewardedCte } from './reward-limit';

export interface UsageParameters extends GivenAmount {
  user: string;
  reference: string;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
  /** The sides of the sign-up that get their credit in this statement. */
  sides: readonly SignupSide[];
}

/**
 * The result: the columns of the usage, or nulls if a concurrent call with the same reference has overtaken this one;
 * and the columns of the credit that the statement granted, or nulls.
 */
export interface UsageRow {
  /** Whether the usage has the amount and currency of this call; null without a usage. */
  'isSame': boolean | null;
  /** Whether nothing was written because the sign-up has a limit of rewards: that is another statement. */
  'isLimited': boolean;
  'usage.userId': string | null;
}

/**
 * Records usage, once for each reference, and grants the reward when the sum of usage reaches the threshold.
 *
 * @param limitsRewards whether it is the statement for a sign-up whose reward is limited, and not decided yet. The
 * ordinary one then writes nothing: PostgreSQL prepares each table that a statement may write each time.
 */
export function usageStatement(database: Database, limitsRewards: boolean): Statement<UsageParameters> {
  const { signups, usages } = database.tables;
  return statement<UsageParameters>(
    { user: true, reference: true, amount: true, currency: true, rate: true, now: true, sides: true },
    ($) => `
      WITH
      -- The time of the statement.
      at AS (
        SELECT ${timeOf($.now)} AS now
      ),
      -- An earlier usage with this reference. If there is one, the statement only inserts a reward that is still due.
      known AS (
        SELECT * FROM ${usages} WHERE user_id = ${$.user} AND reference = ${$.reference}
      ),
      -- Locks the sign-up, if there is one. Concurrent calls for one user wait here for each other, and for a deletion
      -- of the sign-up.
      locked AS (
        SELECT s.*, reward_limit_count IS NOT NULL AND threshold_reached_at IS NULL AS is_limited
        FROM ${signups} s WHERE user_id = ${$.user} AND NOT EXISTS (SELECT FROM known) FOR NO KEY UPDATE
      ),
      -- Inserts the usage. Of concurrent calls with the same reference, the primary key lets only one insert. Usage that
      -- counts is not older than the sign-up, also if the two had the time from different clocks.
      recorded AS (
        INSERT INTO ${usages} (user_id, reference, amount, currency, original_amount, exchange_rate, is_counted,
          created_at)
        SELECT ${$.user}, ${$.reference}, ${inProgramsCurrency($, database.currency.digits)}, ${$.currency}::varchar,
          CASE WHEN ${$.currency}::varchar IS NOT NULL THEN ${$.amount}::numeric END, ${$.rate}::numeric,
          locked.user_id IS NOT NULL, greatest(at.now, locked.created_at)
        FROM at LEFT JOIN locked ON true
        WHERE NOT EXISTS (SELECT FROM known) ${limitsRewards ? '' : 'AND locked.is_limited IS NOT TRUE'}
        ON CONFLICT DO NOTHING
        RETURNING *
      ),
      ${limitsRewards ? `${limitedReward(database)},` : ''}
      -- Adds the usage to the sum of the sign-up. The row is locked, and UPDATE reads its newest version, so that
      -- exactly one call sets threshold_reached_at. A referrer who is suspended at that moment gets no reward.
      counted AS (
        UPDATE ${signups} s SET recorded_usage = s.recorded_usage + recorded.amount, usages = s.usages + 1,
          threshold_reached_at = coalesce(s.threshold_reached_at,
            CASE WHEN s.recorded_usage + recorded.amount >= s.before_reward_usage_threshold THEN recorded.created_at END),
          no_reward = CASE
            WHEN s.threshold_reached_at IS NULL AND s.reward_credit_amount IS NOT NULL
              AND s.recorded_usage + recorded.amount >= s.before_reward_usage_threshold
              AND ${isSuspended(database.tables, 's.referrer_id')}
            THEN 'suspended' ${limitsRewards ? isAboveLimit(database) : ''} ELSE s.no_reward
          END
        FROM recorded WHERE s.user_id = ${$.user}
        RETURNING s.*
      ),
      -- Counts usage that counts for no sign-up.
      uncounted AS (
        ${addCounts(
          database,
          ['uncounted_usages', 'uncounted_usage'],
          'SELECT user_id, 1, amount FROM recorded WHERE NOT is_counted',
        )}
      ),
      -- The sign-up whose reward may be due: the updated row, or, for a repeated call, the stored row.
      signup AS (
        SELECT * FROM counted
        UNION ALL SELECT s.* FROM ${signups} s WHERE s.user_id = ${$.user} AND EXISTS (SELECT FROM known)
      ),
      ${grantedCte(database, 'signup', $.sides)}
      SELECT coalesce(u.original_amount, u.amount) = ${$.amount}::numeric
          AND u.currency IS NOT DISTINCT FROM ${$.currency}::varchar AS "isSame",
        ${limitsRewards ? 'false' : 'coalesce((SELECT is_limited FROM locked), false)'} AS "isLimited", ${database.columns(ReferralUsage, 'u', 'usage.')},
        ${database.columns(ReferralCredit, 'c', 'credit.')}
      FROM at LEFT JOIN (SELECT * FROM recorded UNION ALL SELECT * FROM known) u ON true LEFT JOIN granted c ON true`,
  );
}

/** SQL: whether the usage makes a limited reward due. The row of `locked` is the newest one. */
const isRewardDue = ({ tables }: Database): string =>
  `(locked.is_limited AND locked.referrer_id IS NOT NULL AND locked.reward_credit_amount IS NOT NULL
          AND locked.recorded_usage + recorded.amount >= locked.before_reward_usage_threshold
          AND NOT ${isSuspended(tables, 'locked.referrer_id')})`;

/** The CTE that counts the reward. */
function limitedReward(database: Database): string {
  const due = `SELECT locked.referrer_id, locked.program_id, ${periodAt('locked.reward_limit_period', 'recorded.created_at')}, 1
        FROM locked CROSS JOIN recorded WHERE ${isRewardDue(database)}`;
  return rewardedCte(database, due, '(SELECT reward_limit_count FROM locked)');
}

/** SQL: the branch of a CASE for a reward that is due, and above the limit. */
const isAboveLimit = (database: Database): string => `WHEN NOT EXISTS (SELECT FROM rewarded)
              AND EXISTS (SELECT FROM locked CROSS JOIN recorded WHERE ${isRewardDue(database)})
            THEN 'limit-reached'`;
