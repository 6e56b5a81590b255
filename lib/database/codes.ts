import type { EntityManager } from 'typeorm';
import { referralError } from '../errors';
import type { Database } from './database';
import { folded } from './folding';
import { sql } from './named-parameters';

type Tables = Database['tables'];

/**
 * SQL: the id of the referral that a code leads to, which has the code or once had it; null if there is none. The code of
 * a deleted referral leads to an id that no referral has.
 */
export function idOfCode({ referrals, aliases }: Tables, code: string): string {
  // Processes of an older version make referrals without an alias.
  return `coalesce(
    (SELECT id FROM ${referrals} WHERE ${folded('code')} = ${folded(code)}),
    (SELECT referral_id FROM ${aliases} WHERE code = ${folded(code)}))`;
}

/** SQL: whether a code is one of a referral's, at present or in the past. */
export function isCodeOf({ aliases }: Tables, code: string, referralId: string): string {
  return `EXISTS (SELECT FROM ${aliases} WHERE code = ${folded(code)} AND referral_id = ${referralId})`;
}

/**
 * Gives a new code to a referral for good, before the referral is changed. A code that it once had is its own again. The
 * primary key decides between concurrent calls.
 *
 * @throws ReferralError `CODE_TAKEN` if another referral has the code, or once had it.
 */
export async function takeCode(database: Database, id: number, code: string, manager: EntityManager): Promise<void> {
  const { referrals, aliases } = database.tables;
  const query = sql(
    { id, code },
    ($) => `
    WITH
    -- The new code, and the one so far, which has no alias if a process of an older version has made the referral. In the
    -- order of the key, so that two calls can't deadlock. The update changes nothing: it waits for a concurrent call, and
    -- returns the row that is there.
    kept AS (
      INSERT INTO ${aliases} AS a (code, referral_id)
      SELECT code, ${$.id}::bigint FROM (
        SELECT ${folded('code')} AS code FROM ${referrals} WHERE id = ${$.id}::bigint
        UNION SELECT ${folded($.code)}
      ) AS codes ORDER BY code
      ON CONFLICT (code) DO UPDATE SET referral_id = a.referral_id
      RETURNING *
    )
    SELECT FROM kept WHERE code = ${folded($.code)} AND referral_id = ${$.id}::bigint`,
  );
  const rows = await database.query(query, manager);
  if (rows.length === 0) throw referralError('CODE_TAKEN', code);
}
