import type { Database } from '../../database/database';

/** The counts of a user: columns of `referral_user_counts`. */
type UserCount = 'grants' | 'granted' | 'empty_spends' | 'uncounted_usages' | 'uncounted_usage';

/**
 * Returns SQL that adds to the counts of users, and inserts those that are missing. `source` is a query for `user_id`
 * and the given counts, with one row for each user. It is the last lock that a statement takes.
 */
export function addCounts({ tables }: Database, counts: readonly UserCount[], source: string): string {
  return `INSERT INTO ${tables.userCounts} AS kept (user_id, ${counts.join(', ')})
        ${source}
        ON CONFLICT (user_id) DO UPDATE
          SET ${counts.map((count) => `${count} = kept.${count} + excluded.${count}`).join(', ')}`;
}
