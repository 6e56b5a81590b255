import { ReferralCommission, type ReferralsOptions } from '../lib';
import { closeAll } from './support/host';
import { fresh, refer, startEarnings } from './support/earnings';

afterAll(closeAll);

/** A host with a currency, and a buyer whom somebody has referred. */
async function startIn(currency: string | undefined, options: Partial<ReferralsOptions> = {}) {
  const host = await startEarnings({
    ...(currency !== undefined && { currency }),
    ...options,
    commission: { ratio: '0.1', ...options.commission },
  });
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer);
  return { host, referrer, buyer };
}

describe('a commission is rounded half up to the minor unit, and shown with it', () => {
  test.each([
    [undefined, '333', '33.30', '333.00'],
    ['USD', '333.33', '33.33', '333.33'],
    ['JPY', '333', '33', '333'],
    ['JPY', 335, '34', '335'],
    ['KRW', '12345', '1235', '12345'],
    ['KWD', '333', '33.300', '333.000'],
    ['BHD', '0.335', '0.034', '0.335'],
  ])('%s: a tenth of %s is %s', async (currency, amount, earned, paid) => {
    const { host, buyer } = await startIn(currency);
    const { purchase, commission } = await host.referrals.recordPurchase(buyer, { amount, reference: 'a' });
    expect([purchase.amount, purchase.refunded, commission!.earned, commission!.amount, commission!.rate]).toEqual([
      ...[paid, paid.replace(/\d+/, '0').replace(/[1-9]/g, '0'), earned, earned, '0.10'],
    ]);
    // Loaded by TypeORM, by a manager, and summed up.
    const loaded = await host.dataSource.getRepository(ReferralCommission).findOneByOrFail({ id: commission!.id });
    expect({ ...loaded }).toEqual({ ...commission, paidAt: undefined });
    expect((await host.referrals.commissions.get(commission!.id)).amount).toBe(earned);
    const { creditsEarned } = await host.referrals.accounts.totals(commission!.userId);
    host.clock.advanceDays(31);
    expect((await host.referrals.accounts.totals(commission!.userId)).creditsEarned).toBe(earned);
    expect(creditsEarned).toBe(earned.replace(/\d+/, '0').replace(/[1-9]/g, '0'));
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 1, failed: 0, amount: earned });
    expect(await host.referrals.credits.balance(commission!.userId)).toBe(earned);
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });
});
