import { type DataSource, FindOperator, IsNull } from 'typeorm';
import { invalid } from '../errors';

/** What a field holds, as far as a search compares it. */
export type FieldKind = 'number' | 'text' | 'amount' | 'date' | 'boolean' | 'list' | 'json';

/** The fields of a record, each with what it holds and where TypeORM finds it: the way through relations. */
export type Fields = ReadonlyMap<string, { kind: FieldKind; path: readonly string[] }>;

const kinds: Record<string, FieldKind> = {
  bigint: 'number',
  integer: 'number',
  varchar: 'text',
  numeric: 'amount',
  timestamptz: 'date',
  boolean: 'boolean',
  text: 'list', // only as text[]
  jsonb: 'json',
};

/** The fields of an entity: its columns. */
export function fieldsOf(dataSource: DataSource, entity: new () => object): Fields {
  const { columns } = dataSource.getMetadata(entity);
  return new Map(
    columns.map(({ propertyName, type }) => [propertyName, { kind: kinds[type as string]!, path: [propertyName] }]),
  );
}

const tests: Record<FieldKind, readonly [takes: string, test: (value: unknown) => boolean]> = {
  number: ['a whole number', (value) => Number.isSafeInteger(value)],
  text: ['a string', (value) => typeof value === 'string' && !value.includes('\u0000')],
  amount: [
    'a decimal string or a finite number',
    (value) => Number.isFinite(value) || (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)),
  ],
  date: ['a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime())],
  boolean: ['true or false', (value) => typeof value === 'boolean'],
  list: ['a string, in ArrayContains, ArrayContainedBy or ArrayOverlap', (value) => typeof value === 'string'],
  json: ['no comparison', () => false],
};

/** TypeORM's `where`, with only known fields and values that fit them. Null means "is null". */
export function checkedWhere(fields: Fields, where: unknown): object {
  if (Array.isArray(where)) return where.map((one) => checkedWhere(fields, one));
  if (typeof where !== 'object' || where === null)
    throw invalid('where', 'an object of fields, or an array of such', where);
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(where)) {
    const field = fields.get(name);
    if (!field) throw invalid(`where.${name}`, `nothing: the fields are ${[...fields.keys()].join(', ')}`, value);
    checkValue(`where.${name}`, field.kind, value);
    put(checked, field.path, value === null ? IsNull() : value);
  }
  return checked;
}

function checkValue(name: string, kind: FieldKind, value: unknown): void {
  if (value === null) return;
  if (value instanceof FindOperator) {
    const inner: unknown = value.child ?? value.value; // of Not(IsNull()), the operator inside
    if (value.type === 'isNull' || value.type === 'raw') return; // without a value; the host's own SQL
    for (const one of Array.isArray(inner) ? (inner as unknown[]) : [inner]) checkValue(name, kind, one);
    return;
  }
  const [takes, test] = tests[kind];
  if (!test(value)) throw invalid(name, `${takes}, null, or an operator of TypeORM's on such`, value);
}

const directions = new Set<unknown>(['asc', 'desc', 'ASC', 'DESC']);

/** TypeORM's `order`, with only known fields and directions; ends with the id, so that pages never overlap. */
export function checkedOrder(fields: Fields, order: unknown = {}): object {
  if (typeof order !== 'object' || order === null) throw invalid('order', 'an object of fields', order);
  const checked: Record<string, unknown> = {};
  for (const [name, direction] of Object.entries({ ...order, ...('id' in order ? {} : { id: 'ASC' }) })) {
    const field = fields.get(name);
    if (!field || field.kind === 'json')
      throw invalid(`order.${name}`, `nothing: the fields are ${[...fields.keys()].join(', ')}`, direction);
    if (!directions.has(direction)) throw invalid(`order.${name}`, "'ASC' or 'DESC'", direction);
    put(checked, field.path, direction);
  }
  return checked;
}

interface Selectable {
  readonly fields: Fields;
  readonly keys: readonly string[];
  readonly computed: Readonly<Record<string, readonly string[]>>;
}

/** TypeORM's `select` of some fields: their columns, and always the keys. */
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

/** Sets a value at the end of a path, merging with what is set along it. */
function put(object: Record<string, unknown>, [name, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) object[name!] = value;
  else put((object[name!] ??= {}) as Record<string, unknown>, rest, value);
}
