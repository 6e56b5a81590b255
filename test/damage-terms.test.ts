import { commissionInvariants } from '../lib/rewards/verify/commission-invariants';
import { termInvariants } from '../lib/rewards/verify/term-invariants';
import { afterwards, unguarded } from './support/damage';
import { type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
const t = (name: string): string => `${host.schema}.referral_${name}`;

/** One buyer for each kind of terms, a sign-up that qualifies, one that is deleted, and one that earned nothing. */
beforeAll(async () => {
  host = await startEarnings();
  const { referrals } = host;
  const limit = { commissionMaxPerReferrer: '30', commissionPeriod: 'month' } as const;
  await refer(host, 'anna', 'flat', { commissionAmount: '5', commissionPurchases: 2, commissionMonths: 3, ...limit });
  for (const reference of ['f1', 'f2', 'f3']) await referrals.recordPurchase('flat', { amount: 20, reference });
  const code = await refer(host, 'olga', 'lead', { commissionSignup: '4', commissionRatio: '0.5', ...limit });
  await referrals.recordPurchase('lead', { amount: 80, reference: 'l1' });
  await referrals.recordPurchase('lead', { amount: 80, reference: 'l2' });
  await referrals.signups.create({ user: 'none', code: code.code });
  await refer(host, 'olga', 'late', { commissionSignup: '4', commissionQualify: true });
  await referrals.qualify('late', { reference: 'q' });
  await refer(host, 'olga', 'gone', { commissionSignup: '4' });
  const [gone] = await referrals.signups.search({ where: { userId: 'gone' } });
  await referrals.signups.delete(gone!);
  await refer(host, 'olga', 'open', { commissionSignup: '4', commissionQualify: true });
});

test('verify finds nothing wrong with the world', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

const damages: [what: string, sql: () => string, invariant: string][] = [
  [
    'a commission of a sign-up in another channel',
    () => `UPDATE ${t('commissions')} SET channel_id = 1 WHERE referee_id = 'late'`,
    'a commission of a sign-up is in the channel of its referral',
  ],
  [
    'a sign-up that earned another amount, in every sum',
    () => `UPDATE ${t('commissions')} SET earned = 5, amount = 5 WHERE referee_id = 'late';
      UPDATE ${t('referees')} SET earned = 5 WHERE referee_id = 'late';
      UPDATE ${t('account_totals')} SET amount = amount + 1 WHERE user_id = 'olga'`,
    'a sign-up earned the amount of its terms, or less at a limit',
  ],
  [
    'a sign-up with another amount in its terms',
    () => `UPDATE ${t('signups')} SET commission_signup = 9 WHERE user_id = 'late'`,
    'a sign-up earned the amount of its terms, or less at a limit',
  ],
  [
    'a sign-up whose commission is of another time',
    () => `UPDATE ${t('commissions')} SET created_at = created_at + interval '1 day' WHERE referee_id = 'late'`,
    'a commission of a sign-up is of that sign-up',
  ],
  [
    'a sign-up that was deleted by hand',
    () => `DELETE FROM ${t('signups')} WHERE user_id = 'late'`,
    'a commission of a sign-up is of that sign-up',
  ],
  [
    'a commission of a sign-up that is available earlier',
    () => `UPDATE ${t('commissions')} SET available_at = created_at WHERE referee_id = 'late'`,
    'a commission of a sign-up is available some whole days after it',
  ],
  [
    'a commission of a sign-up that something was taken of',
    () => `UPDATE ${t('commissions')} SET amount = 1 WHERE referee_id = 'late'`,
    'of a commission of a sign-up all is left, or it is rejected',
  ],
  [
    'a sign-up that is decided, and earned nothing, without a reason',
    () => `UPDATE ${t('signups')} SET qualified_at = created_at, qualification = 'x' WHERE user_id = 'open'`,
    'a decided sign-up earns once, or says why not',
  ],
  [
    'a sign-up that earned, and is not decided',
    () => `UPDATE ${t('signups')} SET qualified_at = NULL, qualification = NULL WHERE user_id = 'late'`,
    'a decided sign-up earns once, or says why not',
  ],
  [
    'a commission that counts in another month',
    () => `UPDATE ${t('commissions')} SET period = '2020-01' WHERE purchase = 'f1';
      UPDATE ${t('referrer_periods')} SET earned = earned - 5 WHERE user_id = 'anna';
      INSERT INTO ${t('referrer_periods')} VALUES ('anna', '2020-01', 5)`,
    'a commission counts in the period of its time',
  ],
  [
    'a counter that is too low',
    () => `UPDATE ${t('referrer_periods')} SET earned = earned - 1 WHERE user_id = 'anna'`,
    'what a referrer earned in a period = the commissions that count there',
  ],
  [
    'a counter that is gone',
    () => `DELETE FROM ${t('referrer_periods')} WHERE user_id = 'olga'`,
    'what a referrer earned in a period = the commissions that count there',
  ],
  [
    'more than the limit, in the counter too',
    () => `UPDATE ${t('commissions')} SET earned = 99, amount = 99 WHERE purchase = 'l1';
      UPDATE ${t('referrer_periods')} SET earned = earned + 99 WHERE user_id = 'olga'`,
    'a referrer earns no more in a period than the limit',
  ],
  [
    'a purchase more than the terms had',
    () => `UPDATE ${t('purchases')} SET purchases_left = 0 WHERE reference = 'f2'`,
    'a purchase says rightly why it earned nothing',
  ],
  [
    'a purchase after the months of the terms',
    () => `UPDATE ${t('purchases')} SET term_until = purchased_at WHERE reference = 'f2'`,
    'a commission is earned within the months and purchases of its terms',
  ],
  [
    'a refused purchase that had a purchase left',
    () => `UPDATE ${t('purchases')} SET purchases_left = 1 WHERE reference = 'f3'`,
    'a purchase says rightly why it earned nothing',
  ],
  [
    'a flat amount that is another one, in every sum',
    () => `UPDATE ${t('commissions')} SET flat_amount = 6 WHERE purchase = 'f1';
      UPDATE ${t('purchases')} SET flat_amount = 6 WHERE reference = 'f1'`,
    'earned = rate x purchase, or less at the limit',
  ],
  [
    'a commission on other months than the sign-up has',
    () => `UPDATE ${t('commissions')} SET months = 4 WHERE purchase = 'f1'`,
    'a commission has the terms of its sign-up',
  ],
  [
    'a referee with a purchase more',
    () => `UPDATE ${t('referees')} SET purchases = purchases + 1 WHERE referee_id = 'flat'`,
    'a referee has the purchases that were credited',
  ],
];

const found = new Set<string>();

test('each damage is found by its invariant', async () => {
  const missed: unknown[] = [];
  await unguarded(host, async (manager) => {
    for (const [what, sql, invariant] of damages) {
      const { problems } = await afterwards(host, manager, sql());
      for (const problem of problems) found.add(problem.invariant);
      if (!problems.some((problem) => problem.invariant === invariant)) missed.push([what, problems]);
    }
  });
  expect(missed).toEqual([]);
});

test('each invariant of terms has found something', () => {
  const names = termInvariants({} as never).map(({ name }) => name);
  expect(names.filter((name) => !found.has(name))).toEqual([]);
  expect(commissionInvariants({} as never).map(({ name }) => name)).toContain(
    'a commission is earned within the months and purchases of its terms',
  );
});
