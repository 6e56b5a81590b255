import type { EntityManager, EntityMetadata } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { entityOf } from '../../entities';
import type { Invariant } from './invariant';

type TableName = keyof Database['tables'];

/** What holds no books: responses, whose rows may be deleted, what is counted of them, and whose they are; and names. */
const isNoBook = new Set<string>(['responses', 'dailyCounts', 'visitorClicks', 'visitors', 'aliases', 'refusals']);

/** The tables that hold books: those whose rows are checked. */
export const books = (Object.keys(entityOf) as TableName[]).filter((name) => !isNoBook.has(name));

/** References that a pass of another subject follows already. */
const followed = new Set([
  ...['fk_referral_credit_transactions_credit', 'fk_referral_credits_type', 'fk_referral_signups_referral'],
  ...['fk_referral_refunds_purchase', 'fk_referral_commission_entries_commission'],
]);

/**
 * The constraints of all tables, from the metadata of the entities. PostgreSQL keeps a CHECK, a NOT NULL and a unique
 * index as long as they exist, so that only the rows of tables that have lost one are read. It does not keep a foreign
 * key while triggers are off (`session_replication_role`), so those are always followed.
 */
export async function constraintInvariants(database: Database, manager: EntityManager): Promise<Invariant[]> {
  const inPlace = await constraintsInPlace(database, manager);
  return books.flatMap((name) => {
    const metadata = database.dataSource.getMetadata(entityOf[name]);
    return [
      ...keysOf(metadata)
        .filter((key) => !inPlace.has(key.name))
        .map((key) => uniqueInvariant(database, name, key)),
      ...metadata.checks
        .filter((check) => !inPlace.has(check.name))
        .map((check): Invariant => {
          const from = `FROM ${database.tables[name]} WHERE NOT (${check.expression})`;
          return {
            ...{ name: 'every row keeps the constraints of its table', table: name },
            sql: `SELECT ${idOf(metadata)} AS id, '${check.name}' AS expected, NULL AS found ${from}`,
          };
        }),
      ...requiredInvariants(database, name, inPlace),
      ...metadata.foreignKeys
        .filter((key) => !followed.has(key.name))
        .map((key) => referenceInvariant(database, name, key)),
    ];
  });
}

/**
 * The names of the constraints and unique indexes that PostgreSQL keeps for every row, and the columns with NOT NULL. Since
 * PostgreSQL 18, NOT NULL may be not validated too.
 */
async function constraintsInPlace(database: Database, manager: EntityManager): Promise<Set<string>> {
  const tables = Object.values(database.tables);
  const rows = await database.query<{ name: string }>(
    sql(
      { tables },
      // Cast to text: `name` would cut a table with its column off after 63 bytes.
      ($) => `
      WITH t AS (SELECT quoted, quoted::regclass AS id FROM unnest(${$.tables}::text[]) AS given (quoted))
      SELECT conname::text AS name FROM t JOIN pg_constraint ON conrelid = t.id AND contype = 'c' AND convalidated
      UNION ALL SELECT c.relname::text FROM t
      JOIN pg_index i ON i.indrelid = t.id AND i.indisunique AND i.indisvalid JOIN pg_class c ON c.oid = i.indexrelid
      UNION ALL SELECT quoted || '.' || a.attname FROM t
      JOIN pg_attribute a ON a.attrelid = t.id AND a.attnotnull AND a.attnum > 0
      WHERE NOT EXISTS (SELECT FROM pg_constraint n
        WHERE n.conrelid = t.id AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated)`,
    ),
    manager,
  );
  return new Set(rows.map(({ name }) => name));
}

function requiredInvariants(database: Database, table: TableName, inPlace: ReadonlySet<string>): Invariant[] {
  const metadata = database.dataSource.getMetadata(entityOf[table]);
  const missing = metadata.columns
    .filter(({ isNullable }) => !isNullable)
    .map(({ databaseName }) => databaseName)
    .filter((column) => !inPlace.has(`${database.tables[table]}.${column}`));
  return missing.map((column) => ({
    ...{ name: 'every value that a row needs is there', table },
    sql: `SELECT ${idOf(metadata)} AS id, '${column}' AS expected, NULL AS found
      FROM ${database.tables[table]} WHERE ${column} IS NULL`,
  }));
}

interface Key {
  name: string;
  columns: string[];
  where: string | undefined;
}

/** The primary key and the unique indexes of an entity. */
function keysOf(metadata: EntityMetadata): Key[] {
  const names = (columns: EntityMetadata['columns']): string[] => columns.map(({ databaseName }) => databaseName);
  const [{ primaryKeyConstraintName }] = metadata.primaryColumns as [EntityMetadata['columns'][number]];
  return [
    { name: primaryKeyConstraintName!, columns: names(metadata.primaryColumns), where: undefined },
    ...metadata.indices
      .filter((index) => index.isUnique && index.columns.length > 0)
      .map((index) => ({ name: index.name, columns: names(index.columns), where: index.where })),
  ];
}

/** SQL for the id of a row; in a table without ids, for the text of its primary key. */
function idOf({ columns, primaryColumns }: EntityMetadata, alias = ''): string {
  const id = columns.find(({ databaseName }) => databaseName === 'id');
  return id ? `${alias}id` : primaryColumns.map(({ databaseName }) => `${alias}${databaseName}`).join(` || '/' || `);
}

const uniqueNames: Partial<Record<string, string>> = {
  pk_referral_signups: 'one sign-up a user',
  pk_referral_credit_spends: 'one spend a reference of a user',
};

function uniqueInvariant(database: Database, table: TableName, { name, columns, where }: Key): Invariant {
  const metadata = database.dataSource.getMetadata(entityOf[table]);
  const id = metadata.columns.some(({ databaseName }) => databaseName === 'id')
    ? 'max(id)'
    : columns.join(` || '/' || `);
  return {
    ...{ name: uniqueNames[name] ?? 'every key is unique', table },
    sql: `SELECT ${id} AS id, '1' AS expected, count(*) AS found FROM ${database.tables[table]}
      ${where === undefined ? '' : `WHERE ${where}`} GROUP BY ${columns.join(', ')} HAVING count(*) > 1`,
  };
}

function referenceInvariant(
  database: Database,
  table: TableName,
  key: EntityMetadata['foreignKeys'][number],
): Invariant {
  const pairs = key.columns.map(({ databaseName }, index) => [
    databaseName,
    key.referencedColumns[index]!.databaseName,
  ]);
  const parent = database.table(key.referencedEntityMetadata.target as new () => object);
  const [[column], [, referenced]] = [pairs[0]!, pairs[0]!];
  return {
    ...{ name: 'every reference leads to a row', table },
    sql: `SELECT ${idOf(key.entityMetadata, 'c.')} AS id, c.${column} AS expected, NULL AS found
      FROM ${database.tables[table]} c
      LEFT JOIN ${parent} p ON ${pairs.map(([child, of]) => `p.${of} = c.${child}`).join(' AND ')}
      WHERE ${pairs.map(([child]) => `c.${child} IS NOT NULL`).join(' AND ')} AND p.${referenced} IS NULL`,
  };
}
