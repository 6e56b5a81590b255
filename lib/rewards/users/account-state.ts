import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralAccount } from '../../entities/referral-account';
import { commissionFields } from '../records/commission-terms';

const names = [
  ...(['id', 'suspendedAt', 'bannedAt', 'minimum'] as const),
  ...(Object.keys(commissionFields) as (keyof typeof commissionFields)[]),
];

/** What staff have decided about an account, of which a merge keeps one. */
export type AccountState = Pick<ReferralAccount, (typeof names)[number]>;

/** Returns the state of a user's account; null if there is none. */
export async function accountState(
  database: Database,
  user: string,
  manager: EntityManager,
): Promise<AccountState | null> {
  const query = sql(
    { user },
    ($) => `SELECT ${database.columns(ReferralAccount)} FROM ${database.tables.accounts} WHERE user_id = ${$.user}`,
  );
  const [row] = await database.query<object>(query, manager);
  if (!row) return null;
  const account = database.entity(ReferralAccount, row);
  return Object.fromEntries(names.map((name) => [name, account[name]])) as unknown as AccountState;
}
