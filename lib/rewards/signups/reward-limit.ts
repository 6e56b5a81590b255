import type { Database } from '../../database/database';

/**
 * Returns the CTE `rewarded`, which counts a reward: one row if the limit leaves room for it. Of concurrent rewards of a
 * referrer, each waits for the count of the one before, and PostgreSQL tests its newest value.
 *
 * @param due a query for `user_id`, `program_id`, `period` and 1: one row if a reward with a limit is due.
 * @param limit SQL: the limit.
 */
export function rewardedCte({ tables }: Database, due: string, limit: string): string {
  return `
      -- Counts the reward in its period, unless the limit is reached. It guards the reward.
      rewarded AS (
        INSERT INTO ${tables.rewardCounts} AS n (user_id, program_id, period, rewards)
        ${due}
        ON CONFLICT (user_id, program_id, period) DO UPDATE SET rewards = n.rewards + 1 WHERE n.rewards < ${limit}
        RETURNING 1
      )`;
}
