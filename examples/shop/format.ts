/** Words for templates, as `app.locals`. */
const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const minutes = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export const money = (cents: number): string => euros.format(cents / 100);

/** As {@link money}, of what the credits' ledger answers; `Intl` reads a decimal string digit by digit. */
export const credit = (decimal: string): string => euros.format(decimal as `${number}`);

export const time = (date: Date): string => `${minutes.format(date)} UTC`;
