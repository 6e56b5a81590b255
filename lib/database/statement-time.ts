import type { EntityManager } from 'typeorm';
import type { Clock } from './clock';
import type { Database } from './database';
import { sql } from './named-parameters';
import { timeInResult } from './result-types';

/**
 * Returns SQL for the time of a statement: the parameter if it is not null (the option `clock`), otherwise
 * `statement_timestamp()`. `now()` would be wrong in the host's transaction: it is the time at which the transaction
 * began, but the statement can see credit that another transaction has granted since then.
 */
export function timeOf(parameter: string): string {
  return `coalesce(${parameter}::timestamptz, statement_timestamp())`;
}

/** Returns the time that a statement on this connection uses. */
export async function nowIn(database: Database, clock: Clock, manager: EntityManager): Promise<Date> {
  const query = sql({ now: clock.parameter() }, ($) => `SELECT ${timeInResult(timeOf($.now))} AS now`);
  const [row] = await database.query<{ now: Date }>(query, manager);
  return row!.now;
}
