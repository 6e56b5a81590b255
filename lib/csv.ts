/** What a cell of a CSV file is made of. A time is written as ISO 8601; null and undefined are empty. */
export type CsvValue = string | number | bigint | boolean | Date | null | undefined;

/**
 * What spreadsheets may take for a formula: also the wide forms of the signs, and what is left of a sign behind a tab or a
 * line break.
 */
const formula = /^[=+\-@\t\r\n＝＋－＠]/;
const plainNumber = /^-\d+(\.\d+)?$/;

/**
 * Returns a cell as RFC 4180 writes it. A text that a spreadsheet would take for a formula begins with an apostrophe, so
 * that it is shown and not computed: it may come from a visitor. A plain negative number stays one.
 */
export function csvCell(value: CsvValue): string {
  const text = value instanceof Date ? value.toISOString() : String(value ?? '');
  const safe = typeof value === 'string' && formula.test(text) && !plainNumber.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
