import type { Request } from 'express';
import { Referral } from 'express-referrals';
import { User } from './entities';
import { joinProgram } from './friends';
import { hashPassword } from './passwords';
import { codeRefusal } from './refusals';
import type { Shop } from './shop';

export interface NewUser {
  name: string;
  email: string;
  password: string;
  /** The referral code that the user typed; empty for none. */
  code: string;
}

type Outcome = { user: User; problem?: undefined } | { user?: undefined; problem: string };

/** Thrown to roll back the transaction. The form shows the message. */
class Refusal extends Error {}

/**
 * Creates a user. One transaction contains the user, the user's first link, the sign-up and its credit.
 *
 * @returns the user, or a problem for the form: the address has an account already, or the typed code is refused.
 */
export async function signUp(
  { dataSource, referrals, program }: Shop,
  req: Request,
  newUser: NewUser,
): Promise<Outcome> {
  const { name, email, password, code } = newUser;
  // Both run before the transaction, so that it does not stay open during the slow hash, and does not need a second
  // connection of the pool.
  const passwordHash = await hashPassword(password);
  const referral = await req.referralForRequest();
  try {
    const user = await dataSource.transaction(async (manager) => {
      const user = await manager.save(manager.create(User, { name, email, passwordHash }));
      await Referral.create({ user, redirectTo: '/', label: 'welcome', program }, { manager });
      await referral?.respond(req, 'REGISTERED', { user, manager });
      const link = code === '' ? referral : await Referral.findByCode(code, { manager });
      // These two are last, because other sign-ups with the same code wait from here until the commit.
      if (link) await joinProgram(program, link, manager);
      const signup = await Referral.recordSignup(req, user, { code, manager });
      // A sign-up is permanent. If the code is refused, the user must be able to correct it before the account exists.
      if (!signup && code !== '') throw new Refusal(codeRefusal(await referrals.explainSignup(user, { manager })));
      return user;
    });
    return { user };
  } catch (error) {
    if (error instanceof Refusal) return { problem: error.message };
    // The unique constraint decides, because a look-up before the INSERT would miss a concurrent sign-up.
    const { code: sqlState, constraint } = error as { code?: string; constraint?: string };
    if (sqlState === '23505' && constraint === 'uq_shop_users_email')
      return { problem: 'This e-mail address has an account already. Log in instead.' };
    throw error;
  }
}
