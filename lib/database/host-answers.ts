import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager } from 'typeorm';

/** Asks a function of the host's, in the transaction of a manager if the host has given one. */
type Ask<T> = (manager: EntityManager | undefined) => Promise<T>;

/** Thrown in a transaction of ours that needs what the host has not been asked yet. */
class Unanswered extends Error {
  constructor(
    readonly key: string,
    readonly ask: Ask<unknown>,
  ) {
    super(`the host has not been asked: ${key}`);
  }
}

/** What the host has answered, in work that runs in a transaction of ours. */
const answers = new AsyncLocalStorage<Map<string, unknown>>();

/**
 * Asks a function of the host's. In the work of {@link askingBetween} it is not called, because we hold a connection there:
 * the work gets what it returned in an earlier attempt, or ends and is repeated with that.
 *
 * @param key what is asked: the same question has the same key in each attempt.
 */
export async function askHost<T>(key: string, manager: EntityManager | undefined, ask: Ask<T>): Promise<T> {
  const known = answers.getStore();
  if (!known) return ask(manager);
  if (!known.has(key)) throw new Unanswered(key, ask);
  return known.get(key) as T;
}

/**
 * Runs work that calls managers in a transaction of ours. What they ask the host is asked between two attempts of the work,
 * with nothing held: each attempt must roll back what it did when it throws.
 */
export async function askingBetween<T>(work: () => Promise<T>): Promise<T> {
  const known = new Map<string, unknown>();
  for (;;) {
    try {
      return await answers.run(known, work);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      known.set(error.key, await error.ask(undefined));
    }
  }
}
