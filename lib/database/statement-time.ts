import type { EntityManager } from 'typeorm';
import type { Clock } from './clock';
import type { Database } from './database';
import { sql } from './named-parameters';

/**
 * The time of a statement in SQL: the injected clock's if the parameter has one, else the statement's own. It is not `now()`, which in the
 * host's transaction is the time of its begin: a credit that another transaction has committed since would seem to start in the future.
 */
export function timeOf(parameter: string): string {
  return `coalesce(${parameter}::timestamptz, statement_timestamp())`;
}

/** Returns the time that a statement would have. */
export async function nowIn(database: Database, clock: Clock, manager: EntityManager): Promise<Date> {
  const query = sql({ now: clock.parameter() }, ($) => `SELECT ${timeOf($.now)} AS now`);
  const [row] = await database.query<{ now: Date }>(query, manager);
  return row!.now;
}
