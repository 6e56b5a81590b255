import type { ReferralChannel, Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { User } from './entities';
import { hashPassword } from './passwords';

const partner = { name: 'Tea & Type', email: 'partner@shop.example' };

/**
 * The coupon of somebody who writes about the shop, made when the shop starts for the first time; from then on its
 * terms are the database's. A real shop has a page for its staff, to make such coupons for any of its users.
 */
export async function partnersCoupon(
  dataSource: DataSource,
  { channels }: Referrals,
  password: string,
): Promise<ReferralChannel> {
  if (!(await dataSource.manager.existsBy(User, { email: partner.email }))) {
    const user = { ...partner, passwordHash: await hashPassword(password) };
    await dataSource.createQueryBuilder().insert().into(User).values(user).orIgnore().execute();
  }
  return dataSource.transaction(async (manager) => {
    // Processes that start at once take turns on this row: the first makes the coupon, the others find it.
    const user = await manager.findOneOrFail(User, {
      where: { email: partner.email },
      lock: { mode: 'pessimistic_write' },
    });
    const [known] = await channels.ofUser(user, { manager });
    const coupon = {
      code: 'SUMMER20',
      description: '20% off your first order with it',
      promoType: 'percent_off',
      promoValue: '0.20',
      initialRate: '0.30',
      ongoingRate: '0.10',
    } as const;
    return known ?? channels.create({ user, ...coupon }, { manager });
  });
}
