import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralAccount } from '../../entities/referral-account';

/** Locks the account of a user until the transaction ends, and returns it. Inserts it if there is none. */
export async function lockedAccount(
  database: Database,
  clock: Clock,
  user: string,
  manager: EntityManager,
): Promise<ReferralAccount> {
  const { accounts } = database.tables;
  const insert = sql(
    { user, now: clock.parameter() },
    ($) => `
    INSERT INTO ${accounts} (user_id, created_at, updated_at)
    SELECT ${$.user}, now, now FROM (SELECT ${timeOf($.now)} AS now) AS at ON CONFLICT (user_id) DO NOTHING`,
  );
  await database.query(insert, manager);
  // A statement of its own, so that it finds a row that a concurrent call has inserted.
  const lock = sql(
    { user },
    ($) => `SELECT ${database.columns(ReferralAccount)} FROM ${accounts} WHERE user_id = ${$.user} FOR NO KEY UPDATE`,
  );
  const [row] = await database.query<object>(lock, manager);
  return database.entity(ReferralAccount, row!);
}
