import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** The invariants of the sums that are stored of commissions: by referee, by account, and by channel and mode. */
export function totalInvariants({
  signups,
  accounts,
  totals,
  referees,
  redemptions,
  purchases,
  commissions,
}: Database['tables']): Invariant[] {
  // What each row of totals must contain: the sums of commissions, purchases and redemptions.
  const summed = `(
    SELECT user_id, channel_id, mode, sum(commissions) AS commissions, sum(reverted) AS reverted, sum(amount) AS amount,
      sum(redemptions) AS redemptions, sum(revenue) AS revenue
    FROM (
      SELECT user_id, coalesce(channel_id, 0) AS channel_id, mode, 1 AS commissions,
        (reverted_at IS NOT NULL)::integer AS reverted,
        amount, 0 AS redemptions, 0 AS revenue FROM ${commissions}
      UNION ALL SELECT referrer_id, channel_id, mode, 0, 0, 0, 0, amount - refunded FROM ${purchases} WHERE is_revenue
      UNION ALL SELECT p.referrer_id, r.channel_id, p.mode, 0, 0, 0, 1, 0
      FROM ${redemptions} r JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
    ) AS parts GROUP BY 1, 2, 3
  )`;
  // What was available at the `matured_until` of each row of totals.
  const matured = `(
    SELECT t.user_id, t.channel_id, t.mode, count(c.id) FILTER (WHERE c.reverted_at IS NULL) AS count,
      coalesce(sum(c.amount), 0) AS amount
    FROM ${totals} t LEFT JOIN ${commissions} c ON c.user_id = t.user_id AND coalesce(c.channel_id, 0) = t.channel_id
      AND c.mode = t.mode AND c.available_at <= t.matured_until
    GROUP BY 1, 2, 3
  )`;
  const totalId = (t: string): string => `${t}.user_id || '/' || ${t}.channel_id || '/' || ${t}.mode`;
  return [
    {
      name: 'a referee earns the referrer the sum of the commissions',
      table: 'referees',
      sql: `SELECT coalesce(r.user_id, c.user_id) || '/' || coalesce(r.referee_id, c.referee_id) AS id,
         coalesce(c.amount, 0) AS expected, r.earned AS found
       FROM ${referees} r FULL JOIN (
         SELECT user_id, referee_id, sum(amount) AS amount FROM ${commissions} GROUP BY 1, 2
       ) c
         ON c.user_id = r.user_id AND c.referee_id = r.referee_id
       WHERE coalesce(c.amount, 0) IS DISTINCT FROM r.earned`,
    },
    {
      name: 'a referee earns the referrer no more than the limit',
      table: 'referees',
      // If the limit has changed, the highest one counts. If a commission has no limit, there is none.
      sql: `SELECT r.user_id || '/' || r.referee_id AS id, c.max AS expected, r.earned AS found
       FROM ${referees} r JOIN (
         SELECT user_id, referee_id, max(coalesce(max_per_referee, 'Infinity')) AS max FROM ${commissions} GROUP BY 1, 2
       ) c ON c.user_id = r.user_id AND c.referee_id = r.referee_id
       WHERE r.earned > c.max`,
    },
    {
      name: 'every sign-up of a referrer has its referee',
      table: 'referees',
      sql: `SELECT s.referrer_id || '/' || s.user_id AS id, s.user_id AS expected, r.referee_id AS found
       FROM ${signups} s LEFT JOIN ${referees} r ON r.user_id = s.referrer_id AND r.referee_id = s.user_id
       WHERE s.referrer_id IS NOT NULL AND r.user_id IS NULL`,
    },
    {
      name: 'users referred and upgraded = referees',
      table: 'accounts',
      sql: `SELECT coalesce(a.user_id, r.user_id) AS id,
         coalesce(r.referred, 0) || '/' || coalesce(r.upgraded, 0) AS expected,
         a.users_referred || '/' || a.users_upgraded AS found
       FROM ${accounts} a FULL JOIN (
         SELECT user_id, count(*) AS referred, count(upgraded_at) AS upgraded FROM ${referees} GROUP BY 1
       ) r ON r.user_id = a.user_id
       WHERE coalesce(r.referred, 0) IS DISTINCT FROM a.users_referred
         OR coalesce(r.upgraded, 0) IS DISTINCT FROM a.users_upgraded`,
    },
    {
      name: 'totals = sums',
      table: 'totals',
      sql: `SELECT coalesce(${totalId('t')}, ${totalId('s')}) AS id, sums.expected, sums.found
       FROM ${totals} t FULL JOIN ${summed} s ON s.user_id = t.user_id AND s.channel_id = t.channel_id
         AND s.mode = t.mode
       CROSS JOIN LATERAL (VALUES
         (coalesce(s.commissions, 0)::numeric, t.commissions::numeric),
         (coalesce(s.reverted, 0), t.reverted),
         (coalesce(s.amount, 0), t.amount),
         (coalesce(s.redemptions, 0), t.redemptions),
         (coalesce(s.revenue, 0), t.revenue)
       ) AS sums (expected, found)
       WHERE sums.expected IS DISTINCT FROM sums.found`,
    },
    {
      name: 'matured totals = what was available then',
      table: 'totals',
      sql: `SELECT ${totalId('t')} AS id, m.count || '/' || m.amount AS expected,
         t.matured || '/' || t.matured_amount AS found
       FROM ${totals} t JOIN ${matured} m ON m.user_id = t.user_id AND m.channel_id = t.channel_id AND m.mode = t.mode
       WHERE m.count <> t.matured OR m.amount <> t.matured_amount`,
    },
  ];
}
