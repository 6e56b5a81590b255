import type { ReferralChannel, Referrals } from 'express-referrals';
import type { DataSource } from 'typeorm';
import { User } from './entities';

/**
 * Returns the coupon of a partner who writes about the shop. The first start of the shop creates it, and later starts
 * do not change its terms. A real shop has a page on which its staff creates coupons for users.
 */
export async function partnersCoupon(
  dataSource: DataSource,
  { channels }: Referrals,
  partner: User,
): Promise<ReferralChannel> {
  return dataSource.transaction(async (manager) => {
    // Concurrent processes wait here for the row lock: the first one creates the coupon, the others find it.
    const user = await manager.findOneOrFail(User, {
      where: { id: partner.id },
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
