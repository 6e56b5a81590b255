import { And, type DataSource, Equal, FindOperator, IsNull, Not, Or, Raw } from 'typeorm';
import { loadedColumns } from '../../database/mapping';
import { invalid, unknownField } from '../../errors';
import { isDate } from '../../input';

/** The kind of a field's values, which decides how a search compares them. */
export type FieldKind = 'id' | 'count' | 'text' | 'amount' | 'date' | 'boolean' | 'list' | 'json';

/** The fields of a record, each with the kind of its values and its path through TypeORM's relations. */
export type Fields = ReadonlyMap<string, { kind: FieldKind; path: readonly string[] }>;

const kinds: Record<string, FieldKind> = {
  bigint: 'id',
  integer: 'count',
  varchar: 'text',
  numeric: 'amount',
  timestamptz: 'date',
  boolean: 'boolean',
  text: 'list', // our columns of this type are all text[]
  jsonb: 'json',
};

/** The fields of an entity, one for each loaded column. */
export function fieldsOf(dataSource: DataSource, entity: new () => object): Fields {
  return new Map(
    loadedColumns(dataSource, entity).map(({ propertyName, type }) => [
      propertyName,
      { kind: kinds[type as string]!, path: [propertyName] },
    ]),
  );
}

const tests: Record<FieldKind, readonly [takes: string, test: (value: unknown) => boolean]> = {
  id: ['a whole number', (value) => Number.isSafeInteger(value)],
  count: [
    'a whole number of 32 bits',
    (value) => Number.isInteger(value) && (value as number) === ((value as number) | 0),
  ],
  // The host's ids are stored as text, so numbers and bigints are accepted too.
  text: [
    'a string',
    (value) =>
      (typeof value === 'string' && !value.includes('\0')) || typeof value === 'bigint' || Number.isSafeInteger(value),
  ],
  amount: [
    'a decimal string or a finite number',
    (value) => Number.isFinite(value) || (typeof value === 'string' && /^-?\d{1,30}(\.\d{1,10})?$/.test(value)),
  ],
  date: ['a valid Date of the years 1 to 9999', isDate],
  boolean: ['true or false', (value) => typeof value === 'boolean'],
  list: ['strings', (value) => typeof value === 'string' && !value.includes('\u0000')],
  json: ['no comparison', () => false],
};

interface Searchable {
  readonly fields: Fields;
  readonly only: Readonly<Record<string, FindOperator<unknown>>>;
}

/**
 * Checks the fields and values of a `where` and returns it as TypeORM takes it, with the condition of the records. Null
 * means "is null".
 */
export function checkedWhere({ fields, only }: Searchable, where: unknown): object {
  if (Array.isArray(where) && where.length > 0) return where.map((one) => checkedWhere({ fields, only }, one));
  if (typeof where !== 'object' || where === null)
    throw invalid('where', 'an object of fields, or an array of such objects', where);
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(where)) {
    const field = fields.get(name);
    if (!field) throw unknownField('search', `where.${name}`, [...fields.keys()]);
    checkValue(`where.${name}`, field.kind, value);
    put(checked, field.path, value === null ? IsNull() : withFoldedLikes(value));
  }
  for (const [name, condition] of Object.entries(only)) {
    const given = checked[name];
    const both = (): unknown => And(given instanceof FindOperator ? given : Equal(given), condition);
    checked[name] = given === undefined ? condition : both();
  }
  return checked;
}

const anyKind = ['not', 'and', 'or', 'isNull', 'raw'];
const compared = ['equal', 'in', 'any', 'lessThan', 'lessThanOrEqual', 'moreThan', 'moreThanOrEqual', 'between'];

/** The operators of TypeORM that PostgreSQL supports for each kind of field. */
const operators: Record<FieldKind, readonly string[]> = {
  id: [...anyKind, ...compared],
  count: [...anyKind, ...compared],
  text: [...anyKind, ...compared, 'like', 'ilike'],
  amount: [...anyKind, ...compared],
  date: [...anyKind, ...compared],
  boolean: [...anyKind, 'equal', 'in', 'any'],
  list: [...anyKind, 'arrayContains', 'arrayContainedBy', 'arrayOverlap'],
  json: ['isNull', 'not'],
};
/** Operators that take an array of values. */
const plural = new Set(['in', 'any', 'between', 'and', 'or', 'arrayContains', 'arrayContainedBy', 'arrayOverlap']);

function checkValue(name: string, kind: FieldKind, value: unknown): void {
  if (value === null) return;
  const [takes, test] = tests[kind];
  if (!(value instanceof FindOperator)) {
    if (kind === 'list' || !test(value))
      throw invalid(name, `${takes}, null, or an operator of TypeORM on such values`, value);
    return;
  }
  if (!operators[kind].includes(value.type))
    throw invalid(name, `one of the operators ${operators[kind].join(', ')}`, value.type);
  if (value.type === 'isNull' || value.type === 'raw') return; // isNull takes no value; raw is the host's own SQL
  const inner: unknown = value.child ?? value.value; // `child` is an inner operator, as in Not(IsNull())
  if (plural.has(value.type) && !Array.isArray(inner)) throw invalid(name, `an array in ${value.type}`, inner);
  for (const one of plural.has(value.type) ? (inner as unknown[]) : [inner]) {
    if (one instanceof FindOperator) checkValue(name, kind, one);
    else if (!test(one)) throw invalid(name, `${takes} in ${value.type}`, one);
  }
}

/** How many patterns of `ILike` were rewritten. The name of a parameter must be unique within a query. */
let patterns = 0;

/**
 * Makes `ILike` fold A to Z alone, as codes are compared, also inside of other operators. By itself it follows the rules
 * of the database: under Turkish ones, `ILike('spring')` does not find `SPRING`.
 */
function withFoldedLikes(value: unknown): unknown {
  if (!(value instanceof FindOperator)) return value;
  const { type, child } = value as FindOperator<unknown>;
  const inner: unknown = value.value;
  if (type === 'not' && child) return Not(withFoldedLikes(child));
  if (type === 'and')
    return And(...((inner as FindOperator<unknown>[]).map(withFoldedLikes) as FindOperator<unknown>[]));
  if (type === 'or') return Or(...((inner as FindOperator<unknown>[]).map(withFoldedLikes) as FindOperator<unknown>[]));
  if (type !== 'ilike') return value;
  const parameter = `referral_pattern_${++patterns}`;
  return Raw((column) => `${column} ILIKE :${parameter} COLLATE "C"`, { [parameter]: inner });
}

const directions = new Set<unknown>(['asc', 'desc', 'ASC', 'DESC', 1, -1]);
const nulls = new Set<unknown>(['first', 'last', 'FIRST', 'LAST', undefined]);

/**
 * Whether a value is an order that TypeORM accepts: a direction, or an object with a direction and the place of nulls.
 */
function isOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return directions.has(value);
  const { direction = 'ASC', nulls: place, ...rest } = value as Record<string, unknown>;
  return directions.has(direction) && nulls.has(place) && Object.keys(rest).length === 0;
}

/** Checks an `order` and returns it as TypeORM takes it. It appends the id, so that pages do not overlap. */
export function checkedOrder(fields: Fields, order: unknown = {}): object {
  if (typeof order !== 'object' || order === null) throw invalid('order', 'an object of fields', order);
  const checked: Record<string, unknown> = {};
  for (const [name, direction] of Object.entries({ ...order, ...('id' in order ? {} : { id: 'ASC' }) })) {
    const field = fields.get(name);
    if (!field || field.kind === 'json') throw unknownField('search', `order.${name}`, [...fields.keys()]);
    if (!isOrder(direction))
      throw invalid(`order.${name}`, "'ASC', 'DESC' or { direction, nulls: 'FIRST' or 'LAST' }", direction);
    put(checked, field.path, direction);
  }
  return checked;
}

interface Selectable {
  readonly fields: Fields;
  readonly keys: readonly string[];
  readonly computed: Readonly<Record<string, readonly string[]>>;
}

/** Returns TypeORM's `select` for some fields: the columns that they need, and always the keys. */
export function checkedSelect({ fields, keys, computed }: Selectable, selected: readonly string[]): object {
  const takes = `an array of ${[...fields.keys(), ...Object.keys(computed)].join(', ')}`;
  if (!Array.isArray(selected)) throw invalid('fields', takes, selected);
  const checked: Record<string, unknown> = {};
  for (const name of [...keys, ...(selected as string[]).flatMap((one) => computed[one] ?? [one])]) {
    const field = fields.get(name);
    if (!field) throw invalid('fields', takes, name);
    put(checked, field.path, true);
  }
  return checked;
}

/** Sets the value at a path, and creates missing objects along the path. */
function put(object: Record<string, unknown>, [name, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) object[name!] = value;
  else put((object[name!] ??= {}) as Record<string, unknown>, rest, value);
}
