import type { Invariant, RowCondition } from './invariant';

/** A query for the problems of one or more invariants. */
export interface InvariantQuery {
  invariants: readonly Invariant[];
  /** What follows FROM in a query for the broken rows, which may be counted. */
  broken: string;
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
  return Array.from(groups.values(), (group) => ({ invariants: group, ...queryOf(group, limit) }));
}

/**
 * Returns one query for `n`, the places in the list of the queries with problems. PostgreSQL counts for several queries at
 * once, in parallel workers. It does so only for what has neither LIMIT nor `row_number()`, so the problems themselves are
 * read by each query alone.
 */
export function withProblems(queries: readonly InvariantQuery[]): string {
  const counts = queries.map(({ broken }, n) => `SELECT ${n} AS n, count(*) AS problems FROM ${broken}`);
  return `SELECT n FROM (${counts.join(' UNION ALL ')}) AS counted WHERE problems > 0 ORDER BY n`;
}

function queryOf(group: readonly Invariant[], limit: number): Pick<InvariantQuery, 'broken' | 'sql'> {
  const [first] = group;
  if ('sql' in first!) {
    const broken = `(${first.sql}) AS problems`;
    const columns = '0 AS n, to_json(id)::text AS id, expected::text, found::text';
    return { broken, sql: `SELECT ${columns} FROM ${broken} LIMIT ${limit}` };
  }
  const conditions = group as readonly RowCondition[];
  const { rows } = conditions[0]!;
  const tests = conditions.map(
    ({ isBroken, id, expected, found }, n) =>
      `(${n}, ${isBroken}, to_json(${id})::text, (${expected})::text, (${found})::text)`,
  );
  const isAnyBroken = conditions.map(({ isBroken }) => `(${isBroken})`).join(' OR ');
  // The condition on the rows comes first, so that the VALUES are built for the few rows that are broken.
  // The names of its columns are those of no table, so that the conditions can name columns without an alias.
  const sql = `SELECT problem_n AS n, problem_id AS id, problem_expected AS expected, problem_found AS found FROM (
      SELECT test.*, row_number() OVER (PARTITION BY problem_n) AS problem_nth
      FROM ${rows}
      CROSS JOIN LATERAL (VALUES ${tests.join(', ')})
        AS test (problem_n, is_problem, problem_id, problem_expected, problem_found)
      WHERE (${isAnyBroken}) AND is_problem
    ) AS problems WHERE problem_nth <= ${limit} ORDER BY problem_n`;
  return { broken: `${rows} WHERE ${isAnyBroken}`, sql };
}
