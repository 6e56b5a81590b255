/**
 * SQL: the start of the current period of an account. The first period starts when the account is created, and each
 * lasts `period` milliseconds. So a run that is late in one period does not delay the next periods.
 */
export function periodStart(account: string, now: string, period: string): string {
  return `(${account}.created_at + ${periods('floor', account, now, period)})`;
}

/** SQL: the end of the current period of an account, which is the start of the next one. */
export function periodEnd(account: string, now: string, period: string): string {
  return `(${account}.created_at + ${periods('1 + floor', account, now, period)})`;
}

function periods(count: string, account: string, now: string, period: string): string {
  return `(${count}(extract(epoch FROM ${now} - ${account}.created_at) * 1000 / ${period}::float8))
    * ${period}::float8 * interval '1 millisecond'`;
}
