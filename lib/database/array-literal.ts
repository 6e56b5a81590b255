type Element = string | number | boolean | Date | null;

/**
 * Returns the text of a PostgreSQL array of one dimension, as a parameter. `pg` writes arrays too, in several times the
 * time.
 *
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function arrayLiteral(values: readonly Element[]): string {
  let text = '';
  for (const value of values) text += `${text === '' ? '{' : ','}${element(value)}`;
  return text === '' ? '{}' : `${text}}`;
}

const special = /["\\]/;

function element(value: Element): string | number | boolean {
  if (value === null) return 'NULL';
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'string') return `"${value.toISOString()}"`;
  return `"${special.test(value) ? value.replace(/["\\]/g, '\\$&') : value}"`;
}
