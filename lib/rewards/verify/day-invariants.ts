import type { Database } from '../../database/database';
import { bookedDays } from '../figures/booked-days';
import type { Invariant } from './invariant';

/**
 * What is summed of closed days is what other tables hold. Of clicks it is at least that: the host may delete daily counts, and
 * what was counted stays counted.
 */
export function dayInvariants(tables: Database['tables']): Invariant[] {
  const { userDays, userLinks, closedDays, dailyCounts, referrals } = tables;
  const isClosed = (alias: string): string =>
    `JOIN ${closedDays} c ON c.user_id = ${alias}.user_id AND ${alias}.day < c.until`;
  const figures = (alias: string): string =>
    `concat_ws(' ', coalesce(${alias}.signups, 0), coalesce(${alias}.customers, 0), coalesce(${alias}.earned, 0)::numeric(28,4))`;
  const clicks = (alias: string): string => `coalesce(${alias}.clicks, 0), coalesce(${alias}.visitors, 0)`;
  const counted = (key: string): string => `(
        SELECT c.user_id, ${key}, sum(n.clicks) AS clicks, sum(n.visitors) AS visitors
        FROM ${closedDays} c JOIN ${referrals} r ON r.user_id = c.user_id
        JOIN ${dailyCounts} n ON n.referral_id = r.id AND n.day < c.until GROUP BY 1, 2
      ) AS n`;
  return [
    {
      ...{ name: 'a closed day is the sum of its rows', table: 'userDays' },
      sql: `SELECT user_id || '/' || to_char(day, 'YYYY-MM-DD') AS id, ${figures('b')} AS expected, ${figures('d')} AS found
      FROM (SELECT d.* FROM ${userDays} d ${isClosed('d')}) AS d FULL JOIN (
        SELECT b.user_id, b.day, sum(b.signups) AS signups, sum(b.customers) AS customers, sum(b.earned) AS earned
        FROM (${bookedDays(tables)}) AS b ${isClosed('b')} GROUP BY 1, 2
      ) AS b USING (user_id, day)
      WHERE (${figures('b')}) <> (${figures('d')})`,
    },
    {
      ...{ name: 'a closed day has all clicks of its links', table: 'userDays' },
      sql: `SELECT n.user_id || '/' || to_char(n.day, 'YYYY-MM-DD') AS id, concat_ws(' ', ${clicks('n')}) AS expected,
        concat_ws(' ', ${clicks('d')}) AS found
      FROM ${counted('n.day')} LEFT JOIN ${userDays} d ON d.user_id = n.user_id AND d.day = n.day
      WHERE n.clicks > coalesce(d.clicks, 0) OR n.visitors > coalesce(d.visitors, 0)`,
    },
    {
      ...{ name: 'the clicks of a link on closed days are all of them', table: 'userLinks' },
      sql: `SELECT n.user_id || '/' || n.referral_id AS id, concat_ws(' ', ${clicks('n')}) AS expected,
        concat_ws(' ', ${clicks('l')}) AS found
      FROM ${counted('n.referral_id')} LEFT JOIN ${userLinks} l
        ON l.user_id = n.user_id AND l.referral_id = n.referral_id
      WHERE n.clicks > coalesce(l.clicks, 0) OR n.visitors > coalesce(l.visitors, 0)`,
    },
    {
      ...{ name: 'the clicks of closed days are those of links', table: 'userDays' },
      sql: `SELECT c.user_id AS id, l.clicks || ' ' || l.visitors AS expected, d.clicks || ' ' || d.visitors AS found
      FROM ${closedDays} c
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors FROM ${userLinks} l
        WHERE l.user_id = c.user_id
      ) AS l
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors FROM ${userDays} d
        WHERE d.user_id = c.user_id AND d.day < c.until
      ) AS d
      WHERE c.until IS NOT NULL AND (l.clicks <> d.clicks OR l.visitors <> d.visitors)`,
    },
  ];
}
