import { currencyOf } from '../../currency';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { isRewardCounted, rewardPeriod } from '../signups/departed-reward';
import { conditionsOn, type Invariant } from './invariant';

/** The invariants of sign-ups, of usage, and of the credits that sign-ups give. */
export function signupInvariants(tables: Database['tables'], { digits } = currencyOf(undefined)): Invariant[] {
  const converted = `round(u.original_amount * u.exchange_rate, ${digits})`;
  const { signups, usages, referrals } = tables;
  const ofUsage = conditionsOn('usages', {
    rows: `${usages} u LEFT JOIN ${signups} s ON s.user_id = u.user_id`,
    id: `u.user_id || '/' || u.reference`,
  });
  return [
    ...signupPass(tables),
    {
      name: 'uses = sign-ups',
      table: 'referrals',
      sql: `SELECT r.id, coalesce(s.count, 0) AS expected, r.uses AS found
       FROM ${referrals} r LEFT JOIN (SELECT referral_id, count(*) FROM ${signups} GROUP BY 1) s ON s.referral_id = r.id
       WHERE r.uses <> coalesce(s.count, 0)`,
    },
    {
      name: 'uses <= allowed uses',
      table: 'referrals',
      sql: `SELECT id, allowed_uses AS expected, uses AS found FROM ${referrals}
       WHERE allowed_uses <> -1 AND uses > allowed_uses`,
    },
    {
      name: 'a code leads to its referral',
      table: 'referrals',
      sql: `SELECT r.id, r.id AS expected, a.referral_id AS found FROM ${referrals} r
       JOIN ${tables.aliases} a ON a.code = ${folded('r.code')} WHERE a.referral_id <> r.id`,
    },
    ofUsage('usage in another currency is converted at its rate', {
      isBroken: `u.amount <> ${converted}`,
      expected: converted,
      found: 'u.amount',
    }),
    ofUsage('usage is counted for a sign-up', {
      isBroken: 'u.is_counted AND s.user_id IS NULL',
      expected: 'u.user_id',
      found: 'NULL',
    }),
    ofUsage('usage that counts is not older than the sign-up', {
      isBroken: 'u.is_counted AND u.created_at < s.created_at',
      expected: 's.created_at',
      found: 'u.created_at',
    }),
    {
      name: 'the threshold is reached by a usage, or at the sign-up',
      table: 'signups',
      sql: `SELECT s.id, s.created_at AS expected, s.threshold_reached_at AS found FROM ${signups} s
       WHERE s.threshold_reached_at <> s.created_at AND NOT EXISTS (
         SELECT FROM ${usages} u
         WHERE u.user_id = s.user_id AND u.is_counted AND u.created_at = s.threshold_reached_at
       )`,
    },
    {
      name: 'the terms of a program are terms',
      table: 'programs',
      sql: `SELECT id, name AS expected, NULL AS found FROM ${tables.programs} p WHERE ${termsFail('p')}`,
    },
    ...limitPass(tables),
    ...historyPass(tables),
  ];
}

/** SQL: whether the terms of a program, or a sign-up's copy of them, are no terms. */
function termsFail(t: string): string {
  const sides = ['referral_credit', 'reward_credit'].map(
    (side) => `num_nonnulls(${t}.${side}_amount, ${t}.${side}_duration, ${t}.${side}_type_id) NOT IN (0, 3)
        OR ${t}.${side}_amount <= 0 OR ${t}.${side}_duration <= 0`,
  );
  return `${sides.join(' OR ')} OR ${t}.before_reward_usage_threshold < 0 OR ${t}.commission_ratio NOT BETWEEN 0 AND 1
        OR ${t}.commission_amount <= 0 OR ${t}.commission_signup < 0 OR ${t}.commission_max_per_referrer <= 0
        OR ${t}.commission_max_per_referee <= 0 OR ${t}.commission_months NOT BETWEEN 1 AND 1200
        OR ${t}.commission_purchases <= 0 OR num_nonnulls(${t}.commission_ratio, ${t}.commission_amount) NOT BETWEEN
          (num_nonnulls(${t}.commission_months, ${t}.commission_purchases, ${t}.commission_max_per_referee) > 0)::integer AND 1
        OR (${t}.commission_qualify IS NOT NULL AND ${t}.commission_signup IS NULL)
        OR (${t}.commission_max_per_referrer IS NULL) <> (${t}.commission_period IS NULL)
        OR ${t}.commission_period NOT IN ('month', 'quarter', 'year', 'all')
        OR 'NaN' IN (${t}.referral_credit_amount, ${t}.reward_credit_amount, ${t}.before_reward_usage_threshold,
          ${t}.commission_ratio, ${t}.commission_amount, ${t}.commission_max_per_referee, ${t}.commission_signup,
          ${t}.commission_max_per_referrer)`;
}

/** Each sign-up with its referral, the sums of its usage, and those of the credits that were given for it. */
function signupPass({ signups, referrals, usages, credits, accounts, buyers }: Database['tables']): Invariant[] {
  const rows = `${signups} s LEFT JOIN ${referrals} r ON r.id = s.referral_id
      LEFT JOIN ${accounts} a ON a.user_id = s.referrer_id
      LEFT JOIN (
        SELECT user_id, count(*), sum(amount) AS amount, sum(amount) FILTER (WHERE amount > 0) AS positive
        FROM ${usages} WHERE is_counted GROUP BY 1
      ) u ON u.user_id = s.user_id
      LEFT JOIN (
        SELECT referee_id, sum(initial_balance) FILTER (WHERE kind = 'referral') AS referral,
          sum(initial_balance) FILTER (WHERE kind = 'reward') AS reward
        FROM ${credits} WHERE referee_id IS NOT NULL GROUP BY 1
      ) c ON c.referee_id = s.user_id`;
  const ofSignup = conditionsOn('signups', { rows, id: 's.id' });
  const check = (name: string, isBroken: string, expected: string, found: string): Invariant =>
    ofSignup(name, { isBroken, expected, found });
  const reward = `CASE WHEN s.threshold_reached_at IS NOT NULL AND s.referrer_id IS NOT NULL AND s.no_reward IS NULL
    THEN s.reward_credit_amount END`;
  // While a review holds the sign-up, or staff have given it to nobody, a credit waits that was not granted before.
  const waits = (credit: string): string => `(s.held_for <> '{}' OR s.referral_id IS NULL) AND ${credit} IS NULL`;
  const wasReassigned = `EXISTS (SELECT FROM ${buyers} b WHERE b.user_id = s.user_id AND b.reassigned_at >= s.created_at)`;
  return [
    check('every sign-up is of a referral', 'r.id IS NULL AND s.referral_id IS NOT NULL', 's.referral_id', 'NULL'),
    check(
      'a sign-up has no referral only if staff have decided so',
      `s.referral_id IS NULL AND (s.referrer_id IS NOT NULL OR s.program_id IS NOT NULL OR NOT ${wasReassigned})`,
      ...(['s.referral_id', 's.referrer_id'] as const),
    ),
    check('the referrer is the owner of the referral', 's.referrer_id IS DISTINCT FROM r.user_id AND r.id IS NOT NULL', 'r.user_id', 's.referrer_id'), // prettier-ignore
    check('recorded usage = counted usages', 's.recorded_usage <> coalesce(u.amount, 0)', 'coalesce(u.amount, 0)', 's.recorded_usage'), // prettier-ignore
    check('no usage of a sign-up is missing', 's.usages <> coalesce(u.count, 0)', 's.usages', 'coalesce(u.count, 0)'),
    check('enough usage reaches the threshold', 's.recorded_usage >= s.before_reward_usage_threshold AND s.threshold_reached_at IS NULL', 's.before_reward_usage_threshold', 's.recorded_usage'), // prettier-ignore
    // Only amounts above 0, because a correction lowers the sum, but a threshold that was reached stays reached.
    check('the threshold is reached by usage', 's.threshold_reached_at IS NOT NULL AND coalesce(u.positive, 0) < s.before_reward_usage_threshold', 's.before_reward_usage_threshold', 'coalesce(u.positive, 0)'), // prettier-ignore
    check('the referee has the credit of the sign-up, once', `s.referral_credit_amount IS DISTINCT FROM c.referral AND NOT (${waits('c.referral')})`, 's.referral_credit_amount', 'c.referral'), // prettier-ignore
    check(
      'a reward is refused for a reason',
      `s.no_reward IS NOT NULL AND (
          s.no_reward NOT IN ('suspended', 'limit-reached') OR s.threshold_reached_at IS NULL
          OR s.reward_credit_amount IS NULL OR (s.no_reward = 'suspended' AND coalesce(a.suspensions, 0) = 0)
        )`,
      ...(['NULL', 's.no_reward'] as const),
    ),
    check(
      'the referrer has the reward that is due, once',
      `${reward} IS DISTINCT FROM c.reward AND NOT (${waits('c.reward')})`,
      reward,
      'c.reward',
    ),
    check(
      'a reward is granted once, whoever gets the sign-up',
      `s.was_rewarded AND (s.reward_credit_amount IS NOT NULL OR c.reward IS NOT NULL OR NOT ${wasReassigned})`,
      ...(['NULL', 'coalesce(s.reward_credit_amount, c.reward)'] as const),
    ),
    check(
      'terms are of a program',
      `${termsFail('s')} OR (s.program_id IS NULL AND (s.before_reward_usage_threshold <> 0 OR num_nonnulls(
          CASE WHEN NOT ${wasReassigned} THEN s.referral_credit_amount END, s.reward_credit_amount, s.commission_ratio, s.commission_amount, s.commission_signup,
          s.commission_max_per_referrer) > 0))`,
      ...(['s.program_id', 's.before_reward_usage_threshold'] as const),
    ),
    // What was considered is stored with the sign-up, and may be erased.
    check(
      'a sign-up comes from a typed code or a touch',
      `s.source NOT IN ('code', 'attribution') OR (s.source = 'attribution') <> (s.touched_at IS NOT NULL)
          OR (s.source = 'code') <> (s.weighed ->> 'rule' = 'typed-code')`,
      ...([`s.weighed ->> 'rule'`, 's.source'] as const),
    ),
  ];
}

/** The counts of limited rewards, with the sign-ups that they count; and those that are above the limit, with the counts. */
function limitPass({ rewardCounts, signups, buyers }: Database['tables']): Invariant[] {
  // A reward that has waited for a review, and left with its sign-up, has made room only for later ones.
  const hasMadeRoom = `EXISTS (SELECT FROM ${buyers} b WHERE b.reassigned_at >= s.threshold_reached_at)`;
  const ofCount = conditionsOn('rewardCounts', {
    rows: `${rewardCounts} n FULL JOIN (
        SELECT s.referrer_id AS user_id, s.program_id, ${rewardPeriod} AS period, count(*) AS rewards
        FROM ${signups} s WHERE ${isRewardCounted} GROUP BY 1, 2, 3
      ) s ON s.user_id = n.user_id AND s.program_id = n.program_id AND s.period = n.period`,
    id: `concat_ws('/', coalesce(n.user_id, s.user_id), coalesce(n.program_id, s.program_id), coalesce(n.period, s.period))`,
  });
  const ofSignup = conditionsOn('signups', {
    rows: `${signups} s LEFT JOIN ${rewardCounts} n
        ON n.user_id = s.referrer_id AND n.program_id = s.program_id AND n.period = ${rewardPeriod}`,
    id: 's.id',
  });
  return [
    ofCount('each reward with a limit is counted', {
      isBroken: `n.rewards IS DISTINCT FROM coalesce(s.rewards, 0) + coalesce(n.departed, 0) OR n.departed < 0`,
      expected: `concat_ws(' + ', coalesce(s.rewards, 0), n.departed)`,
      found: 'n.rewards',
    }),
    ofSignup('only at the limit there is no reward', {
      isBroken: `s.no_reward = 'limit-reached' AND ((s.reward_limit_count IS NOT NULL AND s.threshold_reached_at IS NOT NULL AND s.referrer_id IS NOT NULL
          AND s.reward_credit_amount IS NOT NULL) IS NOT TRUE
        OR n.rewards IS NULL OR (n.rewards < s.reward_limit_count AND NOT ${hasMadeRoom}))`,
      expected: 's.reward_limit_count',
      found: 'n.rewards',
    }),
  ];
}

/** The counts of each user, with the rows that they count. */
function historyPass({ userCounts, credits, spends, usages }: Database['tables']): Invariant[] {
  const counts = {
    ...{ grants: 'every credit by hand is counted', granted: 'every credit by hand is counted with its amount' },
    ...{ empty_spends: 'every spend that covers nothing is counted' },
    uncounted_usages: 'every usage that counts for no sign-up is counted',
    uncounted_usage: 'every usage that counts for no sign-up is counted with its amount',
  };
  const ofUser = conditionsOn('userCounts', {
    rows: `${userCounts} n FULL JOIN (
        SELECT user_id, sum(grants) AS grants, sum(granted) AS granted, sum(empty_spends) AS empty_spends,
          sum(uncounted_usages) AS uncounted_usages, sum(uncounted_usage) AS uncounted_usage
        FROM (
          SELECT user_id, 1 AS grants, initial_balance AS granted, 0 AS empty_spends, 0 AS uncounted_usages,
            0 AS uncounted_usage
          FROM ${credits} WHERE kind = 'grant'
          UNION ALL SELECT user_id, 0, 0, 1, 0, 0 FROM ${spends} WHERE covered = 0
          UNION ALL SELECT user_id, 0, 0, 0, 1, amount FROM ${usages} WHERE NOT is_counted
        ) AS parts GROUP BY 1
      ) h ON h.user_id = n.user_id`,
    id: 'coalesce(n.user_id, h.user_id)',
  });
  return Object.entries(counts).map(([count, name]) => {
    const [expected, found] = [`coalesce(n.${count}, 0)`, `coalesce(h.${count}, 0)`];
    return ofUser(name, { isBroken: `${expected} <> ${found}`, expected, found });
  });
}
