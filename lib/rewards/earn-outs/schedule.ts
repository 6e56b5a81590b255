/**
 * SQL for the begin of the current period of an account. Periods follow each other from the time that the account was
 * created: so a run that is late in one period does not delay the next ones. `period` is their length in milliseconds.
 */
export function periodStart(account: string, now: string, period: string): string {
  return `(${account}.created_at + floor(extract(epoch FROM ${now} - ${account}.created_at) * 1000 / ${period}::float8)
    * ${period}::float8 * interval '1 millisecond')`;
}
