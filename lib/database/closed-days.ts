import type { EntityManager } from 'typeorm';
import type { Database } from './database';
import { sql } from './named-parameters';

/**
 * SQL: an INSERT that opens all days of users again, because something on a day that may be closed changes. What changes such
 * a day has it in its transaction: calls that move sign-ups, pairs, rewards or links from one user to another, or that take
 * away what was counted. What is added at the current time needs none.
 *
 * An upsert, because it must wait for a page that closes days at the same moment, and undo that.
 *
 * @param users SQL: a query for their ids.
 * @param from SQL: the first day that changes. Default: any.
 */
export function forgetDays({ closedDays }: Database['tables'], users: string, from?: string): string {
  return `INSERT INTO ${closedDays} AS d (user_id)
          SELECT DISTINCT user_id FROM (${users}) AS changed (user_id) WHERE user_id IS NOT NULL ORDER BY user_id
          ON CONFLICT (user_id) DO UPDATE SET until = NULL, closing_until = NULL, closing_xid = NULL
          ${from === undefined ? '' : `WHERE greatest(d.until, d.closing_until) > ${from}`}`;
}

/** Opens all days of some users again. */
export async function forgetDaysOf(
  database: Database,
  users: readonly (string | null | undefined)[],
  manager: EntityManager,
): Promise<void> {
  const query = sql({ users }, ($) => forgetDays(database.tables, `SELECT unnest(${$.users}::varchar[])`));
  await database.query(query, manager);
}

/** Opens the days of a referral's owner again, from one on: clicks that it counts are taken away. */
export async function forgetDaysOfOwner(
  database: Database,
  referral: number,
  from: string,
  manager: EntityManager,
): Promise<void> {
  const { tables } = database;
  const query = sql({ referral, from }, ($) =>
    forgetDays(tables, `SELECT user_id FROM ${tables.referrals} WHERE id = ${$.referral}`, `${$.from}::date`),
  );
  await database.query(query, manager);
}
