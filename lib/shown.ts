/** A value as an error message shows it: short, and never the content of an object, which may be secret. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString();
  if (typeof value === 'object' && value !== null) {
    const name: unknown = value.constructor?.name;
    return `an object of ${typeof name === 'string' ? name.slice(0, 80) : 'no class'}`;
  }
  return String(value);
}
