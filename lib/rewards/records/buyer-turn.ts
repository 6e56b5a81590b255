import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';

/**
 * Takes a turn with a buyer: makes and locks the row, and gives it another version, so that a statement that has read of the buyer
 * before finds out.
 */
export async function takeTurn(database: Database, userId: string, manager: EntityManager): Promise<void> {
  await database.query(
    `INSERT INTO ${database.tables.buyers} AS b (user_id) VALUES ($1)
     ON CONFLICT (user_id) DO UPDATE SET version = b.version + 1`,
    [userId],
    manager,
  );
}
