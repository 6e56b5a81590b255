import { debug } from '../debug';
import { quoted } from '../shown';
import { isConflict } from './driver-errors';
import { databaseUnavailable } from './unavailable';

/**
 * The result of an attempt that another call has overtaken: the attempt wrote nothing, and its snapshot does not
 * contain what the other call wrote. The next attempt has a new snapshot, which contains it.
 */
export const overtaken = Symbol('overtaken');

/**
 * An attempt is overtaken only if another call has succeeded. So 100 in a row mean a busy row, and not an endless loop.
 */
const maxOvertaken = 100;

/** Runs an attempt again until it is not overtaken. Throws after 100 tries. */
export async function retryOvertaken<T>(attempt: () => Promise<T | typeof overtaken>): Promise<T> {
  for (let tries = 1; tries <= maxOvertaken; tries++) {
    const result = await attempt();
    if (result !== overtaken) return result;
    debug('retry %d of a statement that another call has overtaken', tries);
  }
  throw databaseUnavailable(`other calls changed the same rows first, ${maxOvertaken} times in a row`, 'none');
}

const maxConflicts = 10;

/**
 * Runs a transaction of our own, up to ten times in all: retries it after a deadlock or a serialization failure. Throws
 * `DATABASE_UNAVAILABLE` after ten: nothing of it has happened.
 *
 * @param isBusy which other errors say that it can succeed once others have ended. Default: none.
 */
export async function retryConflicts<T>(
  work: () => Promise<T>,
  isBusy: (error: unknown) => boolean = () => false,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error) && !isBusy(error)) throw error;
      const { message } = error as Error;
      if (tries === maxConflicts)
        throw databaseUnavailable(`other calls were in the way, ${tries} times in a row: ${message}`, 'none', error);
      debug('retry %d after a conflict: %s', tries, quoted(message));
    }
  }
}
