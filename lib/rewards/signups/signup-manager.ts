import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { ReferralSignup } from '../../entities/referral-signup';
import { invalid, referralError } from '../../errors';
import { isNothing, objectOf } from '../../input';
import type { SignupInput } from '../../types/signups';
import { takeTurn } from '../records/buyer-turn';
import { RecordManager } from '../records/record-manager';
import type { Signups } from './signups';

/** `referrals.signups`. */
export class SignupManager extends RecordManager<ReferralSignup, SignupInput, object> {
  readonly #signups: Signups;

  /** @internal */
  constructor(database: Database, signups: Signups) {
    super(database, { record: ReferralSignup, word: 'sign-up', inUse: {} });
    this.#signups = signups;
  }

  /** Signs a user up with a code; what refuses it is an error. */
  protected async make(input: SignupInput, manager: EntityManager): Promise<ReferralSignup> {
    const { user, code } = objectOf('signups.create', input, ['user', 'code']);
    if (typeof code !== 'string' || code === '') throw invalid('code', 'a code, as a string', code);
    const signup = await this.#signups.record(null, user, { code, manager });
    if (signup) return signup;
    const { sentence } = await this.#signups.explain(user, { manager });
    throw referralError('SIGNUP_REFUSED', sentence);
  }

  protected async change(id: number, _changes: object, manager: EntityManager): Promise<never> {
    await this.get(id, { manager });
    throw referralError('NOT_CHANGEABLE', this.kind.word, id, 'a sign-up is made once and for good');
  }

  /** A sign-up without money on it can be taken back, and gives its use back. */
  protected async remove(id: number, manager: EntityManager): Promise<void> {
    const { tables } = this.database;
    const { userId } = await this.get(id, { manager });
    await takeTurn(this.database, userId, manager);
    // Whoever records usage of the user waits from here on; and this sees what they have recorded.
    await this.database.query(`SELECT FROM ${tables.signups} WHERE user_id = $1 FOR UPDATE`, [userId], manager);
    const signup = await this.get(id, { manager });
    if (!isNothing(signup.referralCreditAmount) || !isNothing(signup.rewardCreditAmount))
      throw referralError('IN_USE', this.kind.word, id, 'it promises credit by its terms');
    const earned = `SELECT FROM ${tables.commissions} WHERE user_id = $1 AND referee_id = $2 LIMIT 1`;
    if ((await this.database.query(earned, [signup.referrerId, userId], manager)).length > 0)
      throw referralError('IN_USE', this.kind.word, id, 'it has earned the referrer a commission');
    await this.database.query(
      `WITH uncounted AS (
         UPDATE ${tables.usages} SET is_counted = false WHERE user_id = $1 AND is_counted
       ), given_back AS (
         UPDATE ${tables.referrals} SET uses = uses - 1 WHERE id = $2 RETURNING id
       ), unmet AS (
         DELETE FROM ${tables.referees} WHERE user_id = $3 AND referee_id = $1 AND earned = 0 AND upgraded_at IS NULL
           AND EXISTS (SELECT FROM given_back) -- first the code, then the account, as a sign-up does
         RETURNING *
       ), uncounted_user AS (
         UPDATE ${tables.accounts} SET users_referred = users_referred - 1 WHERE user_id IN (SELECT user_id FROM unmet)
       )
       DELETE FROM ${tables.signups} WHERE user_id = $1`,
      [userId, signup.referralId, signup.referrerId],
      manager,
    );
  }
}
