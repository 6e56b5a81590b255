import { createHash } from 'node:crypto';
import { debug } from '../debug';
import { quoted } from '../shown';
import { canNotPrepare, isOutdated } from './driver-errors';
import type { Statement } from './named-parameters';

/** The errors of transactions in which a statement could not be prepared, so that they were rolled back. */
const unprepared = new WeakSet<object>();

/** How often a transaction is made again at most. Each time nothing is prepared, or under a name that is newer. */
const maxTries = 10;

/** A statement as it is sent. Without a name, it is not prepared. */
interface Sent {
  readonly text: string;
  readonly name?: string | undefined;
}

/**
 * Prepares statements, which each connection then plans once. Two things can be in the way. In each case PostgreSQL has
 * not begun the statement.
 *
 * - Not every pooler can: where the statements of one connection go to several of PostgreSQL's, a statement is missing on
 *   one of them, or is there already. Then nothing is prepared from that time on.
 * - A migration of the host's has changed the type of a column that a statement returns. What is prepared is of no use
 *   then, on any connection, and all statements begin a new generation, under new names.
 */
export class PreparedStatements {
  #isOn: boolean;
  #generation = 0;

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
  async send<T>({ text, name }: Sent, isInTransaction: boolean, send: (sent: Sent) => Promise<T>): Promise<T> {
    if (name === undefined || !this.#isOn) return send({ text });
    const generation = this.#generation;
    try {
      return await send(ofGeneration(text, name, generation));
    } catch (error) {
      if (isOutdated(error)) this.#generation = Math.max(this.#generation, generation + 1);
      else if (canNotPrepare(error)) this.#isOn = false;
      else throw error;
      debug(
        '%s: %s',
        this.#isOn ? 'statements are prepared anew' : 'no statement is prepared from now on',
        quoted((error as Error).message),
      );
      if (!isInTransaction) return send({ text });
      unprepared.add(error as Error);
      throw error;
    }
  }
}

/** The text differs too, because PgBouncer gives the same name to what has the same text. */
function ofGeneration(text: string, name: string, generation: number): Sent {
  return generation === 0 ? { text, name } : { text: `${text}\n-- ${generation}`, name: `${name}_${generation}` };
}

/**
 * Runs a transaction or savepoint, and again if a statement of it could not be prepared. A pooler may still have several
 * generations that other processes have prepared.
 */
export async function retryUnprepared<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      // TypeORM's error has that of `pg` as its `driverError`.
      const isUnprepared = unprepared.has((error as { driverError?: object } | null)?.driverError ?? {});
      if (!isUnprepared || tries === maxTries) throw error;
    }
  }
}
