import { forgetDays } from '../../database/closed-days';
import type { Database } from '../../database/database';
import { type Query, sql } from '../../database/named-parameters';
import type { ReferralSignup } from '../../entities/referral-signup';
import { addCounts } from '../records/user-counts';

/** Deletes a sign-up that no credit names, and gives the code its use back. The caller has locked the sign-up. */
export function signupRemoval(
  database: Database,
  { userId, referralId, referrerId }: Pick<ReferralSignup, 'userId' | 'referralId' | 'referrerId'>,
): Query {
  const { signups, usages, referrals, referees, accounts, commissions } = database.tables;
  return sql(
    { userId, referralId, referrerId },
    ($) => `
        WITH
        -- The user's usage no longer counts for a sign-up.
        uncounted AS (
          UPDATE ${usages} SET is_counted = false WHERE user_id = ${$.userId} AND is_counted RETURNING user_id, amount
        ),
        -- Counts it as such.
        counted AS (
          ${addCounts(
            database,
            ['uncounted_usages', 'uncounted_usage'],
            'SELECT user_id, count(*), sum(amount) FROM uncounted GROUP BY 1',
          )}
        ),
        -- Subtracts the use of the code.
        given_back AS (
          UPDATE ${referrals} SET uses = uses - 1 WHERE id = ${$.referralId} RETURNING id
        ),
        -- Deletes the pair of referrer and referee, unless a purchase or a commission has used it. EXISTS (given_back) only orders the
        -- two writes, so that the referral is locked before the account, as in a sign-up.
        unmet AS (
          DELETE FROM ${referees}
          WHERE user_id = ${$.referrerId} AND referee_id = ${$.userId} AND earned = 0 AND upgraded_at IS NULL
            AND NOT EXISTS (
              SELECT FROM ${commissions}
              WHERE user_id = ${$.referrerId} AND referee_id = ${$.userId} AND moved_at IS NULL
            )
            AND EXISTS (SELECT FROM given_back)
          RETURNING *
        ),
        -- Subtracts the pair from the count of the referrer's account.
        uncounted_user AS (
          UPDATE ${accounts} SET users_referred = users_referred - 1 WHERE user_id IN (SELECT user_id FROM unmet)
        ),
        -- The day of the sign-up may be closed.
        forgotten AS (
          ${forgetDays(database.tables, `SELECT ${$.referrerId}::varchar`)}
        )
        DELETE FROM ${signups} WHERE user_id = ${$.userId}`,
  );
}
