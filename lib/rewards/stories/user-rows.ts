import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { entityOf } from '../../entities';

/** The columns with a user's id, where an index finds it. The rows of other tables come with a row of one of these. */
const columns = {
  referrals: ['user_id'],
  signups: ['user_id', 'referrer_id'],
  refusals: ['user_id'],
  usages: ['user_id'],
  credits: ['user_id'],
  spends: ['user_id'],
  accounts: ['user_id'],
  buyers: ['user_id'],
  purchases: ['user_id'],
  earnOuts: ['user_id'],
  commissions: ['user_id', 'referee_id'],
  adjustments: ['user_id'],
  reviews: ['user_id', 'referee_id'],
  audit: ['user_id'],
} as const satisfies Partial<Record<keyof typeof entityOf, readonly string[]>>;

/** Returns whether anything is known of a user. Responses are asked apart, because they may be distributed. */
export async function isKnownUser(database: Database, user: string): Promise<boolean> {
  const { responses, ...tables } = database.tables;
  const books = Object.entries(columns).flatMap(([table, names]) =>
    names.map((name) => `${tables[table as keyof typeof columns]} WHERE ${name}`),
  );
  for (const places of [books, [`${responses} WHERE user_id`]]) {
    const query = sql({ user }, ($) => {
      const tests = places.map((place) => `EXISTS (SELECT FROM ${place} = ${$.user})`);
      return `SELECT ${tests.join(' OR ')} AS "isKnown"`;
    });
    const [row] = await database.query<{ isKnown: boolean }>(query);
    if (row!.isKnown) return true;
  }
  return false;
}
