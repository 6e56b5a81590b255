/** Words for templates, as `app.locals`. */
const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const minutes = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export const money = (cents: number): string => euros.format(cents / 100);

export const time = (date: Date): string => `${minutes.format(date)} UTC`;
