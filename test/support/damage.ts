import type { EntityManager } from 'typeorm';
import type { Verification } from '../../lib';
import type { Host } from './host';

/** One change of one row by SQL. */
export interface Damage {
  table: string;
  /** The column; null for the deletion of the row. */
  column: string | null;
  change: string;
  /** The row before, with values as text. */
  row: Record<string, string | null>;
  sql: string;
}

/** For each type, what a value can become. */
const changes: Record<string, readonly string[]> = {
  'numeric': [`@ + 1`, `'NaN'`],
  'integer': [`@ + 1`],
  'bigint': [`@ + 1`],
  'timestamp with time zone': [`@ + interval '1 day'`],
  'character varying': [`CASE length(@) WHEN 3 THEN 'XTS' ELSE left(@, 7) || 'x' END`],
  'boolean': [`NOT @`],
};

/** Runs work without constraints, foreign keys and triggers on the tables, in a transaction that is rolled back. */
export async function unguarded(host: Host, work: (manager: EntityManager) => Promise<void>): Promise<void> {
  const { schema } = host.dataSource.options as { schema: string };
  const over = new Error('as it was');
  const rolledBack = host.dataSource.transaction(async (manager) => {
    await manager.query('SET LOCAL session_replication_role = replica');
    const drops = await manager.query<{ sql: string }[]>(
      `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname) AS sql FROM pg_constraint
       WHERE connamespace = quote_ident($1)::regnamespace AND contype IN ('c', 'f', 'u', 'p')
       ORDER BY contype
      `,
      [schema],
    );
    const frees = await manager.query<{ sql: string }[]>(
      `SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', c.oid::regclass, a.attname) AS sql
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attnotnull
         AND NOT a.attisdropped AND a.attidentity = ''`,
      [schema],
    );
    const indexes = await manager.query<{ sql: string }[]>(
      `SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS sql FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
       WHERE c.relnamespace = quote_ident($1)::regnamespace AND i.indisunique AND NOT i.indisprimary`,
      [schema],
    );
    for (const { sql } of [...drops, ...frees, ...indexes]) await manager.query(sql);
    await work(manager);
    throw over;
  });
  await rolledBack.catch((error: unknown) => {
    if (error !== over) throw error;
  });
}

/** What `verify` says after a change, which is undone. */
export async function afterwards(host: Host, manager: EntityManager, sql: string): Promise<Verification> {
  let found: Verification | undefined;
  const undone = new Error('undone');
  const undoing = manager.transaction(async (within) => {
    await within.query(sql);
    found = await host.referrals.verify({ manager: within });
    throw undone;
  });
  await undoing.catch((error: unknown) => {
    if (error !== undone) throw error;
  });
  return found!;
}

/** Every change of every column of every row of the tables, and the deletion of every row. */
export async function everyDamage(
  manager: EntityManager,
  schema: string,
  tables: readonly string[],
): Promise<Damage[]> {
  const damages: Damage[] = [];
  for (const table of tables) {
    const columns = await manager.query<{ name: string; type: string; isIdentity: boolean }[]>(
      `SELECT column_name AS name, data_type AS type, is_identity = 'YES' AS "isIdentity"
       FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position`,
      [schema, table],
    );
    const texts = columns.map(({ name }) => `"${name}"::text`).join(', ');
    const rows = await manager.query<(Damage['row'] & { ctid: string })[]>(
      `SELECT ctid::text, ${texts} FROM "${schema}".${table} ORDER BY ctid`,
    );
    for (const { ctid, ...row } of rows) {
      const where = `WHERE ctid = '${ctid}'`;
      damages.push({ table, column: null, change: 'deleted', row, sql: `DELETE FROM "${schema}".${table} ${where}` });
      for (const { name: column, type, isIdentity } of columns) {
        if (isIdentity) continue; // PostgreSQL refuses an update
        const made = (changes[type] ?? []).map((change) => change.replaceAll('@', `"${column}"`));
        for (const change of row[column] === null ? [] : made) {
          const sql = `UPDATE "${schema}".${table} SET "${column}" = ${change} ${where}`;
          damages.push({ table, column, change, row, sql });
        }
      }
    }
  }
  return damages;
}
