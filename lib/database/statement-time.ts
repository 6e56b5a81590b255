import type { EntityManager } from 'typeorm';
import type { Clock } from './clock';
import type { Database } from './database';

/**
 * The time of a statement in SQL: the injected clock's, if the parameter holds one, else the statement's own. Not `now()`: in the
 * host's transaction that is when it began, before which nothing that it sees of others' credit may have been given.
 */
export function timeOf(parameter: string): string {
  return `coalesce(${parameter}::timestamptz, statement_timestamp())`;
}

/** The time that a statement would have. */
export async function nowIn(database: Database, clock: Clock, manager: EntityManager): Promise<Date> {
  const sql = `SELECT ${timeOf('$1')} AS now`;
  const [row] = await database.query<{ now: Date }>(sql, [clock.parameter()], manager);
  return row!.now;
}
