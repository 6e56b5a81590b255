import type { ReferralRecord } from '../../entities/record';
import type { RecordCalls } from '../../registry';
import type { WithManager } from '../../types/common';
import type { RecordManager } from './record-manager';

/** Any manager, as records see it: what it takes is checked by itself. */
export type AnyManager = RecordManager<ReferralRecord, object, object>;

/** What records ask of their managers, found by the class of the record. */
export class Records implements RecordCalls {
  readonly #managers: ReadonlyMap<unknown, AnyManager>;

  constructor(managers: readonly AnyManager[]) {
    this.#managers = new Map(managers.map((manager) => [manager.kind.record, manager]));
  }

  async find<T extends object>(kind: new () => T, where: object, { manager }: WithManager): Promise<T[]> {
    return (await this.#of(kind).search({ where, manager })) as unknown as T[];
  }

  async findById<T extends object>(kind: new () => T, id: number | null, { manager }: WithManager): Promise<T | null> {
    if (id === null) return null;
    return (await this.#of(kind).get(id, { manager })) as unknown as T;
  }

  async refresh(record: ReferralRecord, { manager }: WithManager): Promise<void> {
    Object.assign(record, await this.#of(record.constructor).get(record.id, { manager }));
  }

  async update(record: ReferralRecord, changes: object, { manager }: WithManager): Promise<void> {
    await this.#of(record.constructor).update(record.id, changes, { manager });
  }

  async delete(record: ReferralRecord, { manager }: WithManager): Promise<void> {
    await this.#of(record.constructor).delete(record.id, { manager });
  }

  plain(record: object): Record<string, unknown> {
    return this.#of(record.constructor).plain(record);
  }

  #of(kind: unknown): AnyManager {
    return this.#managers.get(kind)!;
  }
}
