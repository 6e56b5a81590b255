import type { Database } from '../../database/database';
import { addCounts } from '../records/user-counts';

/**
 * The CTEs that take the credits of a sign-up off it: who has them keeps them, as credits by hand. So they are not granted
 * again, and another sign-up can grant its own. `sides` is a condition on the credits `c`.
 */
export function undoneGrants(database: Database, condition: string): string {
  return `
      -- The credits of the sign-up.
      kept_credits AS (
        UPDATE ${database.tables.credits} c SET kind = 'grant', referee_id = NULL WHERE ${condition}
        RETURNING c.user_id, c.initial_balance
      ),
      -- Counts them as such.
      counted_credits AS (
        ${addCounts(database, ['grants', 'granted'], 'SELECT user_id, count(*), sum(initial_balance) FROM kept_credits GROUP BY 1')}
      )`;
}
