import { couponOf, type EarningsHost, refer } from './earnings';

/**
 * A small world with every state of purchases and commissions: pending, available, paid and reverted; under a limit, at
 * it and after it; refunded in parts and as a whole; of coupons that are used once, kept, replaced and not yet
 * redeemed; of a referrer met by sign-up and by purchase; of one who was suspended, and of one who is; and one purchase
 * for each reason to earn nothing.
 */
export async function buildCommissionWorld(host: EarningsHost): Promise<void> {
  const { referrals, clock } = host;
  const buy = (user: string, reference: string, amount: string) => {
    clock.time = new Date(clock.time.getTime() + 1000); // so that each has a time of its own
    return referrals.recordPurchase(user, { reference, amount });
  };
  const back = (user: string, purchase: string, reference: string, amount?: string) => {
    clock.time = new Date(clock.time.getTime() + 1000);
    return referrals.recordRefund(user, { purchase, reference, amount: amount ?? null });
  };
  const { id } = await referrals.accounts.of('otto');
  await referrals.accounts.update(id, { mode: 'payout', payoutEmail: 'otto@shop.example' });
  await refer(host, 'anna', 'carl', { commissionRatio: '0.2', commissionMaxPerReferee: '15' });
  await refer(host, 'anna', 'eve');
  await refer(host, 'anna', 'nora', { commissionRatio: 0 });
  await refer(host, 'sue', 'iris');
  await refer(host, 'sid', 'jane');
  const kept = await couponOf(host, 'otto', { isRecurring: true, maxEarningsPerReferred: '9' });
  const once = await couponOf(host, 'otto');
  const later = await couponOf(host, 'anna', { isRecurring: true });
  await referrals.coupons.apply('dora', kept.code);
  await referrals.coupons.apply('fred', once.code);
  await referrals.coupons.apply('gina', kept.code);
  await referrals.coupons.apply('hugo', later.code);

  for (const [reference, amount] of [
    ['c1', '40'],
    ['c2', '33.33'],
    ['c3', '10'],
    ['c4', '10'],
    ['c5', '0.01'],
  ] as const)
    await buy('carl', reference, amount);
  await buy('eve', 'e1', '20');
  await buy('nora', 'n1', '20');
  await buy('eve', 'e0', '0');
  await buy('nobody', 'x0', '0');
  await buy('nobody', 'x1', '8');
  await buy('nobody', 'x2', '9');
  for (const reference of ['d1', 'd2', 'd3']) await buy('dora', reference, '20');
  await buy('fred', 'f1', '50');
  await buy('fred', 'f2', '0.01');
  await buy('fred', 'f3', '60');
  await buy('gina', 'g1', '10');
  await referrals.coupons.apply('gina', later.code); // replaces the kept one
  await buy('gina', 'g2', '10');

  await buy('iris', 'i1', '10');
  await buy('jane', 'j1', '10');
  for (const user of ['sue', 'sid']) await referrals.accounts.suspend(user, { reason: 'looks made up' });
  await buy('iris', 'i2', '10');
  await buy('jane', 'j2', '10');
  await referrals.accounts.reinstate('sue');

  await back('carl', 'c1', 'rc1', '13.37');
  await back('carl', 'c1', 'rc2', '0.01');
  await back('eve', 'e1', 're1');
  await back('nobody', 'x1', 'rx1', '1');
  clock.time = new Date(clock.time.getTime() + 1000);
  await referrals.recordPurchase('eve', { reference: 'e2', amount: '8', currency: 'KWD', rate: '3.25' });
  await back('eve', 'e2', 're2', '1.005');
  await back('eve', 'e2', 're3', '0.5');
  clock.advanceDays(31);
  await referrals.runEarnOuts();
  await back('fred', 'f1', 'rf1', '10');
  await back('dora', 'd3', 'rd1', '5');
  await buy('carl', 'c6', '12');
  await referrals.accounts.totals('anna');
}
