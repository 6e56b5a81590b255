import { Referral, type ReferralCreditType } from '../../lib';
import { type EarningsHost, startEarnings } from './earnings';
import { browserOf } from './browser';
import {} from './host';

/**
 * A small world with every kind of row that sign-ups, usage and credits have, made by the public calls:
 *
 * - Anna's code has the terms of a program. Carl, Dora and Emil signed up with it, Emil by attribution; Carl and Dora
 *   have used enough. Frank's sign-up is deleted. Gina signed up with a code of the site itself, Hugo has none and was
 *   refused.
 * - Carl, Anna and Ida spend from credits of several types: in all states of a spend and of a hold.
 * - Anna has earned a commission, which was turned into credit.
 */
export async function startCreditWorld(): Promise<EarningsHost> {
  const host = await startEarnings({}, (app) => {
    app.post('/sign-up/:user', async (req, res) => {
      await Referral.recordSignup(req, req.params.user);
      res.sendStatus(204);
    });
  });
  const { referrals, clock, app } = host;
  const { credits, creditTypes, creditTransactions, programs, referralCodes, signups } = referrals;
  const later = (): void => clock.advanceDays(1);

  const compute = await creditTypes.create({ name: 'compute', refundable: true });
  const gift = await creditTypes.create({ name: 'gift' });
  const changed = await creditTypes.create({ name: 'changed', refundable: true });
  await creditTypes.create({ name: 'unused', product: 'none' });
  const program = await programs.create({
    name: 'launch',
    beforeRewardUsageThreshold: '50',
    rewardLimit: { count: 5, period: 'year' },
    referralCredit: { amount: '25', durationDays: 90, type: compute },
    rewardCredit: { amount: '40', durationDays: 180, type: gift },
    commission: { ratio: '0.1', maxPerReferee: '100' },
  });
  const { code } = await referralCodes.create({ code: 'ANNA', user: 'anna', program, allowedUses: 50 });
  const bare = await referralCodes.create({ code: 'BARE', user: 'anna', label: 'bare' });
  await referralCodes.create({ code: 'SITE' });
  await Referral.create({ user: 'zoe', redirectTo: '/unused' });

  await referrals.recordUsage('carl', { amount: '7', reference: 'before the sign-up' });
  await referrals.recordUsage('nobody', { amount: '3', reference: 'first' });
  await referrals.recordUsage('nobody', { amount: '0', reference: 'nothing' });
  later();
  for (const user of ['carl', 'dora']) await signups.create({ user, code });
  const browser = browserOf(app);
  await browser.get(`/r/${code}`).set('User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0').expect(302);
  await browser.post('/sign-up/emil').expect(204);
  await signups.create({ user: 'gina', code: 'SITE' });
  await Referral.recordSignup(null, 'hugo', { code: 'UNKNOWN' });
  const franks = await signups.create({ user: 'frank', code: bare.code });
  later();
  for (const [user, reference, amount] of [
    ...[['carl', 'one', '30'] as const, ['carl', 'two', '30'] as const, ['carl', 'corrected', '-5'] as const],
    ...[['carl', 'nothing', '0'] as const, ['dora', 'at once', '60'] as const, ['frank', 'some', '4'] as const],
  ]) {
    await referrals.recordUsage(user, { amount, reference });
    later();
  }
  await signups.delete(franks);

  const give = (user: string, creditType: ReferralCreditType, initialBalance: string, reference: string | null) =>
    credits.create({ user, creditType, initialBalance, durationDays: 365, reference });
  const first = await give('ida', gift, '10', 'welcome');
  await give('ida', gift, '10', null);
  await give('ida', changed, '8', 'birthday');
  await give('jan', compute, '3', 'welcome');
  await credits.spend('ida', { amount: '22', reference: 'over three' });
  later();
  await credits.refund({ user: 'ida', reference: 'over three' }); // only what came from the type `changed`
  await creditTypes.update(changed, { refundable: false });
  await creditTransactions.create({ credit: first, value: '4', reference: 'sorry', description: 'for the delay' });
  await creditTransactions.create({ credit: first, value: '-1' });
  await credits.spend('ida', { amount: '1', reference: 'welcome' }); // the reference of a credit
  await credits.refund({ user: 'ida', reference: 'welcome' }); // nothing that can be given back

  await credits.spend('carl', { amount: '3', reference: 'spent', description: 'May' });
  await credits.spend('carl', { amount: '4', reference: 'refunded' });
  await credits.hold('carl', { amount: '2', reference: 'held' });
  await credits.hold('carl', { amount: '5', reference: 'captured in part' });
  await credits.hold('carl', { amount: '1', reference: 'captured' });
  await credits.hold('carl', { amount: '6', reference: 'released' });
  later();
  await credits.refund({ reference: 'refunded' });
  await credits.capture({ reference: 'captured in part', amount: '2' });
  await credits.capture({ reference: 'captured' });
  await credits.release({ reference: 'released' });
  await credits.spend('jan', { amount: '5', reference: 'all there was', partial: true });
  await credits.spend('jan', { amount: '5', reference: 'nothing left', partial: true });
  await credits.hold('jan', { amount: '5', reference: 'nothing to hold', partial: true });
  await credits.release({ reference: 'nothing to hold' });

  await referrals.recordPurchase('carl', { reference: 'order', amount: '200' });
  clock.advanceDays(31);
  await referrals.runEarnOuts();
  later();
  await credits.spend('anna', { amount: '45', reference: 'reward and commission' });
  return host;
}
