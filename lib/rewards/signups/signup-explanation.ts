import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { ReferralSignup } from '../../entities/referral-signup';
import { ReferralSignupRefusal } from '../../entities/referral-signup-refusal';
import { optionsOf, someUserIdOf } from '../../input';
import type { UserRef, WithManager } from '../../types/common';
import type { SignupRefusal, Weighed } from '../../types/signups';

/** The result of `explainSignup`. */
export interface SignupExplanation {
  /** Why the newest `recordSignup` of the user made no sign-up; `already-signed-up` for a user who has a sign-up. */
  reason: SignupRefusal;
  /** The reason as a sentence. */
  sentence: string;
  /** The user's sign-up; null if there is none. */
  signup: ReferralSignup | null;
  /** The referrals that were considered for the sign-up, else for the refusal; null if neither is stored. */
  weighed: Weighed | null;
  /** The time of the sign-up, else of the refusal; null if neither is stored. */
  decidedAt: Date | null;
}

/** Why a sign-up was refused. */
export const refusalSentences: Record<SignupRefusal, string> = {
  'no-code': 'No code was typed, and the user did not come through a referral.',
  'unknown-code': 'No referral has the code that was typed.',
  'expired': 'The code that was typed has expired.',
  'used-up': 'The code has had as many sign-ups as it allows.',
  'own-code': 'The code is the user’s own.',
  'already-signed-up': 'The user has already signed up, and a sign-up is permanent.',
  'suspended': 'The account of the code’s owner is suspended or banned.',
  'outside-window': 'The user came through a referral, but before the attribution window.',
};

/** Returns why a user has no sign-up, or how the referral of the sign-up was chosen. */
export async function explainSignup(
  database: Database,
  user: UserRef,
  options: WithManager = {},
): Promise<SignupExplanation> {
  const { manager } = optionsOf('explainSignup', options);
  const { signups, refusals } = database.tables;
  const [row] = await database.query<{ 'signup.id': string | null; 'refusal.userId': string | null }>(
    sql(
      { user: someUserIdOf('user', user) },
      ($) => `SELECT ${database.columns(ReferralSignup, 's', 'signup.')},
         ${database.columns(ReferralSignupRefusal, 'f', 'refusal.')}
       FROM (SELECT) AS always
       LEFT JOIN ${signups} s ON s.user_id = ${$.user} LEFT JOIN ${refusals} f ON f.user_id = ${$.user}`,
    ),
    manager,
  );
  const signup = row!['signup.id'] === null ? null : database.entity(ReferralSignup, row!, 'signup.');
  const refusal = row!['refusal.userId'] === null ? null : database.entity(ReferralSignupRefusal, row!, 'refusal.');
  const reason = signup ? 'already-signed-up' : (refusal?.reason ?? 'no-code');
  const decided = signup ?? refusal;
  return {
    reason,
    sentence: decided ? refusalSentences[reason] : 'recordSignup was not called for this user, or was rolled back.',
    signup,
    weighed: decided?.weighed ?? null,
    decidedAt: decided?.createdAt ?? null,
  };
}
