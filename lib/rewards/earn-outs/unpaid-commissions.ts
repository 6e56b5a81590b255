import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';

/** Returns the commissions of a user that are neither in an earn-out nor rejected nor moved away, each with its buyer. */
export async function unpaidCommissions(
  database: Database,
  userId: string,
  manager: EntityManager,
): Promise<{ id: number; buyer: string }[]> {
  const query = sql(
    { user: userId },
    ($) => `
    SELECT id::text AS id, referee_id AS buyer FROM ${database.tables.commissions}
    WHERE user_id = ${$.user} AND earn_out_id IS NULL AND rejected_at IS NULL AND moved_at IS NULL ORDER BY id`,
  );
  const rows = await database.query<{ id: string; buyer: string }>(query, manager);
  return rows.map(({ id, buyer }) => ({ id: Number(id), buyer }));
}
