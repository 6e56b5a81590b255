import type { Database } from '../../database/database';
import { entityOf } from '../../entities';
import type { Invariant } from './invariant';

/**
 * The CHECK constraints of the tables, by their names, and NOT NULL. PostgreSQL enforces them, unless somebody has
 * dropped one, or a restore has left one out. They come from the entities, so that a new one is checked too.
 */
export function constraintInvariants(database: Database): Invariant[] {
  const names = Object.keys(entityOf) as (keyof typeof entityOf)[];
  return names.flatMap((table) => {
    const { checks, columns, primaryColumns } = database.dataSource.getMetadata(entityOf[table]);
    if (checks.length === 0) return [];
    const keys = columns.some((column) => column.databaseName === 'id')
      ? ['id']
      : primaryColumns.map((column) => column.databaseName);
    const row = { table, rows: `SELECT * FROM ${database.tables[table]}`, id: keys.join(` || '/' || `) };
    const required = columns.filter((column) => !column.isNullable).map((column) => column.databaseName);
    return [
      ...checks.map(({ name, expression }): Invariant => {
        const tested = Array.from(expression.matchAll(/"(\w+)"/g), ([, column]) => column!);
        return {
          ...{ ...row, name, isBroken: `NOT (${expression})` },
          expected: `'${expression.replace(/\s+/g, ' ').replaceAll("'", "''")}'`,
          found: `concat_ws('/', ${[...new Set(tested)].join(', ')})`,
        };
      }),
      {
        ...{ ...row, name: 'every value that a row needs is there', isBroken: `num_nulls(${required.join(', ')}) > 0` },
        ...{ expected: '0', found: `num_nulls(${required.join(', ')})` },
      },
    ];
  });
}
