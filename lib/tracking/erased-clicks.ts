import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';

/**
 * Deletes the responses and daily counts of a referral that the transaction has deleted: no foreign key does. They must
 * be deleted after it. Deleting its row waits for the batches of clicks that have locked it, and the snapshot of the later
 * statements contains what those have committed. A batch that comes later finds no referral. Under REPEATABLE READ the
 * snapshot is older, so that clicks can remain: `verify` lists them.
 */
export async function eraseClicks(database: Database, referralId: number, manager: EntityManager): Promise<void> {
  const { responses, dailyCounts } = database.tables;
  for (const table of [responses, dailyCounts])
    await database.query(
      sql({ referralId }, ($) => `DELETE FROM ${table} WHERE referral_id = ${$.referralId}`),
      manager,
    );
}
