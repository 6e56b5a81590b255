import type { EntityManager, FindOperator } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { ReferralRecord } from '../../entities/record';
import { invalid, referralError } from '../../errors';
import { recordIdOf } from '../../input';
import type { RecordRef } from '../../types/common';
import { type Fields, fieldsOf } from './search';

/** Describes the records of a manager, and how they are stored. */
export interface Kind<R> {
  /** The class of the records. */
  record: new () => R;
  /** The entity of the table that holds them. Default: the class of the records. */
  entity?: new () => object;
  /** The name of such a record in error messages. */
  word: string;
  /** For each constraint that can refuse a delete, the reason for the error message. */
  inUse: Readonly<Record<string, string>>;
  /** Default: the columns of the entity. */
  fields?: Fields;
  /** The condition on fields that makes a row a record. Other rows are not found. Default: every row is one. */
  only?: Readonly<Record<string, FindOperator<unknown>>>;
  /**
   * Fields that are always loaded, because methods of the records need them. The id, the primary key and the foreign
   * keys are added.
   */
  keys?: readonly string[];
  /** Computed fields, each with the columns that it needs. Default: none. */
  computed?: Readonly<Record<string, readonly string[]>>;
}

/** Values of a record by the names of its properties. */
export type Values<R> = Partial<Record<keyof R & string, unknown>>;

/** Inserts, changes, locks and deletes single rows of the table of one kind of records. */
export abstract class RecordTable<R extends ReferralRecord> {
  /** @internal */
  readonly kind: Required<Kind<R>>;
  protected readonly database: Database;

  /** @internal */
  constructor(database: Database, kind: Kind<R>) {
    const { dataSource } = database;
    const { entity = kind.record } = kind;
    const { columns } = dataSource.getMetadata(entity);
    const keys = columns.filter(({ isPrimary, referencedColumn }) => isPrimary || referencedColumn !== undefined);
    this.database = database;
    this.kind = {
      entity,
      fields: fieldsOf(dataSource, entity),
      computed: {},
      only: {},
      ...kind,
      keys: ['id', ...keys.map(({ propertyName }) => propertyName), ...(kind.keys ?? [])],
    };
  }

  /**
   * Takes a key-share lock on a record, which prevents its deletion until the transaction ends. Returns its id.
   * @internal
   */
  async existing(field: string, record: RecordRef, manager: EntityManager): Promise<number> {
    const id = recordIdOf(field, record);
    const query = sql({ id }, ($) => `SELECT id FROM ${this.#table} WHERE id = ${$.id} FOR KEY SHARE`);
    if ((await this.database.query(query, manager)).length > 0) return id;
    throw invalid(field, `a ${this.kind.word} that exists, or its id`, id);
  }

  /** Takes a row lock, so that changes of one record run one after another. @throws ReferralError `NOT_FOUND`. */
  protected async lock(id: number, manager: EntityManager): Promise<void> {
    const query = sql({ id }, ($) => `SELECT id FROM ${this.#table} WHERE id = ${$.id} FOR NO KEY UPDATE`);
    const rows = await this.database.query(query, manager);
    if (rows.length === 0) throw referralError('NOT_FOUND', this.kind.word, 'id', [id]);
  }

  /** Inserts one row. */
  protected async insert(values: Values<R>, manager: EntityManager): Promise<R> {
    const names = Object.keys(values) as (keyof R & string)[];
    const query = sql(
      values,
      ($) => `INSERT INTO ${this.#table} (${names.map((name) => this.#columnOf(name)).join(', ')})
       VALUES (${names.map((name) => $[name]).join(', ')})
       RETURNING ${this.database.columns(this.kind.entity)}`,
    );
    const [row] = await this.database.query<object>(query, manager);
    return this.database.entity(this.kind.record, row!);
  }

  /** Changes columns of one row. */
  protected async write(id: number, values: Values<R>, manager: EntityManager): Promise<void> {
    const names = Object.keys(values) as (keyof R & string)[];
    if (names.length === 0) return;
    const query = sql({ rowId: id, ...values }, ($) => {
      const assignments = names.map((name) => `${this.#columnOf(name)} = ${($ as Record<string, string>)[name]}`);
      return `UPDATE ${this.#table} SET ${assignments.join(', ')} WHERE id = ${$.rowId}`;
    });
    await this.database.query(query, manager);
  }

  /** Deletes one row. @throws ReferralError `NOT_FOUND`. Rethrows the driver's error if other rows depend on it. */
  protected async erase(id: number, manager: EntityManager): Promise<void> {
    await this.lock(id, manager);
    await this.database.query(
      sql({ id }, ($) => `DELETE FROM ${this.#table} WHERE id = ${$.id}`),
      manager,
    );
  }

  get #table(): string {
    return this.database.table(this.kind.entity);
  }

  #columnOf(property: string): string {
    const metadata = this.database.dataSource.getMetadata(this.kind.entity);
    return metadata.findColumnWithPropertyName(property)!.databaseName;
  }
}
