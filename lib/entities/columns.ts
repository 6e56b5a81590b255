import type { ValueTransformer } from 'typeorm';

/** `bigint` arrives from the driver as a string; ours are identities far below 2^53 and are shown as numbers. */
export const bigintAsNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
};

/**
 * An amount as we show it: the digits that PostgreSQL keeps, with two decimals at least, and no zeros after the second:
 * `'25.00'`, `'0.125'`. Never a number: a float can't hold what `numeric` holds. (Where a host's driver parses `numeric` as a
 * float, what it loads by itself arrives as one.)
 */
export function shownAmount(kept: string | number): string {
  const [whole, decimals = ''] = String(kept).split('.');
  return `${whole}.${decimals.replace(/0+$/, '').padEnd(2, '0')}`;
}

/** `numeric(20,4)`, in and out as a decimal string. */
export const amountColumn = {
  type: 'numeric',
  precision: 20,
  scale: 4,
  transformer: {
    to: (value: unknown) => value,
    from: (value: string | number | null) => (value === null ? null : shownAmount(value)),
  },
} as const;
