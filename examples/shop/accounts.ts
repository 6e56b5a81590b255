import { randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { User } from './entities';
import { hashPassword } from './passwords';

/** The accounts that the shop itself creates. Their addresses are published here, so their passwords must not be. */
export const accounts = {
  staff: { name: 'Staff', email: 'staff@shop.example', isStaff: true },
  partner: { name: 'Tea & Type', email: 'partner@shop.example', isStaff: false },
};

/** A password that nobody can guess. */
export const randomPassword = (): string => randomBytes(15).toString('base64url');

/**
 * Returns an account of the shop's own, with this password from now on. The first start of the shop creates it; each
 * start sets its password, so that one that became known does not stay.
 *
 * @throws Error if a customer has registered with the address, who must not become staff.
 */
export async function ensureAccount(
  dataSource: DataSource,
  { name, email, isStaff }: (typeof accounts)[keyof typeof accounts],
  password: string,
): Promise<User> {
  await dataSource.query(
    `INSERT INTO shop_users (name, email, is_staff, password_hash) VALUES ($1, $2, $3, $4)
     ON CONFLICT (email) DO UPDATE SET password_hash = excluded.password_hash WHERE shop_users.is_staff = excluded.is_staff`,
    [name, email, isStaff, await hashPassword(password)],
  );
  const user = await dataSource.manager.findOneByOrFail(User, { email });
  if (user.isStaff !== isStaff) throw new Error(`A customer has the address ${email}. Give that account another one.`);
  return user;
}
