import { And, type DataSource, Equal, FindOperator, IsNull, Not, Or, Raw } from 'typeorm';
import { folded } from '../../database/folding';
import { loadedColumns } from '../../database/mapping';
import { openTime } from '../../entities/columns';
import { invalid } from '../../errors';
import { fieldsIn, isDate, isStorable, listOf, unknownField } from '../../input';
import { lengths } from '../../limits';

/** The kind of a field's values, which decides how a search compares them. */
export type FieldKind = 'id' | 'count' | 'text' | 'amount' | 'date' | 'open date' | 'boolean' | 'list' | 'json';

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
    loadedColumns(dataSource, entity).map(({ propertyName, type, transformer }) => [
      propertyName,
      { kind: transformer === openTime ? 'open date' : kinds[type as string]!, path: [propertyName] },
    ]),
  );
}

const tests: Record<FieldKind, readonly [takes: string, test: (value: unknown) => boolean]> = {
  'id': ['a whole number', (value) => Number.isSafeInteger(typeof value === 'bigint' ? Number(value) : value)],
  'count': [
    'a whole number of 32 bits',
    (value) => Number.isInteger(value) && (value as number) === ((value as number) | 0),
  ],
  // The host's ids are stored as text, so numbers and bigints are accepted too.
  'text': [
    'a string',
    (value) =>
      (typeof value === 'string' && isStorable(value)) ||
      (typeof value === 'bigint' && String(value).length <= lengths.id) ||
      Number.isSafeInteger(value),
  ],
  'amount': [
    'a decimal string or a finite number',
    (value) =>
      Number.isFinite(value) ||
      (['string', 'bigint'].includes(typeof value) && /^-?\d{1,30}(\.\d{1,10})?$/.test(String(value))),
  ],
  'date': ['a valid Date of the years 1 to 9999', isDate],
  'open date': ['a valid Date of the years 1 to 9999', isDate],
  'boolean': ['true or false', (value) => typeof value === 'boolean'],
  'list': ['strings', (value) => typeof value === 'string' && isStorable(value)],
  'json': ['no comparison', () => false],
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
  const takes = 'an object of fields, or an array of such objects that is not empty';
  if (!Array.isArray(where)) return checkedCondition({ fields, only }, where, takes);
  const conditions = listOf('where', where, takes);
  if (conditions.length === 0) throw invalid('where', takes, where);
  return conditions.map((one) => checkedCondition({ fields, only }, one, takes));
}

function checkedCondition({ fields, only }: Searchable, where: unknown, takes: string): object {
  const checked: Record<string, unknown> = {};
  for (const [name, value] of entriesOf('where', where, [...fields.keys()], takes)) {
    const { kind, path } = fields.get(name)!;
    checkValue(`where.${name}`, kind, value);
    const condition = value === null ? IsNull() : found(name, value);
    put(checked, path, kind === 'open date' ? withoutInfinity(condition) : condition);
  }
  for (const [name, condition] of Object.entries(only)) {
    const given = checked[name];
    const both = (): unknown => And(given instanceof FindOperator ? given : Equal(given), condition);
    checked[name] = given === undefined ? condition : both();
  }
  return checked;
}

/** The fields of an object of a search, each with its value. */
function entriesOf(within: string, value: unknown, known: readonly string[], takes: string): [string, unknown][] {
  const given = fieldsIn(value, known);
  if (!given) throw invalid(within, takes, value);
  if (given.unknown !== undefined) throw unknownField('search', `${within}.${given.unknown}`, known);
  return Object.entries(given.fields);
}

const anyKind = ['not', 'and', 'or', 'isNull', 'raw'];
const compared = ['equal', 'in', 'any', 'lessThan', 'lessThanOrEqual', 'moreThan', 'moreThanOrEqual', 'between'];

/** The operators of TypeORM that PostgreSQL supports for each kind of field. */
const operators: Record<FieldKind, readonly string[]> = {
  'id': [...anyKind, ...compared],
  'count': [...anyKind, ...compared],
  'text': [...anyKind, ...compared, 'like', 'ilike'],
  'amount': [...anyKind, ...compared],
  'date': [...anyKind, ...compared],
  'open date': [...anyKind, ...compared],
  'boolean': [...anyKind, 'equal', 'in', 'any'],
  'list': [...anyKind, 'arrayContains', 'arrayContainedBy', 'arrayOverlap'],
  'json': ['isNull', 'not'],
};
/** Operators that take an array of values. */
const plural = new Set(['in', 'any', 'between', 'and', 'or', 'arrayContains', 'arrayContainedBy', 'arrayOverlap']);

/** How deep operators may be nested, such as `Not(And(…))`. One that contains itself has no end. */
const maxDepth = 20;

function checkValue(name: string, kind: FieldKind, value: unknown, depth = 0): void {
  if (value === null) return;
  if (depth > maxDepth) throw invalid(name, `operators up to ${maxDepth} deep`, value);
  const [takes, test] = tests[kind];
  if (!isOperator(value)) {
    if (kind === 'list' || !test(value))
      throw invalid(name, `${takes}, null, or an operator of TypeORM on such values`, value);
    return;
  }
  if (!operators[kind].includes(value.type))
    throw invalid(name, `one of the operators ${operators[kind].join(', ')}`, value.type);
  if (value.type === 'isNull' || value.type === 'raw') return; // isNull takes no value; raw is the host's own SQL
  const inner: unknown = value.child ?? value.value; // `child` is an inner operator, as in Not(IsNull())
  const values = plural.has(value.type) ? listOf(name, inner as unknown[], `an array in ${value.type}`) : [inner];
  for (const one of values) {
    if (isOperator(one)) checkValue(name, kind, one, depth + 1);
    else if (!test(one)) throw invalid(name, `${takes} in ${value.type}`, one);
  }
}

function isOperator(value: unknown): value is FindOperator<unknown> {
  try {
    return value instanceof FindOperator;
  } catch {
    return false; // a proxy that throws
  }
}

/** How a value is compared in SQL: like TypeORM does, but for codes and for `ILike`. */
function found(name: string, value: unknown): unknown {
  return name === 'code' && !isOperator(value) ? equalCode(value) : withFoldedLikes(value);
}

/** An equal code, which PostgreSQL looks up by the unique index: that is on the folded codes. */
function equalCode(code: unknown): FindOperator<unknown> {
  const parameter = freshParameter();
  const given = `:${parameter}::text`;
  return Raw((column) => `${column} = ${given} AND ${folded(column)} = ${folded(given)}`, { [parameter]: code });
}

let parameters = 0;

/** The name of a parameter must be unique within a query. */
const freshParameter = (): string => `referral_parameter_${++parameters}`;

/**
 * Makes `ILike` fold A to Z alone, as codes are compared, also inside of other operators. By itself it follows the rules
 * of the database: under Turkish ones, `ILike('spring')` does not find `SPRING`.
 */
function withFoldedLikes(value: unknown): unknown {
  if (!isOperator(value)) return value;
  const { type, child } = value;
  const inner: unknown = value.value;
  if (type === 'not' && child) return Not(withFoldedLikes(child));
  if (type === 'and')
    return And(...((inner as FindOperator<unknown>[]).map(withFoldedLikes) as FindOperator<unknown>[]));
  if (type === 'or') return Or(...((inner as FindOperator<unknown>[]).map(withFoldedLikes) as FindOperator<unknown>[]));
  if (type !== 'ilike') return value;
  const parameter = freshParameter();
  return Raw((column) => `${column} ILIKE :${parameter} COLLATE "C"`, { [parameter]: inner });
}

/** Makes a condition take `infinity` for null, as the records have it: nothing but `IsNull` finds it. */
function withoutInfinity(value: unknown): unknown {
  const condition = isOperator(value) ? value : Equal(value);
  const { type, child } = condition;
  const inner: unknown = condition.value;
  const all = (): FindOperator<unknown>[] => (inner as unknown[]).map(withoutInfinity) as FindOperator<unknown>[];
  if (type === 'raw') return condition; // the host's own SQL
  if (type === 'isNull') return Raw((column) => `${column} = 'infinity'`);
  if (type === 'and') return And(...all());
  if (type === 'or') return Or(...all());
  const isFinite = Raw((column) => `${column} < 'infinity'`);
  return And(type === 'not' && child ? Not(withoutInfinity(child)) : condition, isFinite);
}

const directions = new Set<unknown>(['asc', 'desc', 'ASC', 'DESC', 1, -1]);
const nulls = new Set<unknown>(['first', 'last', 'FIRST', 'LAST', undefined]);

/**
 * Whether a value is an order that TypeORM accepts: a direction, or an object with a direction and the place of nulls.
 */
function isOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return directions.has(value);
  const given = fieldsIn(value, ['direction', 'nulls']);
  if (!given || given.unknown !== undefined) return false;
  const { direction = 'ASC', nulls: place } = given.fields;
  return directions.has(direction) && nulls.has(place);
}

/** Checks an `order` and returns it as TypeORM takes it. It appends the id, so that pages do not overlap. */
export function checkedOrder(fields: Fields, order: unknown = {}): object {
  const checked: Record<string, unknown> = {};
  const known = [...fields.keys()];
  const given = entriesOf('order', order, known, 'an object of fields');
  const entries = given.some(([name]) => name === 'id') ? given : [...given, ['id', 'ASC'] as const];
  for (const [name, direction] of entries) {
    const field = fields.get(name)!;
    if (field.kind === 'json') throw unknownField('search', `order.${name}`, known);
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
  const checked: Record<string, unknown> = {};
  const columnsOf = (name: string): readonly string[] => (Object.hasOwn(computed, name) ? computed[name]! : [name]);
  for (const name of [...keys, ...listOf('fields', selected, takes).flatMap(columnsOf)]) {
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
