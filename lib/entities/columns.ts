import type { ValueTransformer } from 'typeorm';
import { type Currency, digitsOf, shownAmount, shownRatio } from '../currency';

/**
 * The driver returns `bigint` as a string. The package uses `bigint` for ids and counts, far below 2^53, so entities
 * have them as numbers.
 */
export const bigintAsNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | null) => (value === null ? null : Number(value)),
};

const amount: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | number | null) => (value === null ? null : shownRatio(value)),
};

const ratio: ValueTransformer = { ...amount };
const discount: ValueTransformer = { ...amount };
const original: ValueTransformer = { ...amount };

/** The options of a column of type `numeric(20,4)`, which an entity has as a decimal string. */
export const amountColumn = { type: 'numeric', precision: 20, scale: 4, transformer: amount } as const;

/** The same for a share, such as a rate of commissions, which has no currency. */
export const ratioColumn = { ...amountColumn, transformer: ratio } as const;

/** The same for the discount of a channel, which is an amount or a share, as the property `promoType` says. */
export const discountColumn = { ...amountColumn, transformer: discount } as const;

/** The same for an amount in the currency that the property `currency` names; null if that is the program's. */
export const originalAmountColumn = { ...amountColumn, nullable: true, transformer: original } as const;

/** A rate of exchange, such as 0.0067 dollars for a yen. */
export const exchangeRateColumn = { ...ratioColumn, precision: 38, scale: 20, nullable: true } as const;

/**
 * Returns a function that formats the amounts of a loaded entity as those of a currency. A transformer does not know the
 * DataSource of the entity, and two of them can have different currencies. So it formats amounts as most currencies have
 * them, with two decimals; and there is nothing to do for those, unless the entity has an amount in a currency of its own.
 */
export function currencyFormat({
  digits,
}: Currency): (entity: object, columns: readonly { propertyName: string; transformer?: unknown }[]) => void {
  return (entity, columns) => {
    const values = entity as Record<string, unknown>;
    const currency = (values['currency'] ?? null) as string | null;
    if (digits === 2 && currency === null) return;
    for (const { propertyName, transformer } of columns) {
      const isAmount = transformer === amount || (transformer === discount && values['promoType'] === 'value_off');
      const value = values[propertyName];
      if (typeof value !== 'string') continue;
      if (isAmount) values[propertyName] = shownAmount(value, digits);
      else if (transformer === original) values[propertyName] = shownAmount(value, digitsOf(currency!));
    }
  };
}

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
