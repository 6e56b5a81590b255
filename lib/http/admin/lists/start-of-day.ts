import { dayMs } from '../../../limits';
import { timeOfLocal } from '../local-time';

/**
 * Returns the time at which a day, `'2026-03-29'`, begins in a time zone, or the day that is so many days later. Null for what
 * is no day of the years 2 to 9997.
 */
export function startOfDay(day: string, timeZone: string, daysLater = 0): Date | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(day) || day < '0002' || day > '9998') return null;
  const midnight = timeOfLocal(day, 'UTC');
  if (Number.isNaN(midnight.getTime())) return null;
  return timeOfLocal(new Date(midnight.getTime() + daysLater * dayMs).toISOString().slice(0, 10), timeZone);
}
