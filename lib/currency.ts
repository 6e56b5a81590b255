import { currencies } from 'countries-list/currencies';

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

/**
 * The decimals of each currency of ISO 4217, as the package `countries-list` generates them from the list of the standard's
 * agency. It is kept up to date, typed, and without dependencies; this module of it has 24 kB. The list of
 * `currency-codes` is older, without XCG and XAD. `Intl` is no such list: it follows CLDR, which lacks funds codes such as
 * CLF, and V8 gives forints, rupiahs and other currencies without small coins no decimals.
 */
const listed: ReadonlyMap<unknown, number> = new Map(
  Object.entries(currencies).map(([code, { decimals }]) => [code, decimals]),
);

/**
 * The codes of ISO 4217 that have no minor unit (`N.A.`): metals, units of account, and codes for tests and for no
 * currency. `countries-list` has 0 decimals for them, as for yen.
 */
const withoutMinorUnit: ReadonlySet<unknown> = new Set([
  ...['XAG', 'XAU', 'XPD', 'XPT'],
  ...['XBA', 'XBB', 'XBC', 'XBD', 'XDR', 'XSU', 'XUA'],
  ...['XTS', 'XXX'],
]);

/** Has former currencies too, such as BGN, which ISO 4217 no longer lists: what was bought in the past can be recorded. */
const known: ReadonlySet<unknown> = new Set(Intl.supportedValuesOf('currency'));

/** What {@link isCurrency} tests, as errors say it. */
export const aCurrency =
  "a code of ISO 4217 in capitals, such as 'USD', 'EUR' or 'JPY', whose currency has a minor unit to round to " +
  '(metals such as XAU, and XDR, XTS or XXX, have none)';

export function isCurrency(code: unknown): code is string {
  return (listed.has(code) || known.has(code)) && !withoutMinorUnit.has(code);
}

/**
 * Returns how many decimals the minor unit of a currency has. Rows can be in a currency that a later list of ISO 4217
 * does not have, so it returns a number for every code.
 */
export function digitsOf(code: string): number {
  return (
    listed.get(code) ??
    new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions().maximumFractionDigits!
  );
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
