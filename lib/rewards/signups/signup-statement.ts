import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isSuspended } from '../../database/suspended';
import { ReferralCredit } from '../../entities/referral-credit';
import { ReferralSignup } from '../../entities/referral-signup';
import { periodAt } from '../records/calendar-period';
import type { SecondLook } from '../records/second-look';
import type { SignupEarnings } from '../records/signup-earnings';
import { sharesAddress } from '../reviews/fraud-rules';
import { holdsOfPair } from '../reviews/holds-of-pair';
import { grantedCte, type SignupSide } from './granted-cte';
import { rewardedCte } from './reward-limit';

export interface SignupParameters {
  user: string;
  /** The id of the chosen referral. */
  referral: number;
  /** The owner of the referral when it was chosen; null for a referral of the site itself. */
  owner: string | null;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
  /** Whether the user typed a code, and did not come through a link. */
  isTyped: boolean;
  source: 'code' | 'attribution';
  touchedAt: Date | null;
  isSelfReferral: boolean;
  /** The candidates that were considered, and the rule, as JSON. */
  weighed: string;
  /** Of the request, if a rule of the option `fraud` compares them. */
  ipAddress: string | null;
  userAgent: string | null;
  /** The sides of the sign-up that get their credit in this statement. */
  sides: readonly SignupSide[];
  /**
   * Whether the caller decides the user's waiting purchases, and what the sign-up itself earns, in the same transaction. If
   * not, they prevent the sign-up.
   */
  isLooking: boolean;
}

/**
 * The result: one row for each credit that the statement granted, or one row without a credit. Each row has the columns
 * of the user's sign-up, new or not, or nulls if there is none. `isStale`, `isSuspended`, `isExpired` and `isUsedUp` then
 * say why. If none of them is true, nothing was written because purchases of the user wait for a referrer (`isWaiting`),
 * because the sign-up itself earns (`isEarning`), or the statement was overtaken: another call changed the referral after
 * this statement's snapshot.
 */
export interface SignupRow {
  'isNew': boolean;
  /** Whether the owner of the referral has changed since it was chosen, or the referral is deleted. */
  'isStale': boolean;
  /** Whether the account of the referral's owner is suspended. */
  'isSuspended': boolean;
  'isExpired': boolean;
  'isUsedUp': boolean;
  'isWaiting': boolean;
  /** Whether nothing was written because the program limits rewards: that is another statement. */
  'isLimited': boolean;
  /** Whether nothing was written because the sign-up itself earns a commission. */
  'isEarning': boolean;
  /** Whether the sign-up is new, and referrer and referee have one payout address, if that is asked. */
  'sharesAddress': boolean;
  /** A bigint: the driver gives a string. */
  'signup.id': string | null;
}

/** The columns with the commission of a program, which a sign-up copies. */
export const commissionColumns = [
  ...['commission_ratio', 'commission_amount', 'commission_months', 'commission_purchases'],
  ...['commission_max_per_referee', 'commission_signup', 'commission_qualify'],
  ...['commission_max_per_referrer', 'commission_period'],
] as const;

/** The columns that a sign-up copies from its program. */
const terms = `referral_credit_amount, referral_credit_duration, referral_credit_type_id,
  reward_credit_amount, reward_credit_duration, reward_credit_type_id, reward_limit_count, reward_limit_period,
  ${commissionColumns.join(', ')}`;

/**
 * Makes a sign-up with the current terms of its program, and grants the credits that are due. It locks the row of the
 * referral before that of the referrer's account, as the deletion of a sign-up does. If that account was suspended since the
 * snapshot, the constraint of its counts refuses the sign-up, and the statement is run again.
 *
 * A program that limits rewards has a statement of its own, because PostgreSQL prepares each table that a statement may
 * write each time it is executed. If the program turns out to have a limit, the ordinary statement writes nothing.
 *
 * It takes no turn of the user as a buyer, which would make each sign-up write a row more. So a first purchase that is
 * recorded in the same moment can be without the referrer, and not be seen by the sign-up. The next call about the buyer
 * looks at it: the next purchase, a repeated call, or a click.
 */
export function signupStatement(
  database: Database,
  secondLook: SecondLook,
  earnings: SignupEarnings,
  comparesAddresses: boolean,
  limitsRewards: boolean,
): Statement<SignupParameters> {
  const { signups, referrals, programs, referees, accounts } = database.tables;
  return statement<SignupParameters>(
    {
      ...{ user: true, referral: true, owner: true, now: true, isTyped: true },
      ...{ source: true, touchedAt: true, isSelfReferral: true, weighed: true, sides: true, isLooking: true },
      ...{ ipAddress: true, userAgent: true },
    },
    ($) => `
      WITH
      -- The time of the statement.
      at AS (
        SELECT ${timeOf($.now)} AS now
      ),
      -- The user's earlier sign-up. If there is one, the statement only inserts credits that are still due.
      known AS (
        SELECT * FROM ${signups} WHERE user_id = ${$.user}
      ),
      -- One row if purchases of the user wait for the referrer. The caller then starts a transaction for both.
      waiting AS (
        SELECT FROM at WHERE NOT ${$.isLooking}::boolean AND ${$.owner}::text IS NOT NULL
          AND ${secondLook.isDue($.user, 'at.now')}
      ),
      -- One row if the sign-up itself earns the referrer a commission at once. The same.
      earning AS (
        SELECT FROM at WHERE NOT ${$.isLooking}::boolean AND ${$.owner}::text IS NOT NULL AND NOT EXISTS (SELECT FROM known)
          AND ${earnings.isDue($.referral)}
      ),
      -- The program of the referral in the snapshot; one row, of nulls if it has none.
      offered AS (
        SELECT p.* FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id WHERE r.id = ${$.referral}
      ),
      -- Adds one use to the referral and locks its row. It guards the sign-up: if it returns no row, none is made.
      -- After a wait for the lock, PostgreSQL tests the newest version of the row. The subquery reads the snapshot, and
      -- so do the terms below. If the program was changed in the meantime, this returns no row, and the call retries.
      used AS (
        UPDATE ${referrals} u SET uses = u.uses + 1
        WHERE u.id = ${$.referral} AND NOT (${isStale('u', $)}) AND NOT (${isExpired('u', '(SELECT now FROM at)', $)})
          AND NOT (${isUsedUp('u')}) AND NOT ${isSuspended(database.tables, $.owner)}
          AND u.program_id IS NOT DISTINCT FROM (SELECT id FROM offered)
          ${limitsRewards ? '' : 'AND (SELECT reward_limit_count FROM offered) IS NULL'}
          AND NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM waiting) AND NOT EXISTS (SELECT FROM earning)
        RETURNING *
      ),
      ${limitsRewards ? `${limitedReward(database)},` : ''}
      -- Inserts the sign-up with the terms of the program, held if a review holds the two. If a concurrent call for this user has inserted one, the
      -- primary key refuses this one, and PostgreSQL undoes the whole statement.
      made AS (
        INSERT INTO ${signups} (user_id, referral_id, referrer_id, program_id, ${terms}, before_reward_usage_threshold,
          threshold_reached_at, no_reward, held_for, source, touched_at, is_self_referral, weighed, ip_address, user_agent,
          created_at)
        SELECT ${$.user}, used.id, used.user_id, p.id, ${terms}, coalesce(p.before_reward_usage_threshold, 0),
          CASE WHEN coalesce(p.before_reward_usage_threshold, 0) = 0 THEN at.now END,
          ${limitsRewards ? `CASE WHEN ${isRewardDue} AND NOT EXISTS (SELECT FROM rewarded) THEN 'limit-reached' END` : 'NULL'},
          ${holdsOfPair(database.tables, 'used.user_id', $.user)}, ${$.source}, ${$.touchedAt}::timestamptz, ${$.isSelfReferral}::boolean, ${$.weighed}::jsonb, ${$.ipAddress},
          ${$.userAgent}, at.now
        FROM used CROSS JOIN at CROSS JOIN offered p
        RETURNING *
      ),
      -- Inserts the pair of referrer and referee, unless a purchase has inserted it.
      met AS (
        INSERT INTO ${referees} (user_id, referee_id, held_for, created_at)
        SELECT made.referrer_id, ${$.user}, made.held_for, at.now FROM made CROSS JOIN at WHERE made.referrer_id IS NOT NULL
        ON CONFLICT DO NOTHING
        RETURNING *
      ),
      -- Counts a new pair in the referrer's account. Inserts the account if there is none. -1 is refused, as in a purchase.
      account AS (
        INSERT INTO ${accounts} AS a (user_id, users_referred, created_at, updated_at)
        SELECT met.user_id, 1, at.now, at.now FROM met CROSS JOIN at
        ON CONFLICT (user_id) DO UPDATE
          SET users_referred = CASE WHEN a.suspended_at IS NULL THEN a.users_referred + 1 ELSE -1 END
      ),
      -- The user's sign-up, new or not.
      either AS (
        SELECT * FROM made UNION ALL SELECT * FROM known
      ),
      ${grantedCte(database, 'either', $.sides)}
      SELECT EXISTS (SELECT FROM made) AS "isNew", r.id IS NULL OR ${isStale('r', $)} AS "isStale",
        ${isSuspended(database.tables, $.owner)} AS "isSuspended", ${isExpired('r', 'at.now', $)} AS "isExpired",
        ${isUsedUp('r')} AS "isUsedUp", EXISTS (SELECT FROM waiting) AS "isWaiting", EXISTS (SELECT FROM earning) AS "isEarning",
        ${limitsRewards ? 'false' : '(SELECT reward_limit_count FROM offered) IS NOT NULL'} AS "isLimited",
        ${comparesAddresses ? sharesAddress(database.tables, '(SELECT referrer_id FROM made)', $.user) : 'false'} AS "sharesAddress",
        ${database.columns(ReferralSignup, 's', 'signup.')}, ${database.columns(ReferralCredit, 'c', 'credit.')}
      FROM at LEFT JOIN ${referrals} r ON r.id = ${$.referral} LEFT JOIN either s ON true LEFT JOIN granted c ON true
      ORDER BY c.id`,
  );
}

/** SQL: whether a sign-up through the referral `used` is at once due a reward of the program `p`, which limits them. */
const isRewardDue = `(used.user_id IS NOT NULL AND p.reward_credit_amount IS NOT NULL
          AND p.reward_limit_count IS NOT NULL AND p.before_reward_usage_threshold = 0)`;

/** The CTE that counts the reward that is due at the sign-up. */
function limitedReward(database: Database): string {
  const due = `SELECT used.user_id, p.id, ${periodAt('p.reward_limit_period', 'at.now')}, 1
        FROM used CROSS JOIN at CROSS JOIN offered p WHERE ${isRewardDue}`;
  return rewardedCte(database, due, '(SELECT reward_limit_count FROM offered)');
}

/** SQL: whether the owner of a referral changed after the referral was chosen. */
function isStale(referral: string, { owner }: Placeholders<SignupParameters>): string {
  return `${referral}.user_id IS DISTINCT FROM ${owner}`;
}

/** SQL: whether a typed code has expired. A user who came through the link before can still sign up with it. */
function isExpired(referral: string, now: string, { isTyped }: Placeholders<SignupParameters>): string {
  return `coalesce(${isTyped}::boolean AND ${referral}.expired_at <= ${now}, false)`;
}

/** SQL: whether a referral has no uses left. */
function isUsedUp(referral: string): string {
  return `coalesce(${referral}.allowed_uses <> -1 AND ${referral}.uses >= ${referral}.allowed_uses, false)`;
}
