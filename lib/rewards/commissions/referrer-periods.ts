import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import { overtaken, retryOvertaken } from '../../database/retry';

/**
 * The constraints that refuse a commission because of what others have done since the statement's snapshot: they have used up
 * a limit for the referrer, or suspended the referrer.
 */
const constraints: readonly (string | null)[] = [
  'ck_referral_referrer_periods_earned',
  ...['ck_referral_account_totals_suspended', 'ck_referral_accounts_counts'],
];

/** Whether an error says that a limit for the referrer was used up, or the referrer suspended, since the snapshot. */
export function isLimitOvertaken(error: unknown): boolean {
  return constraints.includes(violatedConstraint(error));
}

/** Runs a transaction that earns a referrer something again until others have not overtaken it. */
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
 * count. A statement locks these rows after those of accounts and before those of totals, as a purchase does.
 *
 * @param source a CTE with the columns `user_id` and `period`.
 * @param back SQL: what was taken back. Default: the column `back`.
 * @param after a CTE of the statement that locks accounts. Default: none.
 */
export function periodChanges(
  { referrerPeriods }: Database['tables'],
  source: string,
  { back = 'back', after }: { back?: string; after?: string } = {},
): string {
  return `
    limited AS (
      UPDATE ${referrerPeriods} o SET earned = o.earned - sums.back
      FROM (
        SELECT user_id, period, sum(${back}) AS back FROM ${source} WHERE period IS NOT NULL GROUP BY 1, 2
      ) AS sums
      WHERE o.user_id = sums.user_id AND o.period = sums.period AND sums.back <> 0
        ${after === undefined ? '' : `AND (SELECT count(*) FROM ${after}) >= 0`}
      RETURNING o.user_id
    )`;
}
