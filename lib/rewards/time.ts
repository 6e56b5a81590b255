/**
 * The time of a statement in SQL: the injected clock's, if the parameter holds one, else the statement's own. Not `now()`: in the
 * host's transaction that is when it began, before which nothing that it sees of others' credit may have been given.
 */
export function timeOf(parameter: string): string {
  return `coalesce(${parameter}::timestamptz, statement_timestamp())`;
}
