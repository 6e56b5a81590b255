import { type CallOutcome, detailedError, ReferralError } from '../errors';

/** Creates the error of a database that can't be reached or does not respond, with the driver's error as its cause. */
export function databaseUnavailable(detail: string, outcome: CallOutcome, cause?: unknown): ReferralError {
  return detailedError('DATABASE_UNAVAILABLE', { outcome, cause }, detail, outcome);
}

/** Creates the error of a call to an instance that is closed. */
export function closed(): ReferralError {
  return detailedError('CLOSED', { outcome: 'none' });
}

/**
 * Returns the error of a call that consists of several transactions and has committed one of them: whatever is known of
 * the last one, the call may have happened in part. Returns every other error unchanged.
 */
export function afterCommit(error: unknown): unknown {
  if (!(error instanceof ReferralError) || error.outcome !== 'none') return error;
  if (error.code !== 'CLOSED') return databaseUnavailable('after a part of it was committed', 'unknown', error);
  return detailedError('CLOSED', { outcome: 'unknown', cause: error });
}

/** Whether an error says that the database is unavailable, or that the instance is closed. */
export function isAway(error: unknown): boolean {
  return error instanceof ReferralError && error.status === 503;
}
