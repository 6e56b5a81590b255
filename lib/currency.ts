/** The currency of a program. All amounts of an instance are in it, so no row says which it is. */
export interface Currency {
  /** The code of ISO 4217, such as `'USD'`. */
  readonly code: string;
  /** How many decimals its minor unit has: 2 for USD, 0 for JPY, 3 for KWD. Amounts are rounded to it. */
  readonly digits: number;
  /** How many decimals an amount of the host's may have: `digits`, or 4 where the host has named no currency. */
  readonly decimals: number;
}

/** The decimals of all columns of amounts. No currency has more. */
export const maxDecimals = 4;

/** For amounts whose currency is not known yet. */
export const anyCurrency: Pick<Currency, 'decimals'> = { decimals: maxDecimals };

const codes: ReadonlySet<unknown> = new Set(Intl.supportedValuesOf('currency'));

export function isCurrency(code: unknown): code is string {
  return codes.has(code);
}

/** Returns how many decimals the minor unit of a currency has. */
export function digitsOf(code: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions().maximumFractionDigits!;
}

/**
 * Returns the currency of a program. A host that names none has US dollars. Such a host may have counted fractions of a
 * cent ever since, so its amounts can have 4 decimals.
 */
export function currencyOf(code: string | undefined): Currency {
  const digits = digitsOf(code ?? usDollars);
  return { code: code ?? usDollars, digits, decimals: code === undefined ? maxDecimals : digits };
}

const usDollars = 'USD';

/**
 * Formats an amount from the database with at least the decimals of its currency, and no zeros after them, as in
 * `'25.00'` and `'0.125'` of US dollars, and `'25'` of yen. The result is a string, because a float can't represent every
 * `numeric`. The argument is a number if the host has made its driver parse `numeric` as a float and loads the entity
 * through TypeORM.
 */
export function shownAmount(kept: string | number, digits: number): string {
  const [whole, decimals = ''] = String(kept).split('.');
  const shown = decimals.replace(/0+$/, '').padEnd(digits, '0');
  return shown === '' ? whole! : `${whole}.${shown}`;
}

/** Formats a share, such as `'0.25'`, which is no amount of a currency: with at least two decimals. */
export function shownRatio(kept: string | number): string {
  return shownAmount(kept, 2);
}

/** The smallest amount of a currency with so many decimals, as a decimal string: `'0.01'` for 2, `'1'` for 0. */
export function minorUnitOf(digits: number): string {
  return digits === 0 ? '1' : `0.${'1'.padStart(digits, '0')}`;
}
