// The shop stores amounts in whole cents. The package returns them as decimal strings. Neither conversion uses a float.

/** Converts `1050` to `'10.50'`. */
export function decimalOf(cents: number): string {
  const digits = String(cents).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** Converts `'10.50'` to `1050`. Throws for a fraction of a cent, which the ledger can hold but nobody can pay. */
export function centsOf(decimal: string): number {
  if (!/^\d+\.\d\d$/.test(decimal)) throw new Error(`${decimal} is no amount in whole cents.`);
  return Number(decimal.replace('.', ''));
}
