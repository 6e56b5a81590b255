import { refused } from '../option-checks';
import type { Settings } from '../options';

/** The host's own field against forgery. */
export type CsrfField = NonNullable<ReturnType<Settings['csrf']>>;

/** Returns the field that the option `csrf` has returned. A token must not get into a message. */
export function csrfFieldOf(field: CsrfField | null): CsrfField | null {
  if (!field) return null;
  const { name, value } = field;
  if (typeof name === 'string' && typeof value === 'string') return { name, value };
  throw refused('csrf', 'a function that returns { name, value }, both strings, or null', field);
}
