import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager, QueryRunner } from 'typeorm';

/** For each connection of a host's transaction, the newest of our calls on it. */
const turns = new WeakMap<QueryRunner, Promise<unknown>>();
/** The connections that the code now running has its turn on. */
const current = new AsyncLocalStorage<readonly QueryRunner[]>();

/**
 * Savepoints on a connection nest: of calls that a host makes at once in one transaction, each waits for the one before, so that
 * none of them is rolled back with another's savepoint.
 */
export function inTurn<T>(manager: EntityManager, work: () => Promise<T>): Promise<T> {
  const { queryRunner } = manager;
  const mine = current.getStore() ?? [];
  if (!queryRunner || mine.includes(queryRunner)) return work();
  const before = turns.get(queryRunner) ?? Promise.resolve();
  const turn = before.then(() => current.run([...mine, queryRunner], work));
  turns.set(
    queryRunner,
    turn.catch(() => undefined),
  );
  return turn;
}
