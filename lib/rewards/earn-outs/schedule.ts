/**
 * When an account's current period began, in SQL: periods follow each other from the day that the account was made, so that a run
 * that is late one week is not late every week after. `every` is in milliseconds.
 */
export function periodStart(account: string, now: string, every: string): string {
  return `(${account}.created_at + floor(extract(epoch FROM ${now} - ${account}.created_at) * 1000 / ${every}::float8)
    * ${every}::float8 * interval '1 millisecond')`;
}
