import type { RecordCalls, RecordsByManager } from '../../entities/instance';
import type { ReferralRecord } from '../../entities/record';
import type { StaffOptions } from '../../types/audit';
import type { WithManager } from '../../types/common';
import type { PurchaseManager } from '../commissions/purchase-manager';
import type { RecordManager } from './record-manager';

/** A manager of any kind of records. It checks its input itself. */
export type AnyManager = RecordManager<ReferralRecord, object, object>;

type Managers = Readonly<Record<keyof RecordsByManager, unknown> & { purchases: PurchaseManager }>;

/** Returns the calls that the methods of records make. Each goes to the record's manager. */
export function recordCalls(managers: Managers): RecordCalls {
  const byName = managers as Readonly<Record<keyof RecordsByManager, AnyManager>>;
  const byClass = new Map<unknown, AnyManager>(Object.values(byName).map((manager) => [manager.kind.record, manager]));
  const managerOf = (record: object): AnyManager => byClass.get(record.constructor)!;

  return {
    async find<M extends keyof RecordsByManager>(
      manager: M,
      where: Partial<RecordsByManager[M]>,
      options: WithManager,
    ): Promise<RecordsByManager[M][]> {
      const found = await byName[manager].all(where, options.manager);
      return found as unknown as RecordsByManager[M][];
    },

    async findById<M extends keyof RecordsByManager>(
      manager: M,
      id: number | null,
      options: WithManager,
    ): Promise<RecordsByManager[M] | null> {
      if (id === null) return null;
      return (await byName[manager].get(id, { manager: options.manager })) as unknown as RecordsByManager[M];
    },

    lateAttributionOf: (purchase, options) => managers.purchases.lateAttributionOf(purchase, options),

    async refresh(record: ReferralRecord, { manager }: WithManager): Promise<void> {
      Object.assign(record, await managerOf(record).get(record.id, { manager }));
    },

    async update(record: ReferralRecord, changes: object, options: StaffOptions): Promise<void> {
      await managerOf(record).update(record.id, changes, options);
    },

    async delete(record: ReferralRecord, options: StaffOptions): Promise<void> {
      await managerOf(record).delete(record.id, options);
    },

    plain: (record) => managerOf(record).plain(record),
  };
}
