import type { Database } from '../../database/database';
import { grantEntriesCte } from '../credits/entries';

/** The two sides of a sign-up, by the kind of their credit: `referral` is the referee's, `reward` the referrer's. */
export type SignupSide = 'referral' | 'reward';

/**
 * Returns the CTE `granted`, which inserts the credits that are due for the sign-ups in the CTE `source`, and the CTE of
 * their ledger entries. The statement must have the CTE `at`. `sides` is the placeholder of an array of {@link SignupSide}: only these sides get their
 * credit.
 */
export function grantedCte(database: Database, source: string, sides: string): string {
  const { credits, referrals, programs } = database.tables;
  return `
      -- Inserts the credit of each side of the sign-up to which one is due. If an earlier call has granted it, the
      -- unique index on the side makes the INSERT skip it. The credit is not older than what it is for.
      granted AS (
        INSERT INTO ${credits}
          (user_id, kind, name, type_id, initial_balance, current_balance, start_date, expiry_date, referee_id,
            created_at)
        SELECT side.user_id, side.kind,
          coalesce(p.name || ': ', '') || side.words || ' for sign-up ' || s.id || ' with ' || r.code,
          side.type_id, side.amount, side.amount, since.now, since.now + side.days * interval '24 hours', s.user_id,
          since.now
        FROM ${source} s CROSS JOIN at
        CROSS JOIN LATERAL (SELECT greatest(at.now, s.created_at, s.threshold_reached_at) AS now) AS since
        JOIN ${referrals} r ON r.id = s.referral_id LEFT JOIN ${programs} p ON p.id = s.program_id
        CROSS JOIN LATERAL (VALUES
          ('referral', 'credit', s.user_id, s.referral_credit_amount, s.referral_credit_duration,
            s.referral_credit_type_id, true),
          ('reward', 'reward', s.referrer_id, s.reward_credit_amount, s.reward_credit_duration,
            s.reward_credit_type_id, s.threshold_reached_at IS NOT NULL AND s.no_reward IS NULL)
        ) AS side (kind, words, user_id, amount, days, type_id, is_due)
        WHERE side.is_due AND side.amount IS NOT NULL AND side.user_id IS NOT NULL AND side.kind = ANY(${sides}::text[])
        ON CONFLICT (referee_id, kind, user_id) WHERE referee_id IS NOT NULL DO NOTHING
        RETURNING *
      ),
      ${grantEntriesCte(database, 'granted')}`;
}
