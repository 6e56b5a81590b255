import { dayMs } from '../../../limits';

/**
 * Returns the time at which a day, `'2026-03-29'`, begins in a time zone, or the day that is so many days later. Null for what
 * is no day of the years 1 to 9998.
 */
export function startOfDay(day: string, timeZone: string, daysLater = 0): Date | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(day) || day < '0002' || day > '9998') return null;
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return null;
  const local = midnight.getTime() + daysLater * dayMs;
  // The offset at midnight of UTC is that of the day's begin, unless it changes between the two: then it is asked again.
  const guess = local - offsetAt(local, timeZone);
  return new Date(local - offsetAt(guess, timeZone));
}

/** How far the clocks of a time zone are ahead of UTC, in milliseconds. */
function offsetAt(time: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric', era: 'short' },
  }).formatToParts(time);
  const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.find((one) => one.type === type)!.value);
  const local = new Date(0);
  local.setUTCFullYear(part('year'), part('month') - 1, part('day'));
  local.setUTCHours(part('hour'), part('minute'), part('second'));
  return local.getTime() - Math.floor(time / 1000) * 1000;
}
