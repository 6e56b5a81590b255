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
