import type { EntityManager } from 'typeorm';
import { idOfCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { type Query, sql } from '../../database/named-parameters';
import { overtaken } from '../../database/retry';
import { ReferralSignup } from '../../entities/referral-signup';
import { invalid, referralError } from '../../errors';
import { isNothing, objectOf, typedCode } from '../../input';
import { quoted } from '../../shown';
import type { SignupInput } from '../../types/signups';
import { theProgram } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import { RecordManager } from '../records/record-manager';
import type { SignupEarnings } from '../records/signup-earnings';
import { addCounts } from '../records/user-counts';
import { explainSignup } from './signup-explanation';
import type { SignupPlan, Signups } from './signups';

/** `referrals.signups`: who signed up with which referral. */
export class SignupManager extends RecordManager<ReferralSignup, SignupInput, object, SignupPlan> {
  readonly #signups: Signups;
  readonly #earnings: SignupEarnings;

  /** @internal */
  constructor(database: Database, signups: Signups, earnings: SignupEarnings) {
    super(database, { record: ReferralSignup, word: 'sign-up', inUse: {} });
    this.#signups = signups;
    this.#earnings = earnings;
  }

  protected override async plan(input: SignupInput, manager: EntityManager | undefined): Promise<SignupPlan> {
    const { user, code } = objectOf('signups.create', input, { user: true, code: true });
    if (typeof code !== 'string' || code === '') throw invalid('code', 'a code, as a string', code);
    return this.#signups.plan(null, user, { code, manager });
  }

  /**
   * Signs a user up with a code. A repeated call with the same code returns the first sign-up.
   *
   * @throws ReferralError `SIGNUP_REFUSED` where `recordSignup` would return null, and for a user who has signed up with
   * another code.
   */
  protected async make(
    { user, code }: SignupInput,
    manager: EntityManager,
    plan: SignupPlan,
  ): Promise<ReferralSignup | typeof overtaken> {
    const signup = await this.#signups.make(plan, manager);
    if (signup === overtaken) return overtaken;
    if (signup === null) {
      const { sentence } = await explainSignup(this.database, user, { manager });
      throw referralError('SIGNUP_REFUSED', sentence);
    }
    await this.#refuseOther(signup, typedCode(code), manager);
    if (this.#signups.earlier.has(signup)) this.known.add(signup);
    return signup;
  }

  /**
   * Throws if a sign-up is an earlier one with another code. What the call has written is rolled back. A code that was
   * changed after the sign-up is still the same. Before the migration `KeepOldCodes` it could become another referral's.
   */
  async #refuseOther({ referralId, weighed }: ReferralSignup, typed: string, manager: EntityManager): Promise<void> {
    const { referrals } = this.database.tables;
    const query = sql(
      { referralId, typed, then: weighed.choice },
      ($) => `
        SELECT r.code, coalesce(
            ${idOfCode(this.database.tables, `${$.typed}::text`)} = r.id,
            ${folded(`${$.then}::text`)} = ${folded(`${$.typed}::text`)}, false) AS "isSame"
        FROM ${referrals} r WHERE r.id = ${$.referralId}`,
    );
    const [row] = await this.database.query<{ code: string; isSame: boolean }>(query, manager);
    const { code, isSame } = row!;
    if (isSame) return;
    const sentence =
      `The user has already signed up with the code ${quoted(code)}, not with ${quoted(typed)}, and a ` +
      `sign-up is permanent. Give ${quoted(code)} to get that sign-up; search by userId to find it.`;
    throw referralError('SIGNUP_REFUSED', sentence);
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'sign-ups are permanent');
  }

  /**
   * Deletes a sign-up whose terms grant no credit, and after which no purchase has earned the referrer a commission. What the
   * sign-up itself has earned is rejected. The code gets its use back.
   */
  protected async remove(id: number, manager: EntityManager): Promise<void> {
    const { signups } = this.database.tables;
    const { userId } = await this.get(id, { manager });
    await takeTurn(this.database, userId, manager);
    // Concurrent calls that record usage of this user wait for this row lock. What they committed before is in the
    // snapshots of the statements below.
    await this.database.query(
      sql({ userId }, ($) => `SELECT FROM ${signups} WHERE user_id = ${$.userId} FOR UPDATE`),
      manager,
    );
    const signup = await this.get(id, { manager });
    if (!isNothing(signup.referralCreditAmount) || !isNothing(signup.rewardCreditAmount))
      throw referralError('IN_USE', this.kind.word, id, 'its terms grant credit');
    if (await this.#hasEarned(signup, manager))
      throw referralError('IN_USE', this.kind.word, id, 'it has earned the referrer a commission');
    await this.#earnings.takeBack(signup.id, theProgram, manager);
    await this.database.query(this.#removalOf(signup), manager);
  }

  async #hasEarned({ referrerId, userId }: ReferralSignup, manager: EntityManager): Promise<boolean> {
    const { commissions } = this.database.tables;
    const earned = sql(
      { referrerId, userId },
      ($) => `SELECT FROM ${commissions}
        WHERE user_id = ${$.referrerId} AND referee_id = ${$.userId} AND kind = 'purchase' LIMIT 1`,
    );
    return (await this.database.query(earned, manager)).length > 0;
  }

  #removalOf({ userId, referralId, referrerId }: ReferralSignup): Query {
    const { signups, usages, referrals, referees, accounts, commissions } = this.database.tables;
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
            this.database,
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
            AND NOT EXISTS (SELECT FROM ${commissions} WHERE user_id = ${$.referrerId} AND referee_id = ${$.userId})
            AND EXISTS (SELECT FROM given_back)
          RETURNING *
        ),
        -- Subtracts the pair from the count of the referrer's account.
        uncounted_user AS (
          UPDATE ${accounts} SET users_referred = users_referred - 1 WHERE user_id IN (SELECT user_id FROM unmet)
        )
        DELETE FROM ${signups} WHERE user_id = ${$.userId}`,
    );
  }
}
