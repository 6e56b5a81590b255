import type { EntityManager } from 'typeorm';
import { invalid, unknownField } from './errors';
import { lengths } from './limits';
import type { Amount, ListOptions, RecordRef, UserRef } from './types/common';

/** What PostgreSQL's text can't hold: U+0000, and halves of surrogate pairs, which would become one and the same character. */
const unstorable = /\0|\p{Surrogate}/u;

/** A text of the host's within its column. */
export function textOf(field: string, value: unknown, max: number, min = 0): string {
  if (typeof value !== 'string' || value.length < min || value.length > max || unstorable.test(value))
    throw invalid(field, `a string of ${min} to ${max} characters without U+0000 and lone surrogates`, value);
  return value;
}

/** An id of the host's as text: a string, a bigint or a whole number. */
export function idOf(field: string, value: unknown): string {
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return String(value);
  if (typeof value === 'string' && value !== '' && value.length <= lengths.id && !unstorable.test(value)) return value;
  throw invalid(field, `an id: a string of 1 to ${lengths.id} characters, a whole number or a bigint`, value);
}

/** The id of a user given as an id or as an object that has one. */
export function userIdOf(field: string, user: UserRef): string;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null;
export function userIdOf(field: string, user: UserRef | null | undefined): string | null {
  if (user === null || user === undefined) return null;
  return typeof user === 'object' ? idOf(`${field}.id`, user.id) : idOf(field, user);
}

/** The id of a user where nobody would be a mistake. */
export function someUserIdOf(field: string, user: UserRef): string {
  return userIdOf(field, user) ?? idOf(field, user);
}

const codePattern = /^[A-Za-z0-9_-]{1,100}$/;

/** Whether a text could be a code at all; one that could not is never looked up. */
export function isCode(value: unknown): value is string {
  return typeof value === 'string' && codePattern.test(value);
}

/** What a person typed as a code, without blanks around it: what can't be part of a code makes it one that nobody has. */
export function typedCode(text: string): string {
  return text.trim().replace(/[^\x20-\x7e]/g, '?');
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

/** Whether a value is a Date that PostgreSQL, too, has. */
export function isDate(value: unknown): value is Date {
  return value instanceof Date && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999;
}

const uuidPattern = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export function visitorIdOf(field: string, value: unknown): string {
  if (typeof value !== 'string' || !uuidPattern.test(value)) throw invalid(field, 'the visitorId of a response', value);
  return value.toLowerCase();
}

/** Checked `take` and `skip`; undefined means no limit. */
export function pageOf({ take, skip = 0 }: ListOptions): { take: number | undefined; skip: number } {
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (take !== undefined && !isCount(take)) throw invalid('take', 'a whole number from 0', take);
  if (!isCount(skip)) throw invalid('skip', 'a whole number from 0', skip);
  return { take, skip };
}

/** Whether a field was left out. */
export function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** The fields of a type, each once: the compiler finds one that is missing or too many. */
export type FieldsOf<T> = Readonly<Record<keyof T & string, true>>;

/** Refuses a field that the call does not know, instead of ignoring it. */
export function objectOf<T extends object>(call: string, value: T, fields: FieldsOf<T> | readonly string[]): T {
  const known: readonly string[] = Array.isArray(fields) ? (fields as string[]) : Object.keys(fields);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(call, `an object with ${known.join(', ')}`, value);
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown !== undefined) throw unknownField(call, unknown, known);
  return value;
}

const amountPattern = /^[+-]?\d{1,16}(\.\d{1,4})?$/;

/** An amount within `numeric(20,4)` as decimal text, for PostgreSQL to compute with. */
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
    `an amount${range}: a decimal string such as "12.50", or a finite number, with at most 16 digits before the point and 4 after`,
    value,
  );
}

/** A share from 0 to 1, as decimal text. */
export function ratioOf(field: string, value: Amount): string {
  const text = amountOf(field, value, 'not negative');
  if (Number(text) > 1) throw invalid(field, 'a share from 0 to 1, such as "0.25"', value);
  return text;
}

/** True or false, where it is given. */
export function booleanOf(field: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(field, 'true or false', value);
  return value;
}

// What a mail server's reader of addresses would split, and blanks, are refused; whether somebody is there, only a mail can tell.
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

/** A whole number within bounds. */
export function wholeOf(field: string, value: unknown, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw invalid(field, `a whole number from ${min} to ${max}`, value);
  return value as number;
}

/** How long a credit lives: up to a hundred years. */
export function daysOf(field: string, value: unknown): number {
  return wholeOf(field, value, 1, 36_500);
}

/** How many sign-ups a code allows; -1 is unlimited. */
export function allowedUsesOf(value: unknown): number {
  return wholeOf('allowedUses', value, -1, 2_147_483_647);
}

/** The id of a record of ours, given as the id or the record. */
export function recordIdOf(field: string, value: RecordRef): number {
  const id: unknown = typeof value === 'object' && value !== null ? value.id : value;
  if (!Number.isSafeInteger(id) || (id as number) < 1)
    throw invalid(field, 'a record, or its id: a whole number from 1', value);
  return id as number;
}

/** Whether a value can be what `manager` takes. */
export function isManager(value: unknown): value is EntityManager {
  const { transaction, getRepository } = (value ?? {}) as Partial<EntityManager>;
  return (
    typeof transaction === 'function' && typeof getRepository === 'function' && !('entityMetadatas' in Object(value))
  );
}
