import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { invalid } from '../errors';

/**
 * Deletes the responses and counts of a referral that the transaction has deleted: no foreign key does. They must
 * be deleted after it. Deleting its row waits for the batches of clicks that have locked it, and the snapshot of the later
 * statements contains what those have committed. A batch that comes later finds no referral. Under REPEATABLE READ the
 * snapshot is older, and clicks would remain, so that the host's transaction must not be one.
 */
export async function eraseClicks(database: Database, referralId: number, manager: EntityManager): Promise<void> {
  const [row] = await database.query<{ isolation: string }>(
    `SELECT current_setting('transaction_isolation') AS isolation`,
    manager,
  );
  if (row!.isolation !== 'read committed')
    throw invalid('manager', 'for a deletion, a manager of a READ COMMITTED transaction', row!.isolation);
  const { responses, dailyCounts, visitorClicks } = database.tables;
  for (const table of [responses, dailyCounts, visitorClicks])
    await database.query(
      sql({ referralId }, ($) => `DELETE FROM ${table} WHERE referral_id = ${$.referralId}`),
      manager,
    );
}
