import type { Database } from '../../database/database';
import { decidedPurchases } from '../commissions/decided-purchases';
import { conditionsOn, type Invariant } from './invariant';

/** The invariants of the sums that are stored of commissions: by referee, by account, and by channel and mode. */
export function totalInvariants(tables: Database['tables']): Invariant[] {
  const referees = conditionsOn('referees', { rows: refereesWithSums(tables), id: `user_id || '/' || referee_id` });
  const accounts = conditionsOn('accounts', { rows: accountsWithReferees(tables), id: 'user_id' });
  const totals = conditionsOn('totals', {
    rows: totalsWithSums(tables),
    id: `user_id || '/' || channel_id || '/' || mode`,
  });
  const wasReassigned = `EXISTS (
            SELECT FROM ${tables.buyers} b WHERE b.user_id = referee_id AND b.reassigned_at >= created_at
          )`;
  return [
    referees('a referee earns the referrer the sum of the commissions', {
      expected: 'coalesce(sum, 0)',
      found: 'earned',
      isBroken: 'coalesce(sum, 0) IS DISTINCT FROM earned AND (sum IS NOT NULL OR met_by IS NOT NULL)',
    }),
    referees('a referee earns the referrer no more than the limit', {
      // If the limit has changed, the highest one counts. If a commission has no limit, there is none. An undone refund
      // gives back what it took, also if later purchases have used the room that it made.
      // What was moved here counts, and limits did not lower it.
      expected: 'max + undone + moved',
      found: 'earned',
      isBroken: 'earned > max + undone + moved AND merged_at IS NULL',
    }),
    referees('every sign-up of a referrer has its referee', {
      expected: 'referee_id',
      found: 'NULL',
      isBroken: 'signed_up_at IS NOT NULL AND met_by IS NULL',
    }),
    referees('a referee was met by a sign-up or a purchase', {
      expected: `concat_ws('/', signed_up_at, first_bought_at)`,
      found: `met_by || '/' || created_at`,
      // A sign-up can be deleted. Its referee stays if there was a purchase before that, or if the sign-up has earned: then
      // the referee is also older than a later sign-up.
      // If staff have changed who referred the referee, the pair of the earlier referrer stays, if it has a purchase.
      isBroken: `met_by IS NOT NULL AND merged_at IS NULL AND CASE met_by
        WHEN 'purchase' THEN created_at = ANY(times) OR ${wasReassigned}
        WHEN 'sign-up' THEN signed_up_at = created_at OR (upgraded_at IS NOT NULL AND NOT has_first_earned) IS TRUE
          OR ((upgraded_at IS NOT NULL OR signups > 0) AND ${wasReassigned})
          OR (first_signup IS NOT NULL AND (signup_id IS NULL OR first_signup < signup_id))
      END IS NOT TRUE`,
    }),
    referees('a referee has the purchases that were credited', {
      expected: `coalesce(paid_count, 0) || '/' || coalesce(first_purchased_at::text, '')`,
      found: `purchases || '/' || coalesce(first_purchase_at::text, '')`,
      isBroken: `met_by IS NOT NULL
        AND (purchases, first_purchase_at) IS DISTINCT FROM (coalesce(paid_count, 0), first_purchased_at)`,
    }),
    referees('a referee upgrades with a purchase', {
      expected: 'first_paid_at',
      found: 'upgraded_at',
      isBroken: `CASE WHEN first_paid_at IS NULL THEN upgraded_at IS NULL ELSE upgraded_at = ANY(paid_times) END IS NOT TRUE`,
    }),
    accounts('users referred and upgraded = referees', {
      expected: `referred || '/' || upgraded`,
      found: `users_referred || '/' || users_upgraded`,
      isBroken: '(referred, upgraded) IS DISTINCT FROM (users_referred, users_upgraded)',
    }),
    accounts('the referral of an account is of its user', {
      expected: 'user_id',
      found: 'owner_id',
      isBroken: 'referral_id IS NOT NULL AND owner_id IS DISTINCT FROM user_id',
    }),
    ...['commissions', 'reverted', 'amount', 'redemptions', 'revenue'].map((column) =>
      totals('totals = sums', {
        expected: `sum_of_${column}`,
        found: column,
        isBroken: `sum_of_${column} IS DISTINCT FROM ${column}`,
      }),
    ),
    totals('the totals of a suspended account are limited, and no other', {
      // A row that is made during the suspension has no commissions.
      expected: 'suspended_at',
      found: 'most_commissions',
      isBroken: `(most_commissions IS NOT NULL AND suspended_at IS NULL)
        OR (most_commissions IS NULL AND suspended_at IS NOT NULL AND commissions > 0)`,
    }),
    totals('matured totals = what was available then', {
      expected: `available || '/' || available_amount`,
      found: `matured || '/' || matured_amount`,
      isBroken: 'available <> matured OR available_amount <> matured_amount',
    }),
  ];
}

/** Each pair of referrer and referee, with the sum of the commissions, the sign-up and the purchases that made it. */
const refereesWithSums = (tables: Database['tables']): string => {
  const { referees, commissions, commissionEntries, signups } = tables;
  return `(
  SELECT coalesce(r.user_id, c.user_id, s.referrer_id, p.referrer_id) AS user_id,
    coalesce(r.referee_id, c.referee_id, s.user_id, p.user_id) AS referee_id,
    r.met_by, r.earned, r.purchases, r.first_purchase_at, r.upgraded_at, r.created_at, r.merged_at, c.sum, c.max, c.undone, c.moved, s.created_at AS signed_up_at, s.id AS signup_id,
    c.signups, c.first_signup, p.times, p.paid_times, p.paid_count, p.first_purchased_at, p.first_bought_at, p.first_paid_at, p.has_first_earned
  FROM ${referees} r
  FULL JOIN (
    SELECT c.user_id, c.referee_id, sum(c.amount), max(coalesce(c.max_per_referee, 'Infinity')) AS max,
      coalesce(sum(e.amount), 0) AS undone,
      coalesce(sum(c.earned) FILTER (WHERE c.moved_from IS NOT NULL), 0) AS moved, count(*) FILTER (WHERE c.kind = 'sign-up') AS signups,
      min(c.signup_id) FILTER (WHERE c.kind = 'sign-up') AS first_signup
    FROM ${commissions} c LEFT JOIN (
      SELECT user_id, commission_id, sum(amount) AS amount FROM ${commissionEntries} WHERE kind = 'undo' GROUP BY 1, 2
    ) e ON e.user_id = c.user_id AND e.commission_id = c.id
    WHERE c.moved_at IS NULL GROUP BY 1, 2
  ) c ON c.user_id = r.user_id AND c.referee_id = r.referee_id
  FULL JOIN (SELECT referrer_id, user_id, id, created_at FROM ${signups} WHERE referrer_id IS NOT NULL) s
    ON s.referrer_id = coalesce(r.user_id, c.user_id) AND s.user_id = coalesce(r.referee_id, c.referee_id)
  FULL JOIN (
    SELECT referrer_id, user_id, array_agg(decided_at) AS times, min(decided_at) AS first_bought_at,
      array_agg(decided_at) FILTER (WHERE amount > 0) AS paid_times,
      min(decided_at) FILTER (WHERE amount > 0) AS first_paid_at,
      count(*) FILTER (WHERE amount > 0) AS paid_count,
      min(purchased_at) FILTER (WHERE amount > 0) AS first_purchased_at,
      (min(ARRAY[id, (no_commission IS NULL)::integer]))[2] = 1 AS has_first_earned
    FROM ${decidedPurchases(tables)} AS bought
    WHERE referrer_id IS NOT NULL AND coalesce(no_commission, '') NOT IN ('own-referral', 'suspended') GROUP BY 1, 2
  ) p ON p.referrer_id = coalesce(r.user_id, c.user_id, s.referrer_id)
    AND p.user_id = coalesce(r.referee_id, c.referee_id, s.user_id)
  ) AS pair`;
};

/** Each account with the numbers of its referees and its referral, or referees without an account. */
const accountsWithReferees = ({ accounts, referees, referrals }: Database['tables']): string => `(
  SELECT coalesce(a.user_id, r.user_id) AS user_id, a.users_referred, a.users_upgraded, a.referral_id,
    coalesce(r.referred, 0) AS referred, coalesce(r.upgraded, 0) AS upgraded, f.user_id AS owner_id
  FROM ${accounts} a
  FULL JOIN (
    SELECT user_id, count(*) AS referred, count(upgraded_at) AS upgraded FROM ${referees} GROUP BY 1
  ) r ON r.user_id = a.user_id
  LEFT JOIN ${referrals} f ON f.id = a.referral_id
  ) AS account`;

/** Each row of totals with what it must contain, and with what was available at its `matured_until`. */
const totalsWithSums = (tables: Database['tables']): string => {
  const { totals, adjustments, commissions, purchases, redemptions, accounts } = tables;
  return `(
  SELECT user_id, channel_id, mode, t.commissions, t.reverted, t.amount, t.redemptions, t.revenue, t.matured,
    t.matured_amount, t.most_commissions, a.suspended_at, coalesce(c.commissions, 0) AS sum_of_commissions,
    coalesce(c.reverted, 0) AS sum_of_reverted,
    coalesce(c.amount, 0) + coalesce(x.amount, 0) AS sum_of_amount, coalesce(r.redemptions, 0) AS sum_of_redemptions,
    coalesce(p.revenue, 0) AS sum_of_revenue, coalesce(c.available, 0) AS available,
    coalesce(c.available_amount, 0) + coalesce(x.amount, 0) AS available_amount
  FROM ${totals} t
  FULL JOIN (
    SELECT c.user_id, coalesce(c.channel_id, 0) AS channel_id, c.mode, count(*) AS commissions,
      count(c.reverted_at) AS reverted, sum(c.amount) AS amount,
      count(*) FILTER (WHERE c.reverted_at IS NULL AND c.available_at <= t.matured_until) AS available,
      coalesce(sum(c.amount) FILTER (WHERE c.available_at <= t.matured_until), 0) AS available_amount
    FROM ${commissions} c LEFT JOIN ${totals} t ON t.user_id = c.user_id AND t.channel_id = coalesce(c.channel_id, 0)
      AND t.mode = c.mode
    GROUP BY 1, 2, 3
  ) c USING (user_id, channel_id, mode)
  FULL JOIN (
    SELECT user_id, 0::bigint AS channel_id, mode, sum(amount) AS amount FROM ${adjustments} GROUP BY 1, 3
  ) x USING (user_id, channel_id, mode)
  FULL JOIN (
    SELECT referrer_id AS user_id, channel_id, mode, sum(amount - refunded) AS revenue
    FROM ${decidedPurchases(tables)} AS bought WHERE is_revenue GROUP BY 1, 2, 3
  ) p USING (user_id, channel_id, mode)
  FULL JOIN (
    SELECT p.referrer_id AS user_id, r.channel_id, p.mode, count(*) AS redemptions
    FROM ${redemptions} r JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
    WHERE r.given_back_at IS NULL GROUP BY 1, 2, 3
  ) r USING (user_id, channel_id, mode)
  LEFT JOIN (SELECT user_id, suspended_at FROM ${accounts}) a USING (user_id)
  ) AS total`;
};
