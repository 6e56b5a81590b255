import type { Invariant, RowCondition } from './invariant';

/** A query for the problems of one or more invariants. */
export interface InvariantQuery {
  invariants: readonly Invariant[];
  /** It returns `n`, the place of the invariant in the list, and `id`, `expected` and `found` as text; `id` as JSON. */
  sql: string;
}

/** Returns queries for all problems, at most `limit` for each invariant: one query for all invariants of the same rows. */
export function invariantQueries(invariants: readonly Invariant[], limit: number): InvariantQuery[] {
  const groups = new Map<string, Invariant[]>();
  for (const invariant of invariants) {
    const key = 'rows' in invariant ? invariant.rows : invariant.sql;
    groups.set(key, [...(groups.get(key) ?? []), invariant]);
  }
  return Array.from(groups.values(), (group) => ({ invariants: group, sql: queryOf(group, limit) }));
}

function queryOf(group: readonly Invariant[], limit: number): string {
  const [first] = group;
  if ('sql' in first!)
    return `SELECT 0 AS n, to_json(id)::text AS id, expected::text, found::text FROM (${first.sql}) AS problems
     LIMIT ${limit}`;
  const conditions = group as readonly RowCondition[];
  const tests = conditions.map(
    ({ isBroken, id, expected, found }, n) =>
      `(${n}, ${isBroken}, to_json(${id})::text, (${expected})::text, (${found})::text)`,
  );
  const isAnyBroken = conditions.map(({ isBroken }) => `(${isBroken})`).join(' OR ');
  // The condition on the rows comes first, so that the VALUES are built for the few rows that are broken.
  // The names of its columns are those of no table, so that the conditions can name columns without an alias.
  return `SELECT problem_n AS n, problem_id AS id, problem_expected AS expected, problem_found AS found FROM (
      SELECT test.*, row_number() OVER (PARTITION BY problem_n) AS problem_nth
      FROM ${conditions[0]!.rows}
      CROSS JOIN LATERAL (VALUES ${tests.join(', ')})
        AS test (problem_n, is_problem, problem_id, problem_expected, problem_found)
      WHERE (${isAnyBroken}) AND is_problem
    ) AS problems WHERE problem_nth <= ${limit} ORDER BY problem_n`;
}
