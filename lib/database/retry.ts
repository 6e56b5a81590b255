import { debug } from '../debug';
import { databaseUnavailable } from '../errors';
import { isConflict } from './driver-errors';

/**
 * What an attempt returns if another call was first: it wrote nothing, and its snapshot is too old to see what the other call
 * wrote. The next attempt, on a new snapshot, sees it.
 */
export const overtaken = Symbol('overtaken');

interface Limit {
  maxTries: number;
  /** The error after the last try. */
  exhausted: () => Error;
}

/** Each lost try means that another call has succeeded: so many in a row are a hot row, not a bug. */
const manyTries: Limit = {
  maxTries: 100,
  exhausted: () => databaseUnavailable('other calls changed the same rows first, 100 times in a row'),
};

/** Runs an attempt until it is not overtaken. Throws after 100 tries, or as the limit says. */
export async function retryOvertaken<T>(
  attempt: () => Promise<T | typeof overtaken>,
  { maxTries, exhausted }: Limit = manyTries,
): Promise<T> {
  for (let tries = 0; tries < maxTries; tries++) {
    const result = await attempt();
    if (result !== overtaken) return result;
    debug('retry %d of a statement that another call has overtaken', tries + 1);
  }
  throw exhausted();
}

const maxConflicts = 10;

/** Runs a transaction of our own again if PostgreSQL ended it for a deadlock or a serialization failure, ten times at most. */
export async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error) || tries === maxConflicts) throw error;
      debug('retry %d after a conflict: %s', tries, (error as Error).message);
    }
  }
}
