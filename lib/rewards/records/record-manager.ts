import { Any, type EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { violatedConstraint } from '../../database/driver-errors';
import type { ReferralRecord } from '../../entities/record';
import { invalid, referralError } from '../../errors';
import { objectOf, pageOf, recordIdOf, textOf } from '../../input';
import type { RecordRef, WithManager } from '../../types/common';
import type { FieldOf, Plain, ReadOptions, Search } from '../../types/records';
import { checkedOrder, checkedSelect, checkedWhere, type Fields, fieldsOf } from './search';

/** What a call without options is typed by. */
export type NoOptions = Record<never, never>;

/** A record as the options of a call ask for it. */
type As<R, O> = O extends { plain: true } ? Plain<R> : R;
export type Optional<O> = O extends { optional: infer Is } ? (Is extends false ? never : null) : never;

/** How a search is run, with everything checked. */
export interface Query {
  where: object;
  order: object;
  /** TypeORM's; undefined for all. */
  select: object | undefined;
  /** The names of the fields that were asked for; undefined for all. */
  fields: readonly string[] | undefined;
  take?: number | undefined;
  skip?: number | undefined;
}

/** What a manager is about. */
export interface Kind<R> {
  /** The class of its records. */
  record: new () => R;
  /** The entity whose table they are in. Default: the records' class. */
  entity?: new () => object;
  /** What a record is called in errors. */
  word: string;
  /** Why one can't be deleted, by the constraint that refuses it. */
  inUse: Readonly<Record<string, string>>;
  /** Default: the columns of the entity. */
  fields?: Fields;
  /** Always loaded, because the records' methods need them, besides the id, the primary key and the foreign keys. */
  keys?: readonly string[];
  /** Fields that are computed, each with the columns that it needs. Default none. */
  computed?: Readonly<Record<string, readonly string[]>>;
}

/** Loads, makes, changes and deletes the records of one kind. */
export abstract class RecordManager<R extends ReferralRecord, Input extends object, Changes extends object> {
  /** @internal */
  readonly kind: Required<Kind<R>>;
  protected readonly database: Database;

  /** @internal */
  constructor(database: Database, kind: Kind<R>) {
    const { dataSource } = database;
    const { entity = kind.record } = kind;
    const fields = fieldsOf(dataSource, entity);
    const { columns } = dataSource.getMetadata(entity);
    const keys = columns.filter(({ isPrimary, referencedColumn }) => isPrimary || referencedColumn !== undefined);
    this.database = database;
    this.kind = {
      entity,
      fields,
      computed: {},
      ...kind,
      keys: ['id', ...keys.map(({ propertyName }) => propertyName), ...(kind.keys ?? [])],
    };
  }

  /** The record with an id. @throws ReferralError `NOT_FOUND`, unless `optional`: then null. */
  async get<const O extends ReadOptions<FieldOf<R>> = NoOptions>(
    id: number,
    options?: O,
  ): Promise<As<R, O> | Optional<O>> {
    const [record] = await this.list([id], options);
    return record ?? (null as Optional<O>);
  }

  /** The records with these ids, in their order. @throws ReferralError `NOT_FOUND` with the missing ids, unless `optional`. */
  async list<const O extends ReadOptions<FieldOf<R>> = NoOptions>(
    ids: readonly number[],
    options?: O,
  ): Promise<As<R, O>[]> {
    if (!Array.isArray(ids)) throw invalid('ids', 'an array of ids', ids);
    const wanted = ids.map((id: number) => recordIdOf('id', id));
    const { manager, fields, plain, optional } = this.#checked(options);
    const found = await this.load(this.#query({ id: Any(wanted) }, undefined, fields), manager);
    const byId = new Map(found.map((record) => [record.id, record]));
    const missing = [...new Set(wanted.filter((id) => !byId.has(id)))];
    if (missing.length > 0 && !optional) throw referralError('NOT_FOUND', this.kind.word, 'id', missing);
    const records = wanted.flatMap((id) => byId.get(id) ?? []);
    return records.map((record) => this.#as(record, plain, fields)) as As<R, O>[];
  }

  /** The records that fit, by default all, oldest first. */
  async search<const O extends Search<R> = NoOptions>(search?: O): Promise<As<R, O>[]> {
    const known = ['where', 'order', 'take', 'skip', 'fields', 'plain', 'manager'];
    const given = objectOf('search', search ?? ({} as O), known) as Search<R>;
    const { where = {}, order, fields, plain = false, manager } = given;
    const query = { ...this.#query(where, order, fields), ...pageOf(given) };
    // With joins, TypeORM takes 0 for no limit.
    const found = query.take === 0 ? [] : await this.load(query, manager);
    return found.map((record) => this.#as(record, plain, fields)) as As<R, O>[];
  }

  /** How many records fit, by default of all. */
  async count(search: Pick<Search<R>, 'where' | 'manager'> = {}): Promise<number> {
    const { where = {}, manager } = objectOf('count', search, ['where', 'manager']);
    const checked = checkedWhere(this.kind.fields, where);
    return this.database.use((within) => within.count(this.kind.entity, { where: checked }), manager);
  }

  /** @throws ReferralError `INVALID_INPUT` naming the field, before anything is written. */
  async create(input: Input, options: WithManager = {}): Promise<R> {
    return this.database.transaction((within) => this.make(input, within), managerOf(options));
  }

  /** As {@link create}, all or none. */
  async createMany(inputs: readonly Input[], options: WithManager = {}): Promise<R[]> {
    if (!Array.isArray(inputs)) throw invalid('inputs', 'an array', inputs);
    return this.database.transaction(async (within) => {
      const made: R[] = [];
      for (const input of inputs as Input[]) made.push(await this.make(input, within));
      return made;
    }, managerOf(options));
  }

  /** Changes a record, and answers it as it is then. @throws ReferralError `NOT_FOUND`, `INVALID_INPUT`, `NOT_CHANGEABLE`. */
  async update(record: RecordRef, changes: Changes, options: WithManager = {}): Promise<R> {
    const id = recordIdOf('id', record);
    return this.database.transaction(async (within) => {
      await this.lock(id, within);
      await this.change(id, changes, within);
      return this.get(id, { manager: within });
    }, managerOf(options));
  }

  /** @throws ReferralError `NOT_FOUND`; `IN_USE` with the reason where money or another record depends on it. */
  async delete(record: RecordRef, options: WithManager = {}): Promise<void> {
    const id = recordIdOf('id', record);
    try {
      await this.database.transaction((within) => this.remove(id, within), managerOf(options));
    } catch (error) {
      const reason = this.kind.inUse[violatedConstraint(error) ?? ''];
      throw reason === undefined ? error : referralError('IN_USE', this.kind.word, id, reason);
    }
  }

  /** The loaded fields of a record as a plain object. @internal */
  plain(record: object): Record<string, unknown> {
    return this.#plain(record, undefined);
  }

  /** The id of a record that stays as long as the transaction does. @internal */
  async existing(field: string, record: RecordRef, manager: EntityManager): Promise<number> {
    const id = recordIdOf(field, record);
    const sql = `SELECT id FROM ${this.#table} WHERE id = $1 FOR KEY SHARE`;
    if ((await this.database.query(sql, [id], manager)).length > 0) return id;
    throw invalid(field, `a ${this.kind.word} that exists, or its id`, id);
  }

  /** Those who change a record take turns. @throws ReferralError `NOT_FOUND`. */
  protected async lock(id: number, manager: EntityManager): Promise<void> {
    const sql = `SELECT id FROM ${this.#table} WHERE id = $1 FOR NO KEY UPDATE`;
    const rows = await this.database.query(sql, [id], manager);
    if (rows.length === 0) throw referralError('NOT_FOUND', this.kind.word, 'id', [id]);
  }

  protected abstract make(input: Input, manager: EntityManager): Promise<R>;
  protected abstract change(id: number, changes: Changes, manager: EntityManager): Promise<void>;
  protected abstract remove(id: number, manager: EntityManager): Promise<void>;

  protected load({ where, order, select, take, skip }: Query, manager?: EntityManager): Promise<R[]> {
    const find = {
      where,
      order,
      ...(select && { select }),
      ...(take !== undefined && { take }),
      ...(skip && { skip }),
    };
    return this.database.use((within) => within.find(this.kind.record, find), manager);
  }

  /** The only record with a value. */
  protected async getBy<O extends ReadOptions>(
    name: string,
    value: string,
    options: O | undefined,
  ): Promise<As<R, O> | Optional<O>> {
    textOf(name, value, Infinity);
    const { manager, fields, plain, optional } = this.#checked(options);
    const found = await this.load({ ...this.#query({ [name]: value }, undefined, fields), take: 11 }, manager);
    if (found.length > 1) {
      const ids = found.map(({ id }, index) => (index < 10 ? id : '…'));
      throw referralError('AMBIGUOUS', `the ${this.kind.word}s`, name, value, `the ids ${ids.join(', ')}`);
    }
    const [record] = found;
    if (record) return this.#as(record, plain, fields) as As<R, O>;
    if (!optional) throw referralError('NOT_FOUND', this.kind.word, name, [value]);
    return null as Optional<O>;
  }

  /** One row by its properties. */
  protected async insert(values: Partial<Record<keyof R & string, unknown>>, manager: EntityManager): Promise<R> {
    const columns = this.#columnsOf(values);
    const [row] = await this.database.query<object>(
      `INSERT INTO ${this.#table} (${columns.join(', ')}) VALUES (${columns.map((_, index) => `$${index + 1}`).join(', ')})
       RETURNING ${this.database.columns(this.kind.entity)}`,
      Object.values(values),
      manager,
    );
    return this.database.entity(this.kind.record, row!);
  }

  /** Sets properties of one row. */
  protected async write(
    id: number,
    values: Partial<Record<keyof R & string, unknown>>,
    manager: EntityManager,
  ): Promise<void> {
    const set = this.#columnsOf(values).map((column, index) => `${column} = $${index + 2}`);
    if (set.length === 0) return;
    const sql = `UPDATE ${this.#table} SET ${set.join(', ')} WHERE id = $1`;
    await this.database.query(sql, [id, ...Object.values(values)], manager);
  }

  /** Deletes one row. @throws ReferralError `NOT_FOUND`; the driver's error if others depend on it. */
  protected async erase(id: number, manager: EntityManager): Promise<void> {
    await this.lock(id, manager);
    await this.database.query(`DELETE FROM ${this.#table} WHERE id = $1`, [id], manager);
  }

  get #table(): string {
    return this.database.table(this.kind.entity);
  }

  #columnsOf(values: object): string[] {
    const metadata = this.database.dataSource.getMetadata(this.kind.entity);
    return Object.keys(values).map((name) => metadata.findColumnWithPropertyName(name)!.databaseName);
  }

  #checked(options: ReadOptions | undefined): { optional: boolean; plain: boolean } & ReadOptions {
    const known = ['optional', 'fields', 'plain', 'manager'];
    return { optional: false, plain: false, ...objectOf('options', options ?? {}, known) };
  }

  #query(where: unknown, order: unknown, fields: readonly string[] | undefined): Query {
    return {
      where: checkedWhere(this.kind.fields, where),
      order: checkedOrder(this.kind.fields, order),
      select: fields && checkedSelect(this.kind, fields),
      fields,
    };
  }

  #as(record: R, plain: boolean, fields: readonly string[] | undefined): R | Record<string, unknown> {
    return plain ? this.#plain(record, fields) : record;
  }

  #plain(record: object, fields: readonly string[] | undefined): Record<string, unknown> {
    const values = record as Record<string, unknown>;
    const { fields: columns, computed } = this.kind;
    const isLoaded = (name: string): boolean =>
      (computed[name] ?? []).every((column) => values[column] !== undefined) && values[name] !== undefined;
    const names = fields ?? [...columns.keys(), ...Object.keys(computed)];
    return Object.fromEntries(names.filter(isLoaded).map((name) => [name, values[name]]));
  }
}

function managerOf(options: WithManager): EntityManager | undefined {
  return objectOf('options', options, ['manager']).manager;
}
