import type { DataSource, QueryRunner } from 'typeorm';
import { debug } from '../debug';
import { quoted } from '../shown';
import { type Client, driverOf, type Pool } from './driver';
import { isOwn } from './own-runners';

/** The query runners whose connection was lost while they had it. */
const lost = new WeakSet<QueryRunner>();

/**
 * Whether a query runner was released because its connection was lost, and not because its work was done. One of our
 * own in use is released only by TypeORM: the DataSource is being destroyed.
 */
export function wasLost(runner: QueryRunner): boolean {
  return lost.has(runner) || (runner.isReleased && isOwn(runner));
}

/**
 * Listens for errors of the pool's connections. PostgreSQL ends connections when it restarts, when an operator says so
 * and after some time-outs, and a client without a listener for `error` would end the process: TypeORM has none on a
 * client between the pool and the query runner.
 *
 * An idle connection that ends costs nobody anything, and TypeORM passes its error to `poolErrorHandler` or to the
 * logger already. The error of a connection in use fails the call that uses it. So neither is reported here again.
 *
 * @returns a function that removes the listeners.
 */
export function watchConnections(dataSource: DataSource): () => void {
  const driver = driverOf(dataSource);
  const pools = [driver.master, ...(driver.slaves ?? [])].filter((pool): pool is Pool => pool !== undefined);
  const watched = new Set<Client>();

  function onClientError(this: Client, error: Error): void {
    debug('a connection was lost: %s', quoted(error.message));
    for (const runner of driver.connectedQueryRunners) if (runner.databaseConnection === this) lost.add(runner);
  }
  const onPoolError = (error: Error): void => debug('an idle connection was lost: %s', quoted(error.message));
  /** Before TypeORM's listener, which takes the connection from its query runner. */
  const watch = (client: Client): void => {
    if (watched.has(client)) return;
    watched.add(client);
    client.prependListener('error', onClientError);
  };
  const forget = (client: Client): void => void watched.delete(client);

  for (const pool of pools) pool.on('error', onPoolError).on('acquire', watch).on('remove', forget);
  for (const { databaseConnection } of driver.connectedQueryRunners) if (databaseConnection) watch(databaseConnection);

  return () => {
    for (const pool of pools) pool.off('error', onPoolError).off('acquire', watch).off('remove', forget);
    for (const client of watched) client.off('error', onClientError);
  };
}
