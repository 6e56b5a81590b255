import request from 'supertest';
import { User } from '../../examples/shop/entities';
import { firefox } from '../support/browser';
import type { RunningShop } from './running-shop';

const names = ['Bert', 'Clara', 'Deniz', 'Emil', 'Fatima', 'Gustav', 'Hanna Maria von der Leyen-Albrecht', 'Ivo'];

/**
 * Fills the shop with a month of one referrer: clicks on most days, friends with their purchases, a refund, credits of each
 * kind, commissions and payouts in each state, and something for the staff to decide.
 */
export async function fillShop({ app, referrals, dataSource, clock }: RunningShop, userId: string): Promise<void> {
  const [code] = await referrals.referralCodes.search({ where: { userId } });
  const link = await referrals.referralCodes.create({
    code: 'NEWSLETTER',
    label: 'Newsletter',
    user: userId,
    program: code!.programId!,
  });
  await referrals.accounts.of(userId);
  const [account] = await referrals.accounts.search({ where: { userId } });
  const by = { by: 'staff', reason: 'a look at everything' };
  await referrals.accounts.update(account!, { mode: 'payout', payoutEmail: 'refused@bank.example' }, by);
  clock.advanceDays(4); // a new address is held
  for (const [day, name] of [...names, ...Array<null>(20).fill(null)].entries()) {
    const clicks = [2, 5, 3, 0, 7, 4, 9][day % 7]!;
    for (let click = 0; click < clicks; click++)
      await request(app)
        .get(`/r/${click % 3 === 0 ? link.code : code!.code}`)
        .set('User-Agent', firefox)
        .expect(302);
    if (name) {
      const friend = await dataSource.manager.save(
        dataSource.manager.create(User, { name, email: `${day}@example.org`, passwordHash: 'none' }),
      );
      await referrals.signups.create({ user: friend, code: day % 2 ? link.code : code!.code });
      const reference = `order of ${name}`;
      if (day > 0) await referrals.recordPurchase(friend, { amount: String(day * 12.5), reference });
      if (day > 0) await referrals.recordUsage(friend, { amount: String(day * 6.5), reference });
      if (day === 3) await referrals.recordRefund(friend, { purchase: reference, reference: `return of ${name}` });
      if (day === 5) await referrals.runEarnOuts();
    }
    clock.advanceDays(1);
  }
  const creditType = await referrals.creditTypes.getByName('shop credit');
  const gift = { user: userId, creditType, initialBalance: '7.50', durationDays: 3 };
  await referrals.credits.create({ ...gift, reference: 'gift', name: 'for a review' });
  await referrals.credits.spend(userId, { amount: '4', reference: 'spent', partial: true });
  await referrals.channels.create({
    ...{ user: userId, code: 'ANNA15', promoType: 'percent_off', promoValue: '0.15' },
    ...{ initialRate: '0.25', ongoingRate: '0.10', description: '15% off for friends of Anna' },
  });
  const commissions = await referrals.commissions.search({ where: { userId }, order: { id: 'DESC' } });
  await referrals.commissions.hold(commissions[0]!, by);
  await referrals.commissions.reject(commissions[1]!, by);
  await referrals.commissions.adjust(userId, { amount: '5', mode: 'payout', reference: 'bonus', ...by });
}
