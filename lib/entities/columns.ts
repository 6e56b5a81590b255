import type { ValueTransformer } from 'typeorm';

/**
 * The driver returns `bigint` as a string. The package uses `bigint` for ids and counts, far below 2^53, so entities
 * have them as numbers.
 */
export const bigintAsNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
};

/**
 * Formats an amount from the database: at least two decimals, and no zeros after the second, as in `'25.00'` and
 * `'0.125'`. The result is a string, because a float can't represent every `numeric`. The argument is a number if the
 * host has made its driver parse `numeric` as a float and loads the entity through TypeORM.
 */
export function shownAmount(kept: string | number): string {
  const [whole, decimals = ''] = String(kept).split('.');
  return `${whole}.${decimals.replace(/0+$/, '').padEnd(2, '0')}`;
}

/** The options of a column of type `numeric(20,4)`, which an entity has as a decimal string. */
export const amountColumn = {
  type: 'numeric',
  precision: 20,
  scale: 4,
  transformer: {
    to: (value: unknown) => value,
    from: (value: string | number | null) => (value === null ? null : shownAmount(value)),
  },
} as const;

/**
 * The transformer of a time that can be `infinity` in the database, which an entity has as null. The drivers have it as a
 * number; a parser of the host's may have made an invalid Date of it.
 */
export const openTime = {
  to: (value: unknown) => value,
  from: (value: unknown) =>
    value === Infinity || value === 'infinity' || (value instanceof Date && Number.isNaN(value.getTime()))
      ? null
      : value,
};

/**
 * SQL of a CHECK constraint: columns of type `numeric` hold neither NaN nor an infinity. An entity has one such
 * constraint on all its amounts. NaN counts as greater than all numbers, so that `>= 0` lets it in.
 */
export function finite(...columns: readonly string[]): string {
  return columns.map((column) => `abs("${column}") < 'Infinity'`).join(' AND ');
}
