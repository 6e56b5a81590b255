const minute = 60;
const hour = 60 * minute;

/** After the attempt of this number, a payout without a clear result is tried again after so many seconds. */
const attemptWaits = [1 * minute, 5 * minute, 30 * minute, 2 * hour, 12 * hour, 24 * hour];
/** After so many attempts without a clear result, a payout waits for the host's staff. */
export const maxAttempts = attemptWaits.length + 1;
/**
 * After the refusal of this number in a row, an account waits so many seconds for its next earn-out. A payout skips the
 * first one. A credit was refused by the host's own database, where a retry costs nothing.
 */
const refusalWaits = [0, 1 * hour, 6 * hour, 24 * hour, 72 * hour];

/** How much longer a lease lasts than the host's function may take, in milliseconds. */
export const leaseReserveMs = 5 * minute * 1000;

/** SQL: how long to wait after the attempt of a number; null after the last one. */
export function attemptWait(number: string): string {
  return waitSql(attemptWaits, number);
}

/** SQL: how long an account waits after the refusal of a number in a mode; null after the last one. */
export function refusalWait(number: string, mode: string): string {
  return waitSql(refusalWaits, `${number} + (${mode} = 'payout')::integer`);
}

/** An element outside of an array is null in SQL. */
function waitSql(seconds: readonly number[], number: string): string {
  return `((ARRAY[${seconds.join(', ')}])[${number}] * interval '1 second')`;
}
