import type { Database } from '../../database/database';

/** Something that holds at any moment: a statement that answers `id, expected, found` of each row where it does not. */
export interface Invariant {
  name: string;
  table: string;
  sql: string;
}

const tableOf = {
  credits: 'referral_credits',
  transactions: 'referral_credit_transactions',
  spends: 'referral_credit_spends',
  signups: 'referral_signups',
  usages: 'referral_usages',
  referrals: 'referrals',
} as const;

/** Every invariant of sign-ups and credits. */
export function invariants({
  credits,
  creditTypes,
  transactions,
  spends,
  signups,
  usages,
  referrals,
}: Database['tables']): Invariant[] {
  const side = (kind: 'referral' | 'reward', owner: string, isDue: string): string => `
    SELECT s.id, CASE WHEN ${isDue} THEN s.${kind}_credit_amount END AS expected, c.amount AS found
    FROM ${signups} s LEFT JOIN (
      SELECT referee_id, user_id, sum(initial_balance) AS amount
      FROM ${credits} WHERE kind = '${kind}' GROUP BY 1, 2
    ) c ON c.referee_id = s.user_id AND c.user_id = ${owner}
    WHERE CASE WHEN ${isDue} THEN s.${kind}_credit_amount END IS DISTINCT FROM c.amount`;
  const all: [name: string, on: keyof typeof tableOf, sql: string][] = [
    [
      'balance = initial + entries',
      'credits',
      `SELECT c.id, c.initial_balance + coalesce(e.value, 0) AS expected, c.current_balance AS found
       FROM ${credits} c LEFT JOIN (
         SELECT user_id, credit_id, sum(value) AS value FROM ${transactions} GROUP BY 1, 2
       ) e ON e.user_id = c.user_id AND e.credit_id = c.id
       WHERE c.current_balance <> c.initial_balance + coalesce(e.value, 0)`,
    ],
    [
      'balance from 0',
      'credits',
      `SELECT id, '0' AS expected, least(initial_balance, current_balance) AS found FROM ${credits}
       WHERE current_balance < 0 OR initial_balance <= 0 OR 'NaN' IN (initial_balance, current_balance)`,
    ],
    [
      'expiry after start',
      'credits',
      `SELECT id, start_date AS expected, expiry_date AS found FROM ${credits} WHERE expiry_date <= start_date`,
    ],
    [
      'every entry is of a credit',
      'transactions',
      `SELECT e.id, e.credit_id AS expected, NULL AS found FROM ${transactions} e
       LEFT JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id WHERE c.id IS NULL`,
    ],
    [
      'spend = its entries',
      'spends',
      // By kind: what was taken, as what it began as, what was released of it, and what was refunded.
      `SELECT coalesce(s.user_id, e.user_id) || '/' || coalesce(s.reference, e.reference, '') AS id, sums.expected, sums.found
       FROM ${spends} s FULL JOIN (
         SELECT user_id, reference, ${['spend', 'hold', 'release', 'refund']
           .map((kind) => `coalesce(sum(value) FILTER (WHERE kind = '${kind}'), 0) AS ${kind}`)
           .join(', ')}
         FROM ${transactions} WHERE kind <> 'adjustment' GROUP BY 1, 2
       ) e ON e.user_id = s.user_id AND e.reference = s.reference
       CROSS JOIN LATERAL (VALUES
         (CASE s.kind WHEN 'spend' THEN s.covered ELSE 0 END, -coalesce(e.spend, 0)),
         (CASE s.kind WHEN 'hold' THEN s.covered ELSE 0 END, -coalesce(e.hold, 0)),
         (coalesce(s.covered - s.captured, 0), coalesce(e.release, 0)),
         (coalesce(s.refunded, 0), coalesce(e.refund, 0))
       ) AS sums (expected, found)
       WHERE sums.expected IS DISTINCT FROM sums.found`,
    ],
    [
      'one spend a reference of a user',
      'spends',
      `SELECT user_id || '/' || reference AS id, '1' AS expected, count(*) AS found FROM ${spends}
       GROUP BY user_id, reference HAVING count(*) > 1`,
    ],
    [
      'refunded <= captured <= covered <= amount',
      'spends',
      `SELECT user_id || '/' || reference AS id, amount AS expected, greatest(covered, captured, refunded) AS found
       FROM ${spends}
       WHERE amount <= 0 OR covered NOT BETWEEN 0 AND amount OR captured NOT BETWEEN 0 AND covered
         OR refunded NOT BETWEEN 0 AND captured OR (refunded IS NOT NULL AND captured IS NULL)`,
    ],
    [
      'a spend captures what it covers',
      'spends',
      `SELECT user_id || '/' || reference AS id, covered AS expected, captured AS found FROM ${spends}
       WHERE kind = 'spend' AND captured IS DISTINCT FROM covered`,
    ],
    [
      'nothing goes back where it did not come from',
      'transactions',
      `SELECT max(id) AS id, '0' AS expected, sum(value) AS found FROM ${transactions} WHERE kind <> 'adjustment'
       GROUP BY user_id, reference, credit_id HAVING sum(value) > 0`,
    ],
    [
      'one sign-up a user',
      'signups',
      `SELECT max(id) AS id, '1' AS expected, count(*) AS found FROM ${signups} GROUP BY user_id HAVING count(*) > 1`,
    ],
    [
      'uses = sign-ups',
      'referrals',
      `SELECT r.id, coalesce(s.count, 0) AS expected, r.uses AS found
       FROM ${referrals} r LEFT JOIN (SELECT referral_id, count(*) FROM ${signups} GROUP BY 1) s ON s.referral_id = r.id
       WHERE r.uses <> coalesce(s.count, 0)`,
    ],
    [
      'uses <= allowed uses',
      'referrals',
      `SELECT id, allowed_uses AS expected, uses AS found FROM ${referrals} WHERE allowed_uses <> -1 AND uses > allowed_uses`,
    ],
    [
      'every sign-up is of a referral',
      'signups',
      `SELECT s.id, s.referral_id AS expected, NULL AS found
       FROM ${signups} s LEFT JOIN ${referrals} r ON r.id = s.referral_id WHERE r.id IS NULL`,
    ],
    [
      'recorded usage = counted usages',
      'signups',
      `SELECT s.id, coalesce(u.amount, 0) AS expected, s.recorded_usage AS found
       FROM ${signups} s LEFT JOIN (
         SELECT user_id, sum(amount) AS amount FROM ${usages} WHERE is_counted GROUP BY 1
       ) u ON u.user_id = s.user_id
       WHERE s.recorded_usage <> coalesce(u.amount, 0)`,
    ],
    [
      'usage is counted for a sign-up',
      'usages',
      `SELECT u.user_id || '/' || u.reference AS id, u.user_id AS expected, NULL AS found
       FROM ${usages} u LEFT JOIN ${signups} s ON s.user_id = u.user_id WHERE u.is_counted AND s.user_id IS NULL`,
    ],
    [
      'enough usage reaches the threshold',
      'signups',
      `SELECT id, before_reward_usage_threshold AS expected, recorded_usage AS found FROM ${signups}
       WHERE recorded_usage >= before_reward_usage_threshold AND threshold_reached_at IS NULL`,
    ],
    [
      'the threshold is reached by usage',
      'signups',
      // Corrections lower the sum, but a threshold that was reached stays so.
      `SELECT s.id, s.before_reward_usage_threshold AS expected, coalesce(u.amount, 0) AS found
       FROM ${signups} s LEFT JOIN (
         SELECT user_id, sum(amount) AS amount FROM ${usages} WHERE is_counted AND amount > 0 GROUP BY 1
       ) u ON u.user_id = s.user_id
       WHERE s.threshold_reached_at IS NOT NULL AND coalesce(u.amount, 0) < s.before_reward_usage_threshold`,
    ],
    [
      'every credit has a type, of a sign-up the one of its terms',
      'credits',
      `SELECT c.id, CASE c.kind WHEN 'referral' THEN s.referral_credit_type_id WHEN 'reward' THEN s.reward_credit_type_id
           ELSE c.type_id END AS expected, t.id AS found
       FROM ${credits} c LEFT JOIN ${creditTypes} t ON t.id = c.type_id LEFT JOIN ${signups} s ON s.user_id = c.referee_id
       WHERE t.id IS NULL OR (c.kind = 'referral' AND t.id <> s.referral_credit_type_id)
         OR (c.kind = 'reward' AND t.id <> s.reward_credit_type_id)`,
    ],
    ['the referee has the credit of the sign-up, once', 'signups', side('referral', 's.user_id', 'true')],
    [
      'the referrer has the reward that is due, once',
      'signups',
      side('reward', 's.referrer_id', '(s.threshold_reached_at IS NOT NULL AND s.referrer_id IS NOT NULL)'),
    ],
    [
      'every credit of a sign-up is of its referee or referrer',
      'credits',
      `SELECT c.id, CASE c.kind WHEN 'referral' THEN s.user_id ELSE s.referrer_id END AS expected, c.user_id AS found
       FROM ${credits} c LEFT JOIN ${signups} s ON s.user_id = c.referee_id
       WHERE c.kind IN ('referral', 'reward')
         AND c.user_id IS DISTINCT FROM CASE c.kind WHEN 'referral' THEN s.user_id ELSE s.referrer_id END`,
    ],
  ];
  return all.map(([name, on, sql]) => ({ name, table: tableOf[on], sql }));
}
