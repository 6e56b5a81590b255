import { aCurrency, digitsOf, isCurrency } from './currency';
import { invalid } from './errors';
import { numeralOf } from './input';
import type { Amount } from './types/common';

/** Amounts and sums of them, of any length that somebody reads. `Intl` shows at most 20 decimals. */
const pattern = /^[+-]?\d{1,100}(\.\d{1,20})?$/;

/**
 * Formats an amount for pages and mails, as people of a locale write it. It computes with no float, and rounds nothing:
 * the result has the decimals of the currency (ISO 4217), and more where the amount has more. Spaces in it are often
 * no-break spaces, U+00A0 or U+202F. A locale that Node.js has no data for is shown as English, on every machine.
 *
 * @param amount A decimal string, as records have it, a finite number or a bigint.
 * @param locale A language tag of BCP 47, such as `'de'` or `'en-IN'`.
 * @param currency A code of ISO 4217, such as `'EUR'`.
 *
 * @example
 * formatAmount('1234.5', 'de', 'EUR'); // '1.234,50 €'
 * formatAmount(purchase.originalAmount, 'en', purchase.currency); // '¥1,999'
 *
 * @throws ReferralError `INVALID_INPUT` naming the field.
 */
export function formatAmount(amount: Amount, locale: string, currency: string): string {
  const numeral = numeralOf(amount);
  if (!pattern.test(numeral))
    throw invalid(
      'amount',
      'a decimal string such as "12.50", or a finite number, with at most 100 digits before the point and 20 after',
      amount,
    );
  if (!isLocale(locale)) throw invalid('locale', 'a language tag of BCP 47, such as "en" or "de-AT"', locale);
  if (!isCurrency(currency)) throw invalid('currency', aCurrency, currency);
  return new Intl.NumberFormat([locale, 'en'], {
    ...{ style: 'currency', currency, signDisplay: 'negative' },
    ...{ minimumFractionDigits: digitsOf(currency), maximumFractionDigits: 20 },
  }).format(numeral as `${number}`);
}

function isLocale(locale: unknown): boolean {
  try {
    return typeof locale === 'string' && Intl.getCanonicalLocales(locale).length === 1;
  } catch {
    return false;
  }
}
