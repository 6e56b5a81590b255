import type { Request } from 'express';
import { Referral } from 'express-referrals';
import { User } from './entities';
import { joinProgram } from './friends';
import { hashPassword } from './passwords';
import type { Shop } from './shop';

export interface NewUser {
  name: string;
  email: string;
  password: string;
  /** A referral code that was typed; empty for none. */
  code: string;
}

type Outcome = { user: User; problem?: undefined } | { user?: undefined; problem: string };

/** Undoes the transaction; the message is for the form. */
class Refusal extends Error {}

/**
 * The sign-up hook: the account, its first link, the news for whoever invited this visitor and the credit for it are
 * one transaction. Either all of it happens, or none.
 *
 * @returns the user, or what the visitor can put right: an address that has an account already, a code that does not
 * count.
 */
export async function signUp(
  { dataSource, referrals, program }: Shop,
  req: Request,
  newUser: NewUser,
): Promise<Outcome> {
  const { name, email, password, code } = newUser;
  // Both before the transaction: it should not stay open for a slow hash, nor wait for a second connection of the pool.
  const passwordHash = await hashPassword(password);
  const referral = await req.referralForRequest();
  try {
    const user = await dataSource.transaction(async (manager) => {
      const user = await manager.save(manager.create(User, { name, email, passwordHash }));
      await Referral.create({ user, redirectTo: '/', label: 'welcome', program }, { manager });
      await referral?.respond(req, 'REGISTERED', { user, manager });
      const link = code === '' ? referral : await Referral.findByCode(code, { manager });
      // These two last: from here on, others who sign up with the same code wait for the commit.
      if (link) await joinProgram(program, link, manager);
      const signup = await Referral.recordSignup(req, user, { code, manager });
      // A sign-up is credited once and for good, so who mistyped a code must get to correct it while there is no account.
      if (!signup && code !== '') throw new Refusal((await referrals.explainSignup(user, { manager })).sentence);
      return user;
    });
    return { user };
  } catch (error) {
    if (error instanceof Refusal) return { problem: error.message };
    // The database decides, not a look-up before: of two sign-ups at once, one gets here.
    const { code: sqlState, constraint } = error as { code?: string; constraint?: string };
    if (sqlState === '23505' && constraint === 'uq_shop_users_email')
      return { problem: 'This e-mail address has an account already. Log in instead.' };
    throw error;
  }
}
