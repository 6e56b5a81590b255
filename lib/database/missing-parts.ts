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

/**
 * Returns a query for what the migrations would have made, and is missing, as `missing`: tables, columns, indexes and
 * constraints, by the names in TypeORM's metadata. The host's `synchronize: true` alone does not make all of it.
 *
 * @param select what the query returns beside it.
 */
export function missingParts(mapping: Mapping, select: string): Query {
  const parts = Object.values(entityOf).flatMap((entity) =>
    partsOf(mapping.dataSource.getMetadata(entity), mapping.table(entity)),
  );
  const arrays = {
    kinds: parts.map(({ kind }) => kind),
    tables: parts.map(({ table }) => table),
    names: parts.map(({ name }) => name),
  };
  return sql(
    arrays,
    ($) => `
    WITH
    parts AS (
      SELECT kind, name, place, quoted, to_regclass(quoted) AS relation
      FROM unnest(${$.kinds}::text[], ${$.tables}::text[], ${$.names}::text[]) WITH ORDINALITY AS p (kind, quoted, name, place)
    ),
    -- A missing table is listed without its parts.
    missing AS (
      SELECT place, concat_ws(' ', 'the', kind, name, CASE WHEN kind <> 'table' THEN 'of ' || quoted END) AS part
      FROM parts WHERE CASE
        WHEN kind = 'table' THEN relation IS NULL
        WHEN relation IS NULL THEN false
        WHEN kind = 'column' THEN NOT EXISTS (
          SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = parts.name AND NOT a.attisdropped)
        WHEN kind = 'index' THEN NOT EXISTS (
          SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          WHERE i.indrelid = relation AND c.relname = parts.name AND i.indisvalid)
        ELSE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = relation AND c.conname = parts.name)
      END
    )
    SELECT ${select}, array(SELECT part FROM missing ORDER BY place) AS missing`,
  );
}

function partsOf(metadata: EntityMetadata, table: string): Part[] {
  const { columns, primaryColumns, indices, checks, foreignKeys, tableName } = metadata;
  const named = (kind: Kind, names: readonly (string | undefined)[]): Part[] =>
    names.map((name) => ({ kind, table, name: name! }));
  return [
    ...named('table', [tableName]),
    ...named(
      'column',
      columns.map(({ databaseName }) => databaseName),
    ),
    ...named(
      'index',
      indices.map(({ name }) => name),
    ),
    ...named('constraint', [primaryColumns[0]!.primaryKeyConstraintName]),
    ...named(
      'constraint',
      [...checks, ...foreignKeys].map(({ name }) => name),
    ),
  ];
}
