import { Any, type EntityManager } from 'typeorm';
import { violatedConstraint } from '../../database/driver-errors';
import { overtaken, retryOvertaken } from '../../database/retry';
import type { ReferralRecord } from '../../entities/record';
import { referralError } from '../../errors';
import { booleanOf, listOf, objectOf, recordIdOf, staffOptionsOf, takeAndSkipOf, textOf } from '../../input';
import type { StaffOptions } from '../../types/audit';
import type { RecordRef } from '../../types/common';
import type { FieldOf, Plain, ReadOptions, Search } from '../../types/records';
import { type Audit, type Author, type Change, changedFields, staffOf } from './audit';
import { RecordTable } from './record-table';
import { checkedOrder, checkedSelect, checkedWhere } from './search';

/** The type of the options of a call without options. */
export type NoOptions = Record<never, never>;

/** A record in the form that the option `plain` selects. */
type As<R, O> = O extends { plain: true } ? Plain<R> : R;
export type Optional<O> = O extends { optional: infer Is } ? (Is extends false ? never : null) : never;

/** The checked input of a search. */
export interface CheckedSearch {
  where: object;
  order: object;
  /** TypeORM's `select`; undefined for all columns. */
  select: object | undefined;
  /** The requested fields; undefined for all. */
  fields: readonly string[] | undefined;
  take?: number | undefined;
  skip?: number | undefined;
}

/** Thrown to roll back a transaction, because the plans of these inputs are overtaken. */
class PlansOvertaken extends Error {
  constructor(readonly indexes: readonly number[]) {
    super('plans are overtaken');
  }
}

/**
 * Loads, creates, changes and deletes the records of one kind. `Plan` is what is decided before the transaction that
 * makes a record, such as its code.
 */
export abstract class RecordManager<
  R extends ReferralRecord,
  Input extends object,
  Changes extends object,
  Plan = void,
> extends RecordTable<R> {
  /** What this manager is called in the result of `createReferrals`, and where its changes are kept. */
  #audited: { name: string; audit: Audit } | null = null;
  /** Records that `make` has returned but not made: an earlier call has, and its row of the audit is there. */
  protected readonly known = new WeakSet<R>();

  /** Keeps what the calls change. @internal */
  keepIn(audit: Audit, name: string): void {
    this.#audited = { name, audit };
  }

  /** Returns the record with an id; with `optional`, null if there is none. @throws ReferralError `NOT_FOUND`. */
  async get<const O extends ReadOptions<FieldOf<R>> = NoOptions>(
    id: number,
    options?: O,
  ): Promise<As<R, O> | Optional<O>> {
    const [record] = await this.list([id], options);
    return record ?? (null as Optional<O>);
  }

  /**
   * Returns the records with these ids, in the order of the ids. With `optional`, it leaves out missing ones.
   *
   * @throws ReferralError `NOT_FOUND` with the missing ids.
   */
  async list<const O extends ReadOptions<FieldOf<R>> = NoOptions>(
    ids: readonly number[],
    options?: O,
  ): Promise<As<R, O>[]> {
    const wanted = listOf('ids', ids, 'an array of ids').map((id) => recordIdOf('id', id));
    const { manager, fields, plain, optional } = checkedOptions(options);
    const found = await this.load(this.#checkedSearch({ id: Any(wanted) }, undefined, fields), manager);
    const byId = new Map(found.map((record) => [record.id, record]));
    const missing = [...new Set(wanted.filter((id) => !byId.has(id)))];
    if (missing.length > 0 && !optional) throw referralError('NOT_FOUND', this.kind.word, 'id', missing);
    const records = wanted.flatMap((id) => byId.get(id) ?? []);
    return records.map((record) => this.#as(record, plain, fields)) as As<R, O>[];
  }

  /**
   * Returns the records that match, oldest first: at most 100, unless `take` says otherwise.
   *
   * @throws ReferralError `INVALID_INPUT`.
   */
  async search<const O extends Search<R> = NoOptions>(search: O = {} as O): Promise<As<R, O>[]> {
    const given = objectOf<Search<R>>('search', search, {
      ...{ where: true, order: true, take: true, skip: true, fields: true, plain: true, manager: true },
    });
    const { where = {}, order, take = defaultTake, skip, fields, plain = false, manager } = given;
    booleanOf('plain', plain);
    const checked = { ...this.#checkedSearch(where, order, fields), ...takeAndSkipOf({ take, skip }) };
    const found = await this.load(checked, manager);
    return found.map((record) => this.#as(record, plain, fields)) as As<R, O>[];
  }

  /** Returns all records that match, oldest first, however many there are. @internal */
  async all(where: object, manager: EntityManager | undefined): Promise<R[]> {
    return this.load(this.#checkedSearch(where, undefined, undefined), manager);
  }

  /** Returns how many records match. Default: counts all. @throws ReferralError `INVALID_INPUT`. */
  async count(search: Pick<Search<R>, 'where' | 'manager'> = {}): Promise<number> {
    const { where = {}, manager } = objectOf('count', search, { where: true, manager: true });
    const checked = checkedWhere(this.kind, where);
    return this.database.count(this.kind.entity, checked, manager);
  }

  /** Creates a record. @throws ReferralError `INVALID_INPUT` naming the field, before anything is written. */
  async create(input: Input, options: StaffOptions = {}): Promise<R> {
    const [made] = await this.#makeAll('create', [input], options);
    return made!;
  }

  /** Creates records: all of them, or none if one is refused. @throws ReferralError as {@link create}. */
  async createMany(inputs: readonly Input[], options: StaffOptions = {}): Promise<R[]> {
    return this.#makeAll('createMany', listOf('inputs', inputs), options);
  }

  /**
   * Makes the records in one transaction. They are planned before it, because no function of the host's runs while we
   * hold a connection. If plans are overtaken, everything is rolled back, and these records are planned again.
   */
  async #makeAll(call: string, inputs: readonly Input[], options: StaffOptions): Promise<R[]> {
    const { manager, ...staff } = staffOptionsOf('options', options);
    const author = staffOf(staff);
    const plans: Plan[] = [];
    for (const input of inputs) plans.push(await this.plan(input, manager));
    const made = await retryOvertaken(async () => {
      try {
        return await this.database.transaction(async (within) => {
          const made = await this.#makeEach(inputs, plans, within);
          const isNew = (record: R): boolean => !this.known.has(record);
          const changes = made.filter(isNew).map((record) => this.#changeOf(call, record, null, this.valuesOf(record)));
          await this.#keep(changes, author, within);
          return made;
        }, manager);
      } catch (error) {
        if (!(error instanceof PlansOvertaken)) throw error;
        for (const index of error.indexes) plans[index] = await this.plan(inputs[index]!, manager, plans[index]);
        return overtaken;
      }
    });
    await this.made(made, manager);
    return made;
  }

  async #makeEach(inputs: readonly Input[], plans: readonly Plan[], manager: EntityManager): Promise<R[]> {
    const made: R[] = [];
    const late: number[] = [];
    for (const [index, input] of inputs.entries()) {
      const record = await this.make(input, manager, plans[index]!);
      if (record === overtaken) late.push(index);
      else made.push(record);
    }
    if (late.length > 0) throw new PlansOvertaken(late);
    return made;
  }

  /**
   * Changes a record and returns its new state.
   *
   * @throws ReferralError `NOT_FOUND`, `INVALID_INPUT`, `NOT_CHANGEABLE`.
   */
  async update(record: RecordRef, changes: Changes, options: StaffOptions = {}): Promise<R> {
    const id = recordIdOf('id', record);
    const { manager, ...staff } = staffOptionsOf('options', options);
    return this.updateBy(staffOf(staff), id, changes, manager);
  }

  /** Changes a record like {@link update}, for an author who is not of the host's staff. @internal */
  async updateBy(author: Author, id: number, changes: Changes, manager?: EntityManager): Promise<R> {
    return this.database.transaction(async (within) => {
      await this.lock(id, within);
      const before = this.valuesOf(await this.get(id, { manager: within }));
      await this.change(id, changes, within);
      const record = await this.get(id, { manager: within });
      const changed = changedFields(before, this.valuesOf(record));
      if (changed) await this.#keep([this.#changeOf('update', record, changed.before, changed.after)], author, within);
      return record;
    }, manager);
  }

  /**
   * Deletes a record.
   *
   * @throws ReferralError `NOT_FOUND`; `IN_USE` with the reason if money or other records depend on it.
   */
  async delete(record: RecordRef, options: StaffOptions = {}): Promise<void> {
    const id = recordIdOf('id', record);
    const { manager, ...staff } = staffOptionsOf('options', options);
    const author = staffOf(staff);
    try {
      await this.database.transaction(async (within) => {
        const before = await this.get(id, { manager: within });
        await this.remove(id, within, author);
        await this.#keep([this.#changeOf('delete', before, this.valuesOf(before), null)], author, within);
      }, manager);
    } catch (error) {
      const reason = this.kind.inUse[violatedConstraint(error) ?? ''];
      throw reason === undefined ? error : referralError('IN_USE', this.kind.word, id, reason);
    }
  }

  /** The fields of a record that a change is told by: not the computed ones, and not the time of the last change. */
  protected valuesOf(record: R): Record<string, unknown> {
    return this.plain(
      record,
      [...this.kind.fields.keys()].filter((name) => name !== 'updatedAt'),
    );
  }

  #changeOf(call: string, record: R, before: object | null, after: object | null): Change {
    const { userId } = record as { userId?: string | null };
    const subject = { subject: this.kind.word, subjectId: record.id, userId: userId ?? null };
    return { call: `${this.#audited?.name}.${call}`, ...subject, before, after };
  }

  async #keep(changes: readonly Change[], author: Author, manager: EntityManager): Promise<void> {
    await this.#audited?.audit.record(changes, author, manager);
  }

  /** Returns the loaded fields of a record, or those of the given names, as a plain object. @internal */
  plain(record: object, names?: readonly string[]): Record<string, unknown> {
    const values = record as Record<string, unknown>;
    const { fields, computed } = this.kind;
    const isLoaded = (name: string): boolean =>
      (computed[name] ?? []).every((column) => values[column] !== undefined) && values[name] !== undefined;
    const wanted = names ?? [...fields.keys(), ...Object.keys(computed)];
    return Object.fromEntries(wanted.filter(isLoaded).map((name) => [name, values[name]]));
  }

  /**
   * Decides what the options of the host decide about a new record. It runs outside of our transactions, with the host's
   * manager if there is one. Default: nothing.
   *
   * @param before the plan that was overtaken.
   */
  protected plan(_input: Input, _manager: EntityManager | undefined, _before?: Plan): Promise<Plan> {
    return Promise.resolve(undefined as Plan);
  }

  /**
   * Makes a record in a transaction. Returns `overtaken`, and has written nothing, if another call has changed what the
   * plan depends on.
   */
  protected abstract make(input: Input, manager: EntityManager, plan: Plan): Promise<R | typeof overtaken>;
  /** Is called with new records, outside of our transactions like {@link plan}. Default: does nothing. */
  protected made(_records: readonly R[], _manager: EntityManager | undefined): Promise<void> {
    return Promise.resolve();
  }
  protected abstract change(id: number, changes: Changes, manager: EntityManager): Promise<void>;
  protected abstract remove(id: number, manager: EntityManager, author: Author): Promise<void>;

  protected load({ where, order, select, take, skip }: CheckedSearch, manager?: EntityManager): Promise<R[]> {
    return this.database.find(this.kind.record, { where, order, select, take, skip }, manager);
  }

  /**
   * Returns the only record with a value in a field.
   *
   * @throws ReferralError `AMBIGUOUS` if there are several; `NOT_FOUND`.
   */
  protected async getBy<O extends ReadOptions>(
    name: string,
    value: string,
    options: O | undefined,
  ): Promise<As<R, O> | Optional<O>> {
    textOf(name, value, Infinity);
    const { manager, fields, plain, optional } = checkedOptions(options);
    const search = this.#checkedSearch({ [name]: value }, undefined, fields);
    const found = await this.load({ ...search, take: maxNamed + 1 }, manager);
    if (found.length > 1) {
      const ids = found.map(({ id }, index) => (index < maxNamed ? id : '…'));
      throw referralError('AMBIGUOUS', `the ${this.kind.word}s`, name, value, `the ids ${ids.join(', ')}`);
    }
    const [record] = found;
    if (record) return this.#as(record, plain, fields) as As<R, O>;
    if (!optional) throw referralError('NOT_FOUND', this.kind.word, name, [value]);
    return null as Optional<O>;
  }

  #checkedSearch(where: unknown, order: unknown, fields: readonly string[] | undefined): CheckedSearch {
    return {
      where: checkedWhere(this.kind, where),
      order: checkedOrder(this.kind.fields, order),
      select: fields === undefined ? undefined : checkedSelect(this.kind, fields),
      fields,
    };
  }

  #as(record: R, plain: boolean, fields: readonly string[] | undefined): R | Record<string, unknown> {
    return plain ? this.plain(record, fields) : record;
  }
}

/** How many records a `search` without `take` returns at most. */
const defaultTake = 100;

/** How many ids an `AMBIGUOUS` error names. */
const maxNamed = 10;

/** Checks the options of a call that reads records. */
export function checkedOptions(
  options: ReadOptions | undefined = {},
): ReadOptions & { optional: boolean; plain: boolean } {
  const fields = { optional: true, fields: true, plain: true, manager: true } as const;
  const { optional = false, plain = false, ...given } = objectOf<ReadOptions>('options', options, fields);
  return { ...given, optional: booleanOf('optional', optional), plain: booleanOf('plain', plain) };
}
