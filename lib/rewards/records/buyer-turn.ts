import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';

/**
 * Locks the row of a buyer until the transaction ends. Inserts the row if there is none. So the calls for one buyer run
 * one at a time.
 *
 * It also changes the row's version, which is an optimistic lock: a purchase that has read the row before finds another
 * version, and retries.
 */
export async function takeTurn(database: Database, userId: string, manager: EntityManager): Promise<void> {
  await database.query(
    sql(
      { user: userId },
      ($) => `
      INSERT INTO ${database.tables.buyers} AS b (user_id) VALUES (${$.user})
      ON CONFLICT (user_id) DO UPDATE SET version = b.version + 1`,
    ),
    manager,
  );
}
