import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import type { CreditOffer } from '../../types/figures';

/** What a visitor is told who came through a referral. */
export interface Invitation {
  /** The id of who invited; null for a referral of the site itself. */
  inviter: string | null;
  /** What the visitor gets at the sign-up; null for nothing. */
  friend: CreditOffer | null;
}

/**
 * Returns the invitation by a referral. Null once it means nothing for the visitor: after the sign-up, on the visitor's own
 * link, and while the referrer is suspended, whose codes can't be used.
 *
 * @param user the visitor's id, if signed in.
 */
export async function invitationOf(
  database: Database,
  referral: number,
  user: string | null,
): Promise<Invitation | null> {
  const { referrals, programs, accounts, signups } = database.tables;
  const [row] = await database.query<{ inviter: string | null; amount: string | null; days: number | null }>(
    sql(
      { referral, user },
      ($) => `
      SELECT r.user_id AS inviter, p.referral_credit_amount AS amount, p.referral_credit_duration AS days
      FROM ${referrals} r LEFT JOIN ${programs} p ON p.id = r.program_id LEFT JOIN ${accounts} a ON a.user_id = r.user_id
      WHERE r.id = ${$.referral} AND a.suspended_at IS NULL AND r.user_id IS DISTINCT FROM ${$.user}::text
        AND NOT EXISTS (SELECT FROM ${signups} s WHERE s.user_id = ${$.user}::text)`,
    ),
  );
  if (!row) return null;
  const { inviter, amount, days } = row;
  return { inviter, friend: amount === null ? null : { amount: database.shown(amount), durationDays: days! } };
}
