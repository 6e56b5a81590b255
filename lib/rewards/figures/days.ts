import type { Database } from '../../database/database';

/**
 * SQL: what the books say about each UTC day, as rows to be summed, with the columns `user_id`, `day`, `signups`, `customers` and
 * `earned`. A commission is earned on its day, and what is taken back of it counts on the day of its entry.
 */
export function bookedDays({
  signups,
  referees,
  commissions,
  commissionEntries,
  adjustments,
  credits,
}: Tables): string {
  const of = (
    from: string,
    user: string,
    time: string,
    counted: Partial<Record<Column, string>>,
    where: string,
  ): string => `
    SELECT ${user} AS user_id, (${time} AT TIME ZONE 'UTC')::date AS day,
      ${columns.map((column) => `${counted[column] ?? '0'} AS ${column}`).join(', ')} FROM ${from} WHERE ${where}`;
  return [
    of(signups, 'referrer_id', 'created_at', { signups: '1' }, 'referrer_id IS NOT NULL'),
    of(referees, 'user_id', 'upgraded_at', { customers: '1' }, 'upgraded_at IS NOT NULL'),
    of(commissions, 'user_id', 'created_at', { earned: 'earned' }, 'true'),
    of(commissionEntries, 'user_id', 'created_at', { earned: 'amount' }, 'true'),
    of(adjustments, 'user_id', 'created_at', { earned: 'amount' }, 'true'),
    of(credits, 'user_id', 'created_at', { earned: 'initial_balance' }, `kind = 'reward'`),
  ].join(' UNION ALL ');
}

type Tables = Database['tables'];
type Column = (typeof columns)[number];
const columns = ['signups', 'customers', 'earned'] as const;
