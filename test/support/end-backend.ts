import type { DataSource } from 'typeorm';

/**
 * Ends a backend as an operator does, and waits until it has gone. The time-out of `pg_terminate_backend` would do the same, but
 * looks only every 100 ms.
 */
export async function endBackend(by: DataSource, pid: number): Promise<void> {
  await by.query('SELECT pg_terminate_backend($1)', [pid]);
  while ((await by.query<unknown[]>('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).length > 0);
}
