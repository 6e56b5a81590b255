import type { EntityManager } from 'typeorm';
import { invalid, unknownField } from './errors';
import { lengths } from './limits';
import type { Amount, ListOptions, RecordRef, UserRef } from './types/common';

// A function `…Of(field, value)` checks a value and returns it. For a wrong value it throws `INVALID_INPUT` with the
// name of the field.

/**
 * Characters that the type `text` of PostgreSQL can't store: U+0000 and lone surrogates. The driver would replace every
 * lone surrogate by U+FFFD, so that different texts become equal.
 */
const unstorable = /\0|\p{Surrogate}/u;

/** A text with a length of `min` to `max` characters. */
export function textOf(field: string, value: unknown, max: number, min = 0): string {
  if (typeof value !== 'string' || value.length < min || value.length > max || unstorable.test(value))
    throw invalid(field, `a string of ${min} to ${max} characters without U+0000 or lone surrogates`, value);
  return value;
}

/** A reference of the host's: 1 to 255 characters. */
export function referenceOf(field: string, value: unknown): string {
  return textOf(field, value, lengths.reference, 1);
}

/** An id of the host's, a string, a bigint or a whole number, as text. */
export function hostIdOf(field: string, value: unknown): string {
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return String(value);
  if (typeof value === 'string' && value !== '' && value.length <= lengths.id && !unstorable.test(value)) return value;
  throw invalid(field, `an id: a string of 1 to ${lengths.id} characters, a whole number or a bigint`, value);
}

/** The id, as text, of a user who is given as an id or as an object with an id. Null and undefined mean nobody. */
export function userIdOf(field: string, user: UserRef): string;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null {
  if (user === null || user === undefined) return null;
  return typeof user === 'object' ? hostIdOf(`${field}.id`, user.id) : hostIdOf(field, user);
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
  return value instanceof Date && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999;
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

/** Checks that a value is an object without unknown fields, so that a misspelt field is an error and is not ignored. */
export function objectOf<T extends object>(call: string, value: T, fields: FieldsOf<T>): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(call, `an object with ${Object.keys(fields).join(', ')}`, value);
  for (const field of Object.keys(value))
    if (!Object.hasOwn(fields, field)) throw unknownField(call, field, Object.keys(fields));
  return value;
}

const amountPattern = /^[+-]?\d{1,16}(\.\d{1,4})?$/;

/** An amount that fits `numeric(20,4)`, as a decimal string: only PostgreSQL computes with amounts. */
export function amountOf(field: string, value: Amount, sign: 'any' | 'positive' | 'not negative' | 'not zero'): string {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  const isZero = !/[1-9]/.test(text);
  const isNegative = !isZero && text.startsWith('-');
  const isWrong =
    (sign === 'positive' && (isZero || isNegative)) ||
    (sign === 'not negative' && isNegative) ||
    (sign === 'not zero' && isZero);
  if (amountPattern.test(text) && !isWrong) return text;
  const range = { 'any': '', 'positive': ' above 0', 'not negative': ' from 0', 'not zero': ' other than 0' }[sign];
  throw invalid(
    field,
    `an amount${range}: a decimal string such as "12.50", or a finite number, ` +
      'with at most 16 digits before the point and 4 after',
    value,
  );
}

/** A share from 0 to 1, as a decimal string. */
export function ratioOf(field: string, value: Amount): string {
  const text = amountOf(field, value, 'not negative');
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
  const id: unknown = typeof value === 'object' && value !== null ? value.id : value;
  if (!Number.isSafeInteger(id) || (id as number) < 1)
    throw invalid(field, 'a record, or its id: a whole number from 1', value);
  return id as number;
}

/** Whether a value is an EntityManager. A DataSource, which has the same methods, is not one. */
export function isManager(value: unknown): value is EntityManager {
  const { transaction, getRepository } = (value ?? {}) as Partial<EntityManager>;
  return (
    typeof transaction === 'function' && typeof getRepository === 'function' && !('entityMetadatas' in Object(value))
  );
}
