import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';

/** What the leader board is ordered by. */
export const leaderOrders = ['earned', 'signups', 'customers'] as const;
export type LeaderOrder = (typeof leaderOrders)[number];

/** A referrer of the leader board. */
export interface Leader {
  userId: string;
  /** How many users signed up or, in all, bought through the referrer. */
  signups: number;
  /** How many users have bought something that was credited to the referrer. */
  customers: number;
  /** What the referrer has earned, net of refunds, as a decimal string. */
  earned: string;
}

interface Board {
  /** Of the last days of 24 hours; null for all time. */
  days: number | null;
  order: LeaderOrder;
  take: number;
}

/**
 * Returns the first referrers. Of all time, totals and accounts have the figures; of some days, sign-ups and commissions are
 * counted, which indexes of block ranges find.
 */
export async function leaders(database: Database, clock: Clock, { days, order, take }: Board): Promise<Leader[]> {
  const { accounts, totals, signups, commissions } = database.tables;
  const by = `${order === 'earned' ? '' : `${order} DESC, `}earned DESC, signups DESC, user_id`;
  const query =
    days === null
      ? sql(
          { take },
          ($) => `
          SELECT * FROM (
            SELECT a.user_id, a.users_referred AS signups, a.users_upgraded AS customers, coalesce(t.amount, 0) AS earned
            FROM ${accounts} a LEFT JOIN (SELECT user_id, sum(amount) AS amount FROM ${totals} GROUP BY 1) AS t USING (user_id)
          ) AS leaders WHERE signups > 0 OR earned > 0 ORDER BY ${by} LIMIT ${$.take}::integer`,
        )
      : sql({ now: clock.parameter(), days, take }, ($) => {
          const since = `${timeOf($.now)} - ${$.days}::integer * interval '24 hours'`;
          return `
          SELECT user_id, coalesce(s.count, 0) AS signups, coalesce(c.count, 0) AS customers, coalesce(c.amount, 0) AS earned
          FROM (
            SELECT referrer_id AS user_id, count(*) FROM ${signups}
            WHERE created_at > ${since} AND referrer_id IS NOT NULL GROUP BY 1
          ) AS s FULL JOIN (
            SELECT user_id, count(DISTINCT referee_id) FILTER (WHERE kind = 'purchase') AS count, sum(amount) AS amount
            FROM ${commissions} WHERE created_at > ${since} GROUP BY 1
          ) AS c USING (user_id)
          ORDER BY ${by} LIMIT ${$.take}::integer`;
        });
  const rows = await database.query<LeaderRow>(query);
  return rows.map(({ user_id: userId, signups: count, customers, earned }) => ({
    ...{ userId, signups: Number(count), customers: Number(customers) },
    earned: database.shown(earned),
  }));
}

interface LeaderRow {
  user_id: string;
  signups: string;
  customers: string;
  earned: string;
}
