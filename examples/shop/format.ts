// Formats for templates, which find them in `app.locals`.

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const minutes = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export const money = (cents: number): string => euros.format(cents / 100);

/** Formats an amount of the ledger, like {@link money}. `Intl` formats a decimal string exactly, without a float. */
export const credit = (decimal: string): string => euros.format(decimal as `${number}`);

export const time = (date: Date): string => `${minutes.format(date)} UTC`;
