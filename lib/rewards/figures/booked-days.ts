import type { Database } from '../../database/database';

type Tables = Database['tables'];
type Column = 'signups' | 'customers' | 'earned';

/** Which rows: those of a user in a period. */
interface Period {
  /** SQL: the user's id. */
  user: string;
  /** SQL: the time at which the first day starts. */
  start: string;
  /** SQL: the time at which the last day has ended. */
  end: string;
}

/**
 * SQL: what the books say about each UTC day, as rows to be summed, with the columns `user_id`, `day`, `signups`, `customers`
 * and `earned`; of everybody, or of one user in a period, by the index on both. A commission is earned on its day, and what
 * is taken back of it counts on the day of its entry. So a day that is over changes only by what {@link forgetDays} names.
 */
export function bookedDays(tables: Tables, period: Period | null = null): string {
  const of = (
    table: string,
    user: string,
    time: string,
    column: Column,
    amount: string,
    condition = 'true',
  ): string => `
          SELECT ${user} AS user_id, (${time} AT TIME ZONE 'UTC')::date AS day,
            ${columns.map((name) => `${name === column ? amount : nothing[name]} AS ${name}`).join(', ')}
          FROM ${table} WHERE ${condition}
            ${period === null ? '' : `AND ${user} = ${period.user} AND ${time} >= ${period.start} AND ${time} < ${period.end}`}`;
  return [
    of(tables.signups, 'referrer_id', 'created_at', 'signups', '1', 'referrer_id IS NOT NULL'),
    of(tables.referees, 'user_id', 'upgraded_at', 'customers', '1', 'upgraded_at IS NOT NULL'),
    of(tables.commissions, 'user_id', 'created_at', 'earned', 'earned'),
    of(tables.commissionEntries, 'user_id', 'created_at', 'earned', 'amount'),
    of(tables.adjustments, 'user_id', 'created_at', 'earned', 'amount'),
    of(tables.credits, 'user_id', 'created_at', 'earned', 'initial_balance', `kind = 'reward'`),
  ].join(' UNION ALL ');
}

const nothing: Record<Column, string> = { signups: '0', customers: '0', earned: '0::numeric' };
const columns = Object.keys(nothing) as Column[];
