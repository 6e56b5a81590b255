import { LRUCache } from 'lru-cache';
import { digitsOf } from '../../currency';
import { formatAmount } from '../../format-amount';
import { dayMs } from '../../limits';
import type { Amount } from '../../types/common';
import type { View } from './view';

type Place = Pick<View, 'locale' | 'timeZone'>;

/** How much of a time is shown. */
export type Shown = 'day' | 'time' | 'short-day' | 'month';

const styles: Readonly<Record<Shown, Intl.DateTimeFormatOptions>> = {
  'day': { dateStyle: 'medium' },
  'time': { dateStyle: 'medium', timeStyle: 'short' },
  'short-day': { day: 'numeric', month: 'short' },
  'month': { month: 'short', year: 'numeric' },
};

// An object of Intl takes 50 µs to make, and visitors choose locales.
const dates = new LRUCache<string, Intl.DateTimeFormat>({ max: 200 });
const numbers = new LRUCache<string, Intl.NumberFormat>({ max: 200 });
const relatives = new LRUCache<string, Intl.RelativeTimeFormat>({ max: 50 });

function kept<T extends object>(cache: LRUCache<string, T>, key: string, make: () => T): T {
  const found = cache.get(key);
  if (found) return found;
  const made = make();
  cache.set(key, made);
  return made;
}

/** Writes a time as the reader does, in the view's time zone. */
export function formatTime({ locale, timeZone }: Place, time: Date, shown: Shown = 'time'): string {
  const key = `${locale} ${timeZone} ${shown}`;
  return kept(dates, key, () => new Intl.DateTimeFormat([locale, 'en'], { ...styles[shown], timeZone })).format(time);
}

/** Writes a calendar day, `'2026-03-01'`, which is of no time zone. */
export function formatDay({ locale }: Place, day: string, shown: Shown = 'day'): string {
  return formatTime({ locale, timeZone: 'UTC' }, new Date(`${day}T00:00:00Z`), shown);
}

/** Writes a whole number. */
export function formatNumber({ locale }: Place, value: number | bigint): string {
  return kept(numbers, locale, () => new Intl.NumberFormat([locale, 'en'])).format(value);
}

/** Writes a share, such as 0.125, as a percentage with at most one decimal. */
export function formatShare({ locale }: Place, share: number): string {
  const options = { style: 'percent', maximumFractionDigits: 1 } as const;
  return kept(numbers, `${locale} %`, () => new Intl.NumberFormat([locale, 'en'], options)).format(share);
}

/** Writes an amount in a currency; default: the program's. */
export function formatMoney(view: Place & Pick<View, 'currency'>, amount: Amount, currency = view.currency): string {
  return formatAmount(amount, view.locale, currency);
}

/** Writes an amount of the program's currency within a sentence: a whole one without decimals. */
export function formatShortMoney({ locale, currency }: Place & Pick<View, 'currency'>, amount: Amount): string {
  const options = {
    style: 'currency',
    currency,
    maximumFractionDigits: 20,
    trailingZeroDisplay: 'stripIfInteger',
  } as const;
  const format = kept(numbers, `${locale} ${currency}`, () => {
    const digits = digitsOf(currency);
    return new Intl.NumberFormat([locale, 'en'], { ...options, minimumFractionDigits: digits });
  });
  return format.format(String(amount) as `${number}`);
}

/** Times that are further away than this say their date alone. */
const relativeMs = 30 * dayMs;

const units: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, ms: number])[] = [
  ['day', dayMs],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 0], // now
];

/** Writes how far away a time is, such as "in 3 days"; null for one that is further away than 30 days. */
export function formatRelative({ locale, now }: Pick<View, 'locale' | 'now'>, time: Date): string | null {
  const distance = time.getTime() - now.getTime();
  if (Math.abs(distance) > relativeMs) return null;
  const format = kept(relatives, locale, () => new Intl.RelativeTimeFormat([locale, 'en'], { numeric: 'auto' }));
  const [unit, ms] = units.find(([, length]) => Math.abs(distance) >= length)!;
  return format.format(ms === 0 ? 0 : Math.trunc(distance / ms), unit);
}
