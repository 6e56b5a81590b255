// The shop counts in whole cents, the package's ledger in decimal strings. No way between them is through a float.

/** `1050` as `'10.50'`. */
export function decimalOf(cents: number): string {
  const digits = String(cents).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** `'10.50'` as `1050`. The ledger could hold fractions of a cent, but nobody can pay them: refused, not rounded. */
export function centsOf(decimal: string): number {
  if (!/^\d+\.\d\d$/.test(decimal)) throw new Error(`${decimal} is no amount in whole cents.`);
  return Number(decimal.replace('.', ''));
}
