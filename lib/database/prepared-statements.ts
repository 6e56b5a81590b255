import { createHash } from 'node:crypto';
import { debug } from '../debug';
import { quoted } from '../shown';
import { canNotPrepare } from './driver-errors';
import type { Statement } from './named-parameters';

/** The errors of transactions in which a statement could not be prepared, so that they were rolled back. */
const unprepared = new WeakSet<object>();

/**
 * Prepares statements, which each connection then plans once. Not every pooler can: where the statements of one connection
 * go to several of PostgreSQL's, a statement is missing on one of them, or is there already. Then nothing is prepared from
 * that time on. The same happens if a migration changes the type of a column under a prepared statement. In each case
 * PostgreSQL has not begun the statement.
 */
export class PreparedStatements {
  #isOn: boolean;

  constructor(isOn: boolean) {
    this.#isOn = isOn;
  }

  /** Gives a statement its name, which is the same wherever the text is: a pooler may share it between processes. */
  prepared<P extends object>({ text, valuesOf }: Statement<P>): Statement<P> {
    const name = `referrals_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
    return { text, valuesOf, with: (parameters) => ({ text, name, values: valuesOf(parameters) }) };
  }

  /**
   * Sends a statement by its name, or again without one if it can't be prepared. In a transaction, that has failed by
   * then: {@link retryUnprepared} makes it again.
   */
  async send<T>(
    name: string | undefined,
    isInTransaction: boolean,
    send: (name: string | undefined) => Promise<T>,
  ): Promise<T> {
    if (name === undefined || !this.#isOn) return send(undefined);
    try {
      return await send(name);
    } catch (error) {
      if (!canNotPrepare(error)) throw error;
      debug('no statement is prepared from now on: %s', quoted((error as Error).message));
      this.#isOn = false;
      if (!isInTransaction) return send(undefined);
      unprepared.add(error as Error);
      throw error;
    }
  }
}

/** Runs a transaction or savepoint, and once more if a statement of it could not be prepared. */
export async function retryUnprepared<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // TypeORM's error has that of `pg` as its `driverError`.
    if (!unprepared.has((error as { driverError?: object } | null)?.driverError ?? {})) throw error;
    return work();
  }
}
