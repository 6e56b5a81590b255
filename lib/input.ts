import { types } from 'node:util';
import type { EntityManager } from 'typeorm';
import { anyCurrency, type Currency } from './currency';
import { invalid, ReferralError } from './errors';
import { lengths } from './limits';
import { escaped, quoted } from './shown';
import type { StaffOptions } from './types/audit';
import type { Amount, ListOptions, RecordRef, UserRef, WithManager } from './types/common';

// A function `…Of(field, value)` checks a value and returns it. For a wrong value it throws `INVALID_INPUT` with the
// name of the field.

/**
 * Characters that the type `text` of PostgreSQL can't store: U+0000 and lone surrogates. The driver would replace every
 * lone surrogate by U+FFFD, so that different texts become equal.
 */
const unstorable = /\0|\p{Surrogate}/u;

/** Whether PostgreSQL can store, and compare, a text as it is. */
export function isStorable(text: string): boolean {
  return !unstorable.test(text);
}

function lengthOf(min: number, max: number): string {
  return max === Infinity ? '' : ` of ${min} to ${max} characters`;
}

/** A text with a length of `min` to `max` characters. */
export function textOf(field: string, value: unknown, max: number, min = 0): string {
  if (typeof value !== 'string' || value.length < min || value.length > max || unstorable.test(value))
    throw invalid(field, `a string${lengthOf(min, max)} without U+0000 or lone surrogates`, value);
  return value;
}

/** A reference of the host's: 1 to 255 characters. */
export function referenceOf(field: string, value: unknown): string {
  return textOf(field, value, lengths.reference, 1);
}

/** An id of the host's, a string, a bigint or a whole number, as text. */
export function hostIdOf(field: string, value: unknown): string {
  const text = typeof value === 'bigint' || Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text === 'string' && text !== '' && text.length <= lengths.id && !unstorable.test(text)) return text;
  throw invalid(field, `an id: a string of 1 to ${lengths.id} characters, a whole number or a bigint`, value);
}

/** The id, as text, of a user who is given as an id or as an object with an id. Null and undefined mean nobody. */
export function userIdOf(field: string, user: UserRef): string;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null {
  if (user === null || user === undefined) return null;
  return typeof user === 'object' ? hostIdOf(`${field}.id`, readOf(field, user, 'id')) : hostIdOf(field, user);
}

/** Like {@link userIdOf}, for calls that need a user: null and undefined throw. */
export function someUserIdOf(field: string, user: UserRef): string {
  return userIdOf(field, user) ?? hostIdOf(field, user);
}

const codePattern = /^[A-Za-z0-9_-]{1,100}$/;

/** Whether a value has the format of a code. Other values are not looked up in the database. */
export function isCode(value: unknown): value is string {
  return typeof value === 'string' && codePattern.test(value);
}

/**
 * Returns a code of a URL without what follows it and can't be a part of it: the full stop, bracket, quote or space
 * that came along when somebody wrote or copied the link.
 */
export function cutCode(text: string): string {
  const code = text.replace(/%[0-9a-f]?$/i, ''); // the rest of a cut-off escape, of which a part looks like a code
  let end = code.length;
  while (end > 0 && !/[A-Za-z0-9_-]/.test(code[end - 1]!)) end--;
  return code.slice(0, end);
}

/** Characters that nobody sees at the ends of a text: spaces, control characters, U+200B and other zero-width ones. */
const unseen = String.raw`[\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]`;
const unseenStart = new RegExp(`^${unseen}+`, 'u');
const unseenEnd = new RegExp(`${unseen}$`, 'u');

/** Trims a text that a person typed or pasted, also of characters that nobody sees. */
export function trimmed(text: string): string {
  let rest = text.replace(unseenStart, '');
  // One by one, because `+$` would take quadratic time. A character has one or two code units.
  for (let last; (last = unseenEnd.exec(rest.slice(-2)));) rest = rest.slice(0, -last[0].length);
  return rest;
}

/**
 * Trims a code that a person typed, and replaces characters outside of ASCII with `?`. A text with a `?` is not a valid
 * code, so the look-up finds nothing, but it can be stored.
 */
export function typedCode(text: string): string {
  return trimmed(text).replace(/[^\x20-\x7e]/g, '?');
}

export function codeOf(field: string, value: unknown): string {
  if (!isCode(value)) throw invalid(field, '1 to 100 characters of [A-Za-z0-9_-]', value);
  return value;
}

export function dateOf(field: string, value: Date | null | undefined): Date | null {
  if (value === null || value === undefined) return null;
  if (!isDate(value)) throw invalid(field, 'a valid Date of the years 1 to 9999, or null', value);
  return value;
}

/** Whether a value is a valid Date that PostgreSQL can store as well. */
export function isDate(value: unknown): value is Date {
  try {
    return types.isDate(value) && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999;
  } catch {
    return false; // a proxy of a Date has none of its methods
  }
}

const uuidPattern = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export function visitorIdOf(field: string, value: unknown): string {
  if (typeof value !== 'string' || !uuidPattern.test(value)) throw invalid(field, 'the visitorId of a response', value);
  return value.toLowerCase();
}

/** Checks `take` and `skip`. An undefined `take` means no limit. */
export function takeAndSkipOf({ take, skip = 0 }: ListOptions): { take: number | undefined; skip: number } {
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (take !== undefined && !isCount(take)) throw invalid('take', 'a whole number from 0', take);
  if (!isCount(skip)) throw invalid('skip', 'a whole number from 0', skip);
  return { take, skip };
}

/** Whether a field was left out. */
export function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** A list of the fields of a type. The compiler finds a field that is missing from it, and one that does not exist. */
export type FieldsOf<T> = Readonly<Record<keyof T & string, true>>;

/** Creates the error of an input field that the call does not have. */
export function unknownField(call: string, field: string, known: readonly string[]): ReferralError {
  const message = `${call} has no field ${quoted(field)}. It knows ${known.join(', ')}.`;
  return new ReferralError('INVALID_INPUT', message, { field: escaped(field) });
}

/** The fields of an object from outside, read once, and the name of one that is not known. */
interface GivenFields {
  readonly fields: Record<string, unknown>;
  readonly unknown: string | undefined;
}

/**
 * Reads the known fields of an object from outside: once, because a getter can return another value the next time.
 * Returns null for what has no fields: null, a list, a Map, a promise, a Date, and a proxy or getter that throws.
 */
export function fieldsIn(value: unknown, known: readonly string[]): GivenFields | null {
  try {
    if (typeof value !== 'object' || value === null || value instanceof Date) return null;
    if (Symbol.iterator in value || 'then' in value) return null;
    const own = Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
    const unknown = own.find((key) => !known.includes(key as string));
    if (unknown !== undefined) return { fields: {}, unknown: String(unknown) };
    // In the order of the caller's object, then those of its class.
    const fields: Record<string, unknown> = {};
    for (const name of own as string[]) fields[name] = (value as Record<string, unknown>)[name];
    for (const name of known)
      if (!Object.hasOwn(fields, name) && name in value) fields[name] = (value as Record<string, unknown>)[name];
    return { fields, unknown: undefined };
  } catch {
    return null;
  }
}

/**
 * Checks that a value is an object without unknown fields, so that a misspelt field is an error and is not ignored. If
 * `manager` is one of the fields, checks that too. Returns a copy, which can be read without errors.
 */
export function objectOf<T extends object>(call: string, value: T, fields: FieldsOf<T>): T {
  const known = Object.keys(fields);
  const takesManager = 'manager' in fields;
  const given = isManager(value) ? null : fieldsIn(value, known);
  if (!given)
    throw invalid(call, `an object with ${known.join(', ')}${takesManager ? ', such as { manager }' : ''}`, value);
  if (given.unknown !== undefined) throw unknownField(call, given.unknown, known);
  const manager = given.fields['manager'];
  if (takesManager && manager !== undefined && !isManager(manager))
    throw invalid('manager', 'an EntityManager, as dataSource.transaction() gives it, or undefined', manager);
  return given.fields as T;
}

/** The fields of {@link StaffOptions}, for the list of what a call knows. */
export const staffFields: FieldsOf<StaffOptions> = { by: true, reason: true, requestId: true, manager: true };

/** Checks that the options of a call of staff have no other fields. `staffOf` checks their values. */
export function staffOptionsOf(call: string, options: StaffOptions): StaffOptions {
  return objectOf<StaffOptions>(call, options, staffFields);
}

/** Checks the options of a call that takes only the host's transaction. */
export function optionsOf(call: string, options: WithManager): WithManager {
  return objectOf<WithManager>(call, options, { manager: true });
}

/** Checks the options of a call that lists records, newest first. */
export function listOptionsOf(call: string, options: ListOptions): ListOptions {
  return objectOf<ListOptions>(call, options, { take: true, skip: true, manager: true });
}

/** A list from outside, read once. */
export function listOf<T>(field: string, value: readonly T[], takes = 'an array'): T[] {
  try {
    if (Array.isArray(value)) return [...(value as readonly T[])];
  } catch {
    // A proxy: refused below.
  }
  throw invalid(field, takes, value);
}

/** A property of an object from outside. A getter or a proxy that throws is a wrong value. */
export function readOf(field: string, value: object, name: string): unknown {
  try {
    return (value as Record<string, unknown>)[name];
  } catch {
    throw invalid(field, 'an object that can be read', value);
  }
}

const amountPattern = /^[+-]?\d{1,16}(\.\d{1,4})?$/;

/**
 * An amount that fits `numeric(20,4)` and has no more decimals than the currency, as a decimal string: only PostgreSQL
 * computes with amounts. Zeros after them say nothing, so `'33.00'` is an amount of yen.
 */
export function amountOf(
  field: string,
  value: Amount,
  sign: 'any' | 'positive' | 'not negative' | 'not zero',
  { decimals }: Pick<Currency, 'decimals'>,
): string {
  const text = numeralOf(value);
  const isZero = !/[1-9]/.test(text);
  const isNegative = !isZero && text.startsWith('-');
  const isWrong =
    (sign === 'positive' && (isZero || isNegative)) ||
    (sign === 'not negative' && isNegative) ||
    (sign === 'not zero' && isZero);
  if (amountPattern.test(text) && decimalsIn(text) <= decimals && !isWrong) return text;
  const range = { 'any': '', 'positive': ' above 0', 'not negative': ' from 0', 'not zero': ' other than 0' }[sign];
  throw invalid(
    field,
    `an amount${range}: a decimal string such as "12.50", or a finite number, ` +
      `with at most 16 digits before the point and ${decimals === 0 ? 'none' : decimals} after`,
    value,
  );
}

/** A number from outside as text, to be compared with a pattern; empty for what is no number. */
export function numeralOf(value: unknown): string {
  return ['number', 'string', 'bigint'].includes(typeof value) ? String(value) : '';
}

/** How many decimals a decimal string has, without zeros at its end. */
export function decimalsIn(amount: string): number {
  return (amount.split('.')[1] ?? '').replace(/0+$/, '').length;
}

/** A share from 0 to 1, as a decimal string. */
export function ratioOf(field: string, value: Amount): string {
  const text = amountOf(field, value, 'not negative', anyCurrency);
  if (Number(text) > 1) throw invalid(field, 'a share from 0 to 1, such as "0.25"', value);
  return text;
}

export function booleanOf(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(field, 'true or false', value);
  return value;
}

// Refuses spaces, and characters that a parser of address lists would split at. It can't tell whether the mailbox
// exists.
const emailPattern = /^[^\s@<>()[\],;:"\\\p{Cc}]+@[^\s@<>()[\],;:"\\\p{Cc}.]+(\.[^\s@<>()[\],;:"\\\p{Cc}.]+)+$/u;

export function isEmail(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= lengths.email &&
    emailPattern.test(value) &&
    !/^\.|\.\.|\.@/.test(value) &&
    !unstorable.test(value)
  );
}

export function emailOf(field: string, value: unknown): string {
  if (isEmail(value)) return value;
  throw invalid(field, `an e-mail address of up to ${lengths.email} characters`, value);
}

/** A whole number from `min` to `max`. */
export function wholeOf(field: string, value: unknown, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw invalid(field, `a whole number from ${min} to ${max}`, value);
  return value as number;
}

/** The duration of a credit in days, up to a hundred years. */
export function daysOf(field: string, value: unknown): number {
  return wholeOf(field, value, 1, 36_500);
}

/** How many sign-ups a code allows; -1 for unlimited. */
export function allowedUsesOf(value: unknown): number {
  return wholeOf('allowedUses', value, -1, 2_147_483_647);
}

/** The id of a record of the package, which is given as the id or as the record. */
export function recordIdOf(field: string, value: RecordRef): number {
  const given: unknown = typeof value === 'object' && value !== null ? readOf(field, value, 'id') : value;
  const id = typeof given === 'bigint' ? Number(given) : given;
  if (!Number.isSafeInteger(id) || (id as number) < 1)
    throw invalid(field, 'a record, or its id: a whole number from 1', value);
  return id as number;
}

/** Whether a value is an EntityManager. A DataSource, which has the same methods, is not one. */
export function isManager(value: unknown): value is EntityManager {
  try {
    const { transaction, getRepository } = (value ?? {}) as Partial<EntityManager>;
    return (
      typeof transaction === 'function' && typeof getRepository === 'function' && !('entityMetadatas' in Object(value))
    );
  } catch {
    return false;
  }
}
