import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager, QueryRunner } from 'typeorm';

/** The newest call of the package on each connection that runs a transaction of the host's. */
const turns = new WeakMap<QueryRunner, Promise<unknown>>();
/** The connections on which the current code has its turn. A nested call must not wait for its own outer call. */
const current = new AsyncLocalStorage<readonly QueryRunner[]>();

/**
 * Runs the concurrent calls of one transaction one after another. The savepoints of a connection are nested: if two
 * calls ran at the same time, the rollback of one could undo the other.
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
