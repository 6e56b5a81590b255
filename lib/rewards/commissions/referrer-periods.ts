import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { overtaken, retryOvertaken } from '../../database/retry';

/** Whether an error says that others have used up a limit for the referrer since the statement's snapshot. */
export function isLimitOvertaken(error: unknown): boolean {
  return violatedConstraint(error) === 'ck_referral_referrer_periods_earned';
}

/** Runs a transaction with a limit for the referrer again until others have not used it up meanwhile. */
export function unlessOvertaken<T>(work: () => Promise<T>): Promise<T> {
  return retryOvertaken(async () => {
    try {
      return await work();
    } catch (error) {
      if (isLimitOvertaken(error)) return overtaken;
      throw error;
    }
  });
}

/**
 * Returns the CTE `limited`, which subtracts what was taken back of commissions from what the limits for their referrers
 * count. `source` is a CTE with the columns `user_id`, `period` and `back`, or what is given as that. A statement locks these rows before those of
 * the totals, as a purchase does.
 */
export function periodChanges({ referrerPeriods }: Database['tables'], source: string, back = 'back'): string {
  return `
    limited AS (
      UPDATE ${referrerPeriods} o SET earned = o.earned - sums.back
      FROM (
        SELECT user_id, period, sum(${back}) AS back FROM ${source} WHERE period IS NOT NULL GROUP BY 1, 2
      ) AS sums
      WHERE o.user_id = sums.user_id AND o.period = sums.period AND sums.back <> 0
      RETURNING o.user_id
    )`;
}
