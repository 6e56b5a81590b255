import type { EntityManager } from 'typeorm';
import { idOfCode } from '../../database/codes';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { sql } from '../../database/named-parameters';
import { overtaken } from '../../database/retry';
import { ReferralSignup } from '../../entities/referral-signup';
import { invalid, referralError } from '../../errors';
import { isNothing, objectOf, typedCode } from '../../input';
import { quoted } from '../../shown';
import type { UserRef } from '../../types/common';
import type { ReassignInput, SignupInput } from '../../types/signups';
import type { Author } from '../records/audit';
import { takeTurn } from '../records/buyer-turn';
import { RecordManager } from '../records/record-manager';
import type { SignupEarnings } from '../records/signup-earnings';
import type { ReassignedSignup, Reassignments } from './reassignments';
import { explainSignup } from './signup-explanation';
import { signupRemoval } from './signup-removal';
import type { SignupPlan, Signups } from './signups';

/** `referrals.signups`: who signed up with which referral. */
export class SignupManager extends RecordManager<ReferralSignup, SignupInput, object, SignupPlan> {
  readonly #signups: Signups;
  readonly #earnings: SignupEarnings;
  readonly #reassignments: Reassignments;

  /** @internal */
  constructor(database: Database, signups: Signups, earnings: SignupEarnings, reassignments: Reassignments) {
    super(database, { record: ReferralSignup, word: 'sign-up', inUse: {} });
    this.#signups = signups;
    this.#earnings = earnings;
    this.#reassignments = reassignments;
  }

  /**
   * Makes the sign-up of a user point to another referral, or to nobody, with the terms of its program at this time, where
   * the attribution was wrong. Later purchases are credited to it. The commissions so
   * far stay, or with `past: 'move'` those of the sign-up and its purchases that are not paid: they are taken back by entries
   * and made again for the new referrer, with their terms, from the same time on and whatever the limits of the new one. They
   * count to the limit for the referee, and in the period of their own terms to that for the referrer; to nobody, they are
   * taken back only. `past` of the answer says how much was moved, and how much stays. Those of coupons stay, and rejected ones stay rejected; what staff hold stays held, and the reviews of the new pair hold
   * what is moved, not those of the old one. Later refunds change what the new referrer has. The credits that the
   * sign-up has granted stay with those who have them, as credits by hand. A reward that is not granted yet is due by the
   * new terms, to which the usage so far counts; it is granted once, whoever gets the sign-up. A credit of the user's that
   * waits for a review goes on waiting, and is granted if no review holds the new pair. An expired code is taken; one without uses left is not. A repeated call
   * changes nothing.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field, before anything is written; `NOT_FOUND` for a user without a
   * sign-up (`signups.create` makes one) and for a referral that does not exist; `SIGNUP_REFUSED` for the user's own code,
   * for one that has no uses left, and for one of a suspended or banned account; `DATABASE_UNAVAILABLE`.
   * Emits `signupReassigned`, and `commissionEarned` for each commission that the new referrer gets.
   */
  reassign(user: UserRef, input: ReassignInput): Promise<ReassignedSignup> {
    return this.#reassignments.reassign(user, input);
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
    if (!row)
      throw referralError('SIGNUP_REFUSED', 'Nobody has referred the user, as was decided with signups.reassign.');
    const { code, isSame } = row;
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
   * sign-up itself has earned is rejected. The code gets its use back. One that a review holds stays.
   */
  protected async remove(id: number, manager: EntityManager, author: Author): Promise<void> {
    const { signups, referrals } = this.database.tables;
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
    if (await this.#wasReassigned(userId, manager))
      throw referralError('IN_USE', this.kind.word, id, 'it was reassigned; give it to nobody with signups.reassign');
    if (await this.#isHeld(signup, manager)) throw referralError('IN_USE', this.kind.word, id, 'a review holds it');
    if (await this.#hasEarned(signup, manager))
      throw referralError('IN_USE', this.kind.word, id, 'it has earned the referrer a commission');
    // Before the account, which the rejection locks, as in a sign-up.
    await this.database.query(
      sql({ code: signup.referralId }, ($) => `SELECT FROM ${referrals} WHERE id = ${$.code} FOR NO KEY UPDATE`),
      manager,
    );
    await this.#earnings.takeBack(signup.id, author, manager);
    await this.database.query(signupRemoval(this.database, signup), manager);
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

  async #isHeld({ referrerId, userId }: ReferralSignup, manager: EntityManager): Promise<boolean> {
    const { reviews } = this.database.tables;
    const held = sql(
      { referrerId, userId },
      ($) => `SELECT FROM ${reviews} WHERE referee_id = ${$.userId} AND user_id IS NOT DISTINCT FROM ${$.referrerId}
        AND is_holding LIMIT 1`,
    );
    return (await this.database.query(held, manager)).length > 0;
  }

  async #wasReassigned(userId: string, manager: EntityManager): Promise<boolean> {
    const { buyers } = this.database.tables;
    const reassigned = sql(
      { userId },
      ($) => `SELECT FROM ${buyers} WHERE user_id = ${$.userId} AND reassigned_at IS NOT NULL`,
    );
    return (await this.database.query(reassigned, manager)).length > 0;
  }
}
