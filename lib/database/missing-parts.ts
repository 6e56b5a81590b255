import type { EntityMetadata } from 'typeorm';
import { entityOf } from '../entities';
import type { Mapping } from './mapping';
import { type Query, sql } from './named-parameters';

type Kind = 'table' | 'column' | 'index' | 'constraint';

/** A part of the schema: a table, or what it has by this name. */
interface Part {
  readonly kind: Kind;
  /** Quoted, and with the host's schema. */
  readonly table: string;
  readonly name: string;
}

/** Returns a query for the parts that the package's tables have, as `present`, beside what `select` names. */
export function presentParts({ tables }: Mapping, select: string): Query {
  return sql(
    { tables: Object.values(tables) },
    ($) => `
    WITH
    t AS (SELECT quoted, to_regclass(quoted) AS id FROM unnest(${$.tables}::text[]) AS given (quoted)),
    present AS (
      SELECT 'table' AS kind, quoted, quoted AS name FROM t WHERE id IS NOT NULL
      UNION ALL SELECT 'column', quoted, a.attname FROM t JOIN pg_attribute a ON a.attrelid = t.id AND NOT a.attisdropped
      UNION ALL SELECT 'index', quoted, c.relname
      FROM t JOIN pg_index i ON i.indrelid = t.id AND i.indisvalid JOIN pg_class c ON c.oid = i.indexrelid
      UNION ALL SELECT 'constraint', quoted, c.conname FROM t JOIN pg_constraint c ON c.conrelid = t.id
    )
    SELECT ${select}, array(SELECT concat_ws(' ', kind, quoted, name) FROM present) AS present`,
  );
}

/**
 * Returns what the migrations would have made, and is missing: tables, columns, indexes and constraints, by the names in
 * TypeORM's metadata. The host's `synchronize: true` alone does not make all of it. A missing table is listed without its
 * parts.
 */
export function missingParts(mapping: Mapping, present: readonly string[]): string[] {
  const there = new Set(present);
  const isThere = ({ kind, table, name }: Part): boolean => there.has(`${kind} ${table} ${name}`);
  return Object.values(entityOf)
    .map((entity) => partsOf(mapping.dataSource.getMetadata(entity), mapping.table(entity)))
    .flatMap(([table, ...parts]) =>
      isThere(table)
        ? parts.filter((part) => !isThere(part)).map((part) => `the ${part.kind} ${part.name} of ${part.table}`)
        : `the table ${table.table}`,
    );
}

/** A table, and its parts. */
function partsOf(metadata: EntityMetadata, table: string): [Part, ...Part[]] {
  const { columns, primaryColumns, indices, checks, foreignKeys } = metadata;
  const parts = (kind: Kind, names: readonly string[]): Part[] => names.map((name) => ({ kind, table, name }));
  return [
    { kind: 'table', table, name: table },
    ...parts(
      'column',
      columns.map(({ databaseName }) => databaseName),
    ),
    ...parts(
      'index',
      indices.map(({ name }) => name),
    ),
    ...parts('constraint', [
      primaryColumns[0]!.primaryKeyConstraintName!,
      ...[...checks, ...foreignKeys].map(({ name }) => name),
    ]),
  ];
}
