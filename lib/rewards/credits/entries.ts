import type { Database } from '../../database/database';

/** SQL: the kinds of entries that belong to a spend or hold. Their reference is that of the spend or hold. */
export const kindsOfSpends = `('spend', 'hold', 'release', 'refund')`;

/**
 * Returns the CTE that adds the first ledger entry of each new credit, its opening balance. `source` is the CTE that
 * inserts the credits and returns their rows. Every statement that inserts credits has it.
 */
export function grantEntriesCte({ tables }: Database, source: string): string {
  return `
    -- Adds the first ledger entry of each new credit.
    grant_entries AS (
      INSERT INTO ${tables.transactions} (user_id, credit_id, kind, value, reference, created_at)
      SELECT user_id, id, 'grant', initial_balance, reference, created_at FROM ${source}
    )`;
}
