import { trimmed } from '../../../input';
import { isLocalTime, localOfTime, timeOfLocal } from '../local-time';
import type { Action, Field, Input } from './action';

/** What was typed into a form, by the names of its fields. */
export type Typed = Readonly<Record<string, string>>;

/** How the reader writes numbers and times. */
interface Place {
  readonly locale: string;
  readonly timeZone: string;
}

/** Before the name of a field: what the form showed in it at first. */
export const shownBefore = 'was.';

/** Reads the fields of an action from a body or a query. A field that was sent several times has a line for each. */
export function typedOf(action: Action, sent: Readonly<Record<string, unknown>>): Typed {
  const names = ['reason', ...action.fields.flatMap(({ name }) => [name, `${shownBefore}${name}`])];
  return Object.fromEntries(names.flatMap((name) => (name in sent ? [[name, textOf(sent[name])]] : [])));
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  return typeof value === 'string' ? value.replaceAll('\r\n', '\n') : typeof value === 'number' ? String(value) : '';
}

/**
 * Returns what the call gets. What can't be read as a value of its kind is passed on as it was typed, so that the call
 * refuses it.
 */
export function inputOf(action: Action, typed: Typed, place: Place): Input {
  const input: Record<string, unknown> = {};
  for (const group of groupsOf(action.fields)) {
    const isGiven = group.fields.some((field) => !action.isChange || field.isAbout || isChanged(field, typed));
    if (!isGiven) continue;
    if (group.name === null) {
      const [field] = group.fields;
      const value = valueOf(field!, typed, place);
      const none = action.isChange && !field!.isAbout ? emptyOf(field!) : undefined;
      input[field!.name] = value ?? none;
      continue;
    }
    const values = group.fields.map((field) => [field, valueOf(field, typed, place)] as const);
    const isEmpty = values.every(([, value]) => value === undefined || value === false);
    if (!isEmpty) input[group.name] = nested(group.name, values);
    else if (action.isChange) input[group.name] = null;
  }
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

function isChanged({ name }: Field, typed: Typed): boolean {
  return (typed[name] ?? '') !== (typed[`${shownBefore}${name}`] ?? '');
}

function emptyOf({ kind, empty }: Field): unknown {
  if (empty === 'nothing') return undefined;
  return kind === 'lines' ? [] : (empty ?? null);
}

interface Group {
  /** Null for a field that is in no group. */
  name: string | null;
  fields: Field[];
}

function groupsOf(fields: readonly Field[]): Group[] {
  const groups = new Map<string, Group>();
  for (const field of fields) {
    const [first, ...rest] = field.name.split('.');
    const name = rest.length > 0 ? first! : null;
    const group = groups.get(first!) ?? { name, fields: [] };
    groups.set(first!, group);
    group.fields.push(field);
  }
  return [...groups.values()];
}

/** The object of a group; `commission.maxPerReferrer.amount` is in an object of its own in it. */
function nested(group: string, values: readonly (readonly [Field, unknown])[]): object {
  const object: Record<string, unknown> = {};
  for (const [{ name }, value] of values) {
    if (value === undefined || value === false) continue; // what a group does not say is not so
    const [last, ...path] = name
      .slice(group.length + 1)
      .split('.')
      .reverse();
    let place = object;
    for (const step of path.reverse()) place = (place[step] ??= {}) as Record<string, unknown>;
    place[last!] = value;
  }
  return object;
}

/** The value of a field; undefined for an empty one. */
function valueOf({ name, kind }: Field, typed: Typed, { locale, timeZone }: Place): unknown {
  const given = typed[name] ?? '';
  if (kind === 'flag') return given !== '';
  const text = kind === 'long-text' ? given.trim() : trimmed(given);
  if (text === '') return undefined;
  switch (kind) {
    case 'amount':
      return hasDecimalComma(locale) ? text.replace(/^([+-]?\d+),(\d+)$/, '$1.$2') : text;
    case 'whole':
    case 'id':
      return wholeOf(text);
    case 'ids':
      return [...new Set(text.split(/[\s,]+/))].map(wholeOf);
    case 'time':
      return isLocalTime(text) ? timeOfLocal(text, timeZone) : text;
    case 'lines':
      return text
        .split('\n')
        .map(trimmed)
        .filter((line) => line !== '');
    case 'text':
    case 'long-text':
    case 'email':
    case 'choice':
      return text;
  }
}

function wholeOf(text: string): number | string {
  return /^[+-]?\d{1,15}$/.test(text) ? Number(text) : text;
}

function hasDecimalComma(locale: string): boolean {
  const parts = new Intl.NumberFormat([locale, 'en']).formatToParts(1.5);
  return parts.some(({ type, value }) => type === 'decimal' && value === ',');
}

/** What a field shows of a value that a record has. */
export function shownValue(value: unknown, timeZone: string): string {
  if (value === true) return 'yes';
  if (value instanceof Date) return localOfTime(value, timeZone);
  if (Array.isArray(value)) return value.join('\n');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
