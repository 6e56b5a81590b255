import { optionsOf, staffOptionsOf } from '../input';
import type { StaffOptions } from '../types/audit';
import type { WithManager } from '../types/common';
import { type RecordCalls, registry } from './instance';

interface Load<T = unknown> {
  readonly result: Promise<T>;
  isDone: boolean;
}

/** The related records that each record has loaded, by name. */
const cache = new WeakMap<object, Map<string, Load>>();

/**
 * A record that a manager loads, changes and deletes. It loads each related record on first use, and caches it until
 * {@link refresh}. Its asynchronous methods take a `manager`: the EntityManager of the host's transaction.
 */
export abstract class ReferralRecord<Changes extends object = object> {
  abstract readonly id: number;

  /**
   * Reloads the record's fields and clears the cache of related records.
   *
   * @throws ReferralError `NOT_FOUND` if the record is deleted.
   */
  async refresh(options: WithManager = {}): Promise<this> {
    await recordsOf(this, 'refresh', options).refresh(this, options);
    cache.delete(this);
    return this;
  }

  /**
   * Changes the record as its manager's `update` does, and reloads it.
   *
   * @throws ReferralError `NOT_FOUND`, `INVALID_INPUT`, `NOT_CHANGEABLE`.
   */
  async update(changes: Changes, options: StaffOptions = {}): Promise<this> {
    const given = staffOptionsOf('record.update', options);
    const within = { manager: given.manager };
    await recordsOf(this, 'update', within).update(this, changes, given);
    return this.refresh(within);
  }

  /**
   * Deletes the record as its manager's `delete` does.
   *
   * @throws ReferralError `IN_USE` if money or other records depend on it.
   */
  async delete(options: StaffOptions = {}): Promise<void> {
    const given = staffOptionsOf('record.delete', options);
    await recordsOf(this, 'delete', { manager: given.manager }).delete(this, given);
  }

  /** Returns the record's loaded fields as a plain object. */
  toJSON(): Record<string, unknown> {
    return recordsOf(this, 'toJSON').plain(this);
  }
}

/**
 * Loads a related record once and caches it, by record and name. A failed load is not cached. Concurrent calls share a
 * load, but a call in the host's transaction does not wait for that of another call: that one may be waiting for the
 * connection which this transaction holds.
 */
export async function related<T>(
  record: ReferralRecord<never>,
  name: string,
  options: WithManager,
  load: (records: RecordCalls) => Promise<T>,
): Promise<T> {
  optionsOf(`record.${name}`, options);
  const loads = cache.get(record) ?? new Map<string, Load>();
  cache.set(record, loads);
  const known = loads.get(name) as Load<T> | undefined;
  if (known && (known.isDone || !options.manager)) return known.result;
  const made: Load<T> = { result: load(recordsOf(record, name, options)), isDone: false };
  loads.set(name, made);
  made.result.then(
    () => (made.isDone = true),
    () => loads.get(name) === made && loads.delete(name),
  );
  return made.result;
}

function recordsOf(record: object, call: string, options: WithManager = {}): RecordCalls {
  return registry.instanceOf(record, `record.${call}`, optionsOf(`record.${call}`, options)).records;
}
