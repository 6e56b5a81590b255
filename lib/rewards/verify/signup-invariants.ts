import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of sign-ups, of usage, and of the credits that sign-ups give. */
export function signupInvariants({
  credits,
  creditTypes,
  signups,
  usages,
  referrals,
}: Database['tables']): Invariant[] {
  // Sign-ups for which the sum of the owner's credits of a kind is not the amount that is due.
  const granted = (kind: 'referral' | 'reward', owner: string, isDue: string): string => `
    SELECT s.id, CASE WHEN ${isDue} THEN s.${kind}_credit_amount END AS expected, c.amount AS found
    FROM ${signups} s LEFT JOIN (
      SELECT referee_id, user_id, sum(initial_balance) AS amount
      FROM ${credits} WHERE kind = '${kind}' GROUP BY 1, 2
    ) c ON c.referee_id = s.user_id AND c.user_id = ${owner}
    WHERE CASE WHEN ${isDue} THEN s.${kind}_credit_amount END IS DISTINCT FROM c.amount`;
  return [
    {
      name: 'one sign-up a user',
      table: 'signups',
      sql: `SELECT max(id) AS id, '1' AS expected, count(*) AS found FROM ${signups}
       GROUP BY user_id HAVING count(*) > 1`,
    },
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
      name: 'every sign-up is of a referral',
      table: 'signups',
      sql: `SELECT s.id, s.referral_id AS expected, NULL AS found
       FROM ${signups} s LEFT JOIN ${referrals} r ON r.id = s.referral_id WHERE r.id IS NULL`,
    },
    {
      name: 'recorded usage = counted usages',
      table: 'signups',
      sql: `SELECT s.id, coalesce(u.amount, 0) AS expected, s.recorded_usage AS found
       FROM ${signups} s LEFT JOIN (
         SELECT user_id, sum(amount) AS amount FROM ${usages} WHERE is_counted GROUP BY 1
       ) u ON u.user_id = s.user_id
       WHERE s.recorded_usage <> coalesce(u.amount, 0)`,
    },
    {
      name: 'usage is counted for a sign-up',
      table: 'usages',
      sql: `SELECT u.user_id || '/' || u.reference AS id, u.user_id AS expected, NULL AS found
       FROM ${usages} u LEFT JOIN ${signups} s ON s.user_id = u.user_id WHERE u.is_counted AND s.user_id IS NULL`,
    },
    {
      name: 'enough usage reaches the threshold',
      table: 'signups',
      sql: `SELECT id, before_reward_usage_threshold AS expected, recorded_usage AS found FROM ${signups}
       WHERE recorded_usage >= before_reward_usage_threshold AND threshold_reached_at IS NULL`,
    },
    {
      name: 'the threshold is reached by usage',
      table: 'signups',
      // Only amounts above 0, because a correction lowers the sum, but a threshold that was reached stays reached.
      sql: `SELECT s.id, s.before_reward_usage_threshold AS expected, coalesce(u.amount, 0) AS found
       FROM ${signups} s LEFT JOIN (
         SELECT user_id, sum(amount) AS amount FROM ${usages} WHERE is_counted AND amount > 0 GROUP BY 1
       ) u ON u.user_id = s.user_id
       WHERE s.threshold_reached_at IS NOT NULL AND coalesce(u.amount, 0) < s.before_reward_usage_threshold`,
    },
    {
      name: 'every credit has a type, of a sign-up the one of its terms',
      table: 'credits',
      sql: `SELECT c.id, CASE c.kind WHEN 'referral' THEN s.referral_credit_type_id
           WHEN 'reward' THEN s.reward_credit_type_id
           ELSE c.type_id END AS expected, t.id AS found
       FROM ${credits} c LEFT JOIN ${creditTypes} t ON t.id = c.type_id
       LEFT JOIN ${signups} s ON s.user_id = c.referee_id
       WHERE t.id IS NULL OR (c.kind = 'referral' AND t.id <> s.referral_credit_type_id)
         OR (c.kind = 'reward' AND t.id <> s.reward_credit_type_id)`,
    },
    {
      name: 'the referee has the credit of the sign-up, once',
      table: 'signups',
      sql: granted('referral', 's.user_id', 'true'),
    },
    {
      name: 'the referrer has the reward that is due, once',
      table: 'signups',
      sql: granted('reward', 's.referrer_id', '(s.threshold_reached_at IS NOT NULL AND s.referrer_id IS NOT NULL)'),
    },
    {
      name: 'every credit of a sign-up is of its referee or referrer',
      table: 'credits',
      sql: `SELECT c.id, CASE c.kind WHEN 'referral' THEN s.user_id ELSE s.referrer_id END AS expected,
         c.user_id AS found
       FROM ${credits} c LEFT JOIN ${signups} s ON s.user_id = c.referee_id
       WHERE c.kind IN ('referral', 'reward')
         AND c.user_id IS DISTINCT FROM CASE c.kind WHEN 'referral' THEN s.user_id ELSE s.referrer_id END`,
    },
  ];
}
