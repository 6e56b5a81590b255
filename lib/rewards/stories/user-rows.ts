import type { Database } from '../../database/database';
import type { entityOf } from '../../entities';

/** The columns with a user's id, where an index finds it. The rows of other tables come with a row of one of these. */
const columns = {
  referrals: ['user_id'],
  responses: ['user_id'],
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

/** SQL: whether anything is known of a user. */
export function hasRowsOfUser({ tables }: Database, user: string): string {
  const rows = Object.entries(columns).flatMap(([table, names]) =>
    names.map((name) => `EXISTS (SELECT FROM ${tables[table as keyof typeof columns]} WHERE ${name} = ${user})`),
  );
  return `(${rows.join(' OR ')})`;
}
