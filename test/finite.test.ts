import type { DataSource, EntityManager } from 'typeorm';
import { closeAll, openDataSource } from './support/host';

afterAll(closeAll);

/** A table with columns that could hold NaN or infinity, and its constraint on them. */
interface Numeric {
  table: string;
  columns: string[];
  constraint: string | null;
}

let dataSource: DataSource;
let tables: Numeric[];

beforeAll(async () => {
  dataSource = await openDataSource();
  // From the catalog, so that a new column can't be forgotten.
  tables = await dataSource.query(
    `SELECT c.relname AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns, (
       SELECT pg_get_constraintdef(o.oid) FROM pg_constraint o
       WHERE o.conrelid = c.oid AND o.conname = 'ck_' || c.relname || '_finite'
     ) AS constraint
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind = 'r' AND c.relname ~ '^referral'
       AND a.atttypid IN ('numeric'::regtype, 'real'::regtype, 'double precision'::regtype)
     GROUP BY c.oid, c.relname ORDER BY 1`,
    [(dataSource.options as { schema: string }).schema],
  );
});

/** What PostgreSQL answers to a statement, which is undone. */
async function answerOf(manager: EntityManager, statement: string): Promise<string> {
  const answer = manager.transaction(async (within) => {
    await within.query(statement);
    throw new Error('taken');
  });
  return answer.catch((error: Error & { code?: string }) => error.code ?? error.message);
}

test('every numeric column of every table refuses NaN and infinity by its constraint', async () => {
  expect(tables.length).toBeGreaterThanOrEqual(15);
  for (const { table, columns, constraint } of tables) {
    await dataSource.transaction(async (manager) => {
      // A table with this constraint alone, and without the scale, which refuses infinity before it is checked.
      const types = columns.map((column) => `"${column}" numeric`).join(', ');
      await manager.query(`CREATE TEMP TABLE alone (${types}, CONSTRAINT finite ${constraint}) ON COMMIT DROP`);
      for (const column of columns) {
        const answer = (value: string): Promise<string> =>
          answerOf(manager, `INSERT INTO alone ("${column}") VALUES (${value})`);
        const answers: string[] = [];
        for (const value of [`'NaN'`, `'Infinity'`, `'-Infinity'`, '-1e20', '0', 'NULL'])
          answers.push(await answer(value));
        expect([table, column, ...answers]).toEqual([
          table,
          column,
          '23514',
          '23514',
          '23514',
          'taken',
          'taken',
          'taken',
        ]);
      }
    });
  }
});

test('a scale refuses infinity, not NaN', async () => {
  const answers = ['NaN', 'Infinity', '-Infinity'].map((value) =>
    answerOf(dataSource.manager, `SELECT '${value}'::numeric(20,4)`),
  );
  expect(await Promise.all(answers)).toEqual(['taken', '22003', '22003']);
});
