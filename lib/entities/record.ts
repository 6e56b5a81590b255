import type { WithManager } from '../types/common';
import { type RecordCalls, registry } from './instance';

/** What records have loaded of each other. */
const kept = new WeakMap<object, Map<string, Promise<unknown>>>();

/**
 * A row that managers load, change and delete. It loads each related record once, on first use, and keeps it until
 * {@link refresh}.
 */
export abstract class ReferralRecord<Changes extends object = object> {
  abstract readonly id: number;

  /** Loads the record's fields anew, and forgets the related records. @throws ReferralError `NOT_FOUND` if it is gone. */
  async refresh(options: WithManager = {}): Promise<this> {
    await recordsOf(this, 'refresh', options).refresh(this, options);
    kept.delete(this);
    return this;
  }

  /** Changes the record, as its manager's `update` does, and loads it anew. */
  async update(changes: Changes, options: WithManager = {}): Promise<this> {
    await recordsOf(this, 'update', options).update(this, changes, options);
    return this.refresh(options);
  }

  /** Deletes the record, as its manager's `delete` does. @throws ReferralError `IN_USE` if money is on it. */
  async delete(options: WithManager = {}): Promise<void> {
    await recordsOf(this, 'delete', options).delete(this, options);
  }

  /** The record's loaded fields as a plain object. */
  toJSON(): Record<string, unknown> {
    return recordsOf(this, 'toJSON').plain(this);
  }
}

/** What `load` answers, once for a record and name. A failure is no answer. */
export function related<T>(
  record: ReferralRecord<never>,
  name: string,
  options: WithManager,
  load: (records: RecordCalls) => Promise<T>,
): Promise<T> {
  const answers = kept.get(record) ?? new Map<string, Promise<unknown>>();
  kept.set(record, answers);
  let answer = answers.get(name) as Promise<T> | undefined;
  if (!answer) {
    answer = load(recordsOf(record, name, options));
    answers.set(name, answer);
    answer.catch(() => answers.delete(name));
  }
  return answer;
}

function recordsOf(record: object, call: string, options?: WithManager): RecordCalls {
  return registry.instanceOf(record, `record.${call}`, options).records;
}
