import { isDate } from 'node:util/types';

/**
 * How the results of the package's statements are read, whatever the host has set: `pg.types.setTypeParser` is global,
 * for arrays too, and a role's `DateStyle` and `TimeZone` change how PostgreSQL writes a time. `pg` takes these parsers
 * with each statement.
 */

type Parse = (text: string) => unknown;

/**
 * Returns SQL for a time in a result, which `pg` then has as a `Date`: as JSON, where `DateStyle` has no effect. No result
 * holds other JSON, because our columns are `jsonb`.
 */
export function timeInResult(time: string): string {
  return `to_json(${time})`;
}

/** Returns SQL for a time as text, with all its digits, for a parameter of a later statement. */
export function timeAsText(time: string): string {
  return `to_json(${time}) #>> '{}'`;
}

/** A parameter as it is sent: `pg` would write a time in the zone of the process, without the seconds of its offset. */
export function parameterOf(value: unknown): unknown {
  if (isDate(value)) return value.toISOString();
  return Array.isArray(value) && value.some(isDate) ? value.map(parameterOf) : value;
}

/** Reads what {@link timeInResult} returns. An infinite time is a number, as `pg` has it. */
function time(json: string): Date | number {
  const text = json.slice(1, -1);
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? unusualTime(text) : date;
}

/** Reads an infinite time, or one whose offset has seconds, as offsets before 1900 do in many zones. */
function unusualTime(text: string): Date | number {
  if (text.endsWith('infinity')) return text.startsWith('-') ? -Infinity : Infinity;
  const [, minutes, sign, seconds] = /^(.*([+-])\d\d:\d\d):(\d\d)$/.exec(text) ?? [];
  return new Date(new Date(minutes ?? NaN).getTime() - Number(`${sign}${seconds}`) * 1000);
}

/**
 * Reads a time in a statement that TypeORM has written. An invalid date if the role's `DateStyle` is not ISO: then the
 * text does not tell the time.
 */
function writtenTime(text: string): Date {
  const found = /^(\d{4}-\d\d-\d\d) ([\d:.]+)([+-]\d\d)(:\d\d)?$/.exec(text);
  return new Date(found ? `${found[1]}T${found[2]}${found[3]}${found[4] ?? ':00'}` : NaN);
}

const whole: Parse = Number;
const boolean: Parse = (text) => text === 't';

/** By the OIDs of `pg_type`. Every other type is text, as are `bigint` and `numeric`, which a number can't hold. */
const scalars: readonly (readonly [oid: number, array: number, parse: Parse])[] = [
  [16, 1000, boolean], // boolean
  [21, 1005, whole], // smallint
  [23, 1007, whole], // integer
  [701, 1022, whole], // double precision
  [3802, 3807, JSON.parse], // jsonb
  [114, 199, time], // json
  [1184, 1185, writtenTime], // timestamptz
];
const asText: Parse = (text) => text;
/** The array types of `"char"`, name, text, character, varchar, bigint, uuid and numeric. */
const arraysOfText = [1002, 1003, 1009, 1014, 1015, 1016, 2951, 1231];

const parsers: ReadonlyMap<number, Parse> = new Map([
  ...scalars.map(([oid, , parse]) => [oid, parse] as const),
  ...scalars.map(([, oid, parse]) => [oid, arrayOf(parse)] as const),
  ...arraysOfText.map((oid) => [oid, arrayOf(asText)] as const),
]);

/** The parsers, as `pg` takes them in the `types` of a statement. */
export const resultTypes = {
  getTypeParser: (oid: number): Parse => parsers.get(oid) ?? asText,
};

/** An element of an array of one dimension: quoted, with backslashes before quotes and backslashes, or up to a comma. */
const element = /"((?:[^"\\]|\\.)*)"|([^,{}]+)/gs;

/** @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function arrayOf(parse: Parse): Parse {
  return (text) =>
    [...text.matchAll(element)].map(([, quoted, plain]) => {
      if (quoted !== undefined) return parse(quoted.replace(/\\(.)/gs, '$1'));
      return plain === 'NULL' ? null : parse(plain!);
    });
}
