/** How many characters of a text from outside a message has at most. */
const maxShown = 100;

/**
 * What a terminal, a log or a page would not show as it is: control characters (C0, C1), characters that change the
 * direction of text or have no width, line and paragraph separators, and lone surrogates.
 */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u;

/**
 * Returns a text from outside as a message has it: one line, without characters that could change how the message is
 * shown, and not longer than 100 characters. Every text that comes from outside goes through this function.
 */
export function escaped(text: string): string {
  let shown = '';
  for (const character of text) {
    const next = /["\\]/.test(character) ? `\\${character}` : unseen.test(character) ? codeOf(character) : character;
    if (shown.length + next.length > maxShown) return `${shown}…`;
    shown += next;
  }
  return shown;
}

function codeOf(character: string): string {
  const digits = character.codePointAt(0)!.toString(16);
  return digits.length > 4 ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`;
}

/** Returns a text from outside in quotation marks, {@link escaped}. */
export function quoted(text: string): string {
  return `"${escaped(text)}"`;
}

/** Returns a value as a message shows it: short, and never the content of an object, which may be secret. */
export function show(value: unknown): string {
  try {
    if (typeof value === 'string') return quoted(value);
    if (typeof value === 'function') return nameOf(value) === null ? 'a function' : `the function ${nameOf(value)}`;
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString();
    if (typeof value === 'object' && value !== null)
      return classOf(value) === null ? 'an object' : `an object of the class ${classOf(value)}`;
    return escaped(String(value));
  } catch {
    return 'a value that can’t be read';
  }
}

/** Returns an e-mail address as somebody recognises it who knows it: `a***@example.com`. */
export function masked(email: string): string {
  const [first] = email;
  return `${first}***${email.slice(email.lastIndexOf('@'))}`;
}

/** Describes a value of which not even a part may be shown, such as a password: its type and length. */
export function describe(value: unknown): string {
  try {
    if (typeof value === 'string') return `a string of ${value.length} characters`;
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (value === null || value === undefined) return String(value);
    return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
  } catch {
    return 'a value that can’t be read';
  }
}

/** The name of an object's class. Its own property `constructor` may come from a request. */
function classOf(value: object): string | null {
  const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null;
  return prototype === null ? null : nameOf(prototype.constructor);
}

function nameOf(value: unknown): string | null {
  const name: unknown = typeof value === 'function' ? value.name : undefined;
  return typeof name === 'string' && name !== '' ? quoted(name) : null;
}
