import { PayoutRefused, Referral, type ReferralsOptions } from '../../lib';
import { couponOf, type EarningsHost, startEarnings } from './earnings';

/** Who is of the staff: users whose ids begin with `staff`. */
export const staff: NonNullable<ReferralsOptions['staff']> = ({ session: { userId } }) =>
  userId?.startsWith('staff') ? { id: userId } : null;

export const adminPath = '/admin/referrals';

/** Text that would be a script if a page did not escape it. */
export const attack = `"'><script>alert(1)</script>`;

/**
 * A small world with a row in each list, made by the public calls, and the pages of staff: Anna refers Bert, who buys, and Carl,
 * whom a rule has flagged. Names end with `suffix`, which tests set to an attack.
 */
export async function startStaffWorld(suffix = '', options: Partial<ReferralsOptions> = {}): Promise<EarningsHost> {
  const named = (word: string): string => (suffix === '' ? word : `${word} ${suffix}`);
  const host = await startEarnings(
    {
      staff,
      fraud: { rule: { do: 'hold', find: () => named('looks odd') } },
      earnOuts: {
        every: { days: 1 },
        minimum: '1',
        payout: () => {
          throw new PayoutRefused(named('no such account'));
        },
      },
      ...options,
    },
    (app) => {
      app.post('/act/:action', async (req, res) => {
        const target = { type: named('order'), id: `7 ${suffix}` };
        await Referral.recordResponse(req, `${req.params.action}${suffix}`, { target });
        res.sendStatus(204);
      });
    },
  );
  const { app, referrals, clock } = host;
  app.use(adminPath, referrals.admin);
  const by = { by: named('staff'), reason: named('because') };
  const [anna, bert, carl] = ['anna', 'bert', 'carl'].map((name) => `${name}${suffix}`) as [string, string, string];
  const type = await referrals.creditTypes.create({ name: named('any'), product: named('product') }, by);
  const program = await referrals.programs.create(
    {
      ...{ name: named('launch'), beforeRewardUsageThreshold: '10' },
      referralCredit: { amount: '25', durationDays: 90, type },
      rewardCredit: { amount: '40', durationDays: 180, type },
    },
    by,
  );
  await referrals.referralCodes.create({ code: 'ANNA', label: named('blog'), user: anna, program }, by);
  await couponOf(host, anna, { code: 'SAVE20', description: named('a fifth off') });
  const browser = host.browser();
  await browser.get('/r/ANNA').set('Referer', `https://blog.example/?q=${encodeURIComponent(suffix)}`);
  await browser.get('/r/ANNA').set('User-Agent', `Mozilla/5.0 Firefox/140.0 ${suffix}`);
  await browser.post('/act/subscribed').expect(204);
  for (const user of [bert, carl]) await referrals.signups.create({ user, code: 'ANNA' });
  await referrals.accounts.of(anna);
  const [account] = await referrals.accounts.search({ where: { userId: anna } });
  await referrals.accounts.update(account!, { mode: 'payout', payoutEmail: `anna@example.org` }, by);
  await referrals.recordUsage(bert, { amount: '12', reference: named('usage') });
  await referrals.recordPurchase(bert, { amount: '100', reference: named('order') });
  await referrals.recordRefund(bert, { amount: '10', purchase: named('order'), reference: named('refund') });
  await referrals.credits.create({
    ...{ user: bert, creditType: type, initialBalance: '9', durationDays: 30 },
    ...{ name: named('gift'), reference: named('grant') },
  });
  await referrals.credits.spend(bert, { amount: '2', reference: named('spend') });
  const adjustment = { amount: '50', mode: 'payout' as const, reference: named('bonus') };
  await referrals.commissions.adjust(anna, { ...adjustment, ...by });
  clock.advanceDays(40);
  for (const review of await referrals.reviews.search({ where: { userId: anna, refereeId: bert } }))
    await referrals.reviews.allow(review, by);
  await referrals.runEarnOuts();
  return host;
}
