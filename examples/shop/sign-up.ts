import type { Request } from 'express';
import { Referral } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { User } from './entities';
import { hashPassword } from './passwords';

export interface NewUser {
  name: string;
  email: string;
  password: string;
}

/**
 * The sign-up hook: the account, its first link and the news for whoever invited this visitor are one transaction. Either
 * all of it happens, or none.
 *
 * @returns null when the e-mail address has an account already.
 */
export async function signUp(dataSource: DataSource, req: Request, newUser: NewUser): Promise<User | null> {
  const { name, email, password } = newUser;
  // Both before the transaction: it should not stay open for a slow hash, nor wait for a second connection of the pool.
  const passwordHash = await hashPassword(password);
  const referral = await req.referralForRequest();
  try {
    return await dataSource.transaction(async (manager) => {
      const user = await manager.save(manager.create(User, { name, email, passwordHash }));
      await Referral.create({ user, redirectTo: '/', label: 'welcome' }, { manager });
      await referral?.respond(req, 'REGISTERED', { user, manager });
      return user;
    });
  } catch (error) {
    // The database decides, not a look-up before: of two sign-ups at once, one gets here.
    const { code, constraint } = error as { code?: string; constraint?: string };
    if (code === '23505' && constraint === 'uq_shop_users_email') return null;
    throw error;
  }
}
