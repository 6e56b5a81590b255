import { Referral } from '../lib';
import { couponOf, type EarningsHost, expectRefusals, fresh, refer, startEarnings } from './support/earnings';
import { closeAll, openDataSource, StatementLog } from './support/host';
import { earner, startPaying } from './support/paying';
import { launch } from './support/rewards';

afterAll(closeAll);

const staff = { reason: 'Looks made up.', by: 'staff-7' };

const sentencesOf = async ({ referrals }: EarningsHost, user: string): Promise<string> =>
  (await referrals.explain(user)).sentences.join('\n');

test('a user whom nobody knows', async () => {
  const { referrals } = await startEarnings();
  expect(await referrals.explain('nobody')).toEqual({
    user: 'nobody',
    asReferee: {
      ...{ signup: null, refusal: null, weighed: null, reassigned: null, code: null, program: null, usage: null },
      ...{ touches: [], credits: [], purchases: [], purchaseCount: 0, signupCommission: null, reviews: [] },
    },
    asReferrer: {
      ...{
        account: null,
        totals: null,
        suspension: null,
        addressHeldUntil: null,
        signupCount: 0,
        purchases: [],
        reviews: [],
      },
    },
    sentences: [
      'No click of "nobody" is recorded.',
      '"nobody" has not signed up: recordSignup was not called for the user, or was rolled back.',
      '"nobody" has bought nothing that was recorded.',
      '0 users signed up with links and codes of "nobody".',
      '"nobody" has no account, because nobody was credited to them so far.',
    ],
  });
  expect(await referrals.accounts.count()).toBe(0);
});

test('a referee: touches, code, program, usage so far, credits and purchases', async () => {
  const host = await startEarnings();
  const { referrals, clock } = host;
  const program = await launch(referrals);
  await referrals.referralCodes.create({ code: 'ANNA', label: 'a', user: 'anna', program });
  await referrals.referralCodes.create({ code: 'BORIS', label: 'b', user: 'boris' });
  const browser = host.browser();
  await browser.get('/r/BORIS').expect(302);
  await browser.post('/login/carl');
  await browser.get('/whose').expect(200);
  clock.advanceDays(1);
  await Referral.recordSignup(null, 'carl', { code: 'ANNA', manager: host.dataSource.manager });
  await referrals.recordUsage('carl', { amount: 30, reference: 'one' });
  await referrals.recordPurchase('carl', { amount: 100, reference: 'order-1' });
  const { asReferee, sentences } = await referrals.explain('carl');
  expect(asReferee).toMatchObject({
    ...{ code: 'ANNA', program: 'launch', refusal: null, purchaseCount: 1 },
    usage: { recorded: '30.00', threshold: '50.00', reward: '40.00', reachedAt: null, noReward: null },
    touches: [{ code: 'BORIS', owner: 'boris', action: 'RESPONDED' }],
    credits: [{ userId: 'carl', initialBalance: '25.00' }],
    purchases: [{ reference: 'order-1', source: 'sign-up', referrer: 'anna', noCommission: null, isLate: false }],
  });
  expect(sentences.slice(0, 7)).toEqual([
    'One response of "carl" is recorded, the newest on 2026-03-01 through the link "BORIS" of "boris".',
    '"carl" signed up on 2026-03-02 with the code "ANNA", which the user typed. It is credited to "anna", with the terms of the program "launch".',
    'The code "ANNA" was chosen.',
    '"carl" has used 30.00 of 50.00, so the reward of 40.00 for "anna" is not due yet.',
    '"carl" got a credit of 25.00 on 2026-03-02 for the sign-up; 25.00 of it is left, until 2026-05-31.',
    '"carl" paid 100.00 on 2026-03-02 ("order-1"), credited by the sign-up with "ANNA": it earned "anna" 25.00, available from 2026-04-01 on.',
    '0 users signed up with links and codes of "carl".',
  ]);
  await referrals.recordUsage('carl', { amount: 20, reference: 'two' });
  expect(await sentencesOf(host, 'carl')).toMatch(
    /used 50\.00 of 50\.00, reached on 2026-03-02, so the reward of 40\.00/,
  );
});

test('a refused sign-up, with what was weighed', async () => {
  const host = await startEarnings();
  await host.referrals.referralCodes.create({ code: 'ANNA', label: 'a', user: 'anna' });
  await host.referrals.accounts.suspend('anna', staff);
  await Referral.recordSignup(null, 'carl', { code: 'ANNA', manager: host.dataSource.manager });
  const { asReferee, sentences } = await host.referrals.explain('carl');
  expect(asReferee).toMatchObject({ signup: null, refusal: { reason: 'suspended', at: host.clock.time } });
  expect(sentences).toContain('The code "ANNA" was not chosen, because the account of its owner was suspended.');
  expect(sentences[1]).toMatch(/^"carl" was credited to nobody on 2026-03-01: The account .* suspended or banned\.$/);
});

test('each reason why a purchase earned nothing has a sentence for people', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  const why = async (buyer: string): Promise<string> => {
    const lines = (await referrals.explain(buyer)).sentences;
    return lines.find((line) => line.includes('earned nothing'))!.replace(/^.* because /, '');
  };
  const buy = (buyer: string, amount: number | string = 100) =>
    referrals.recordPurchase(buyer, { amount, reference: fresh('order') });
  await buy('alone');
  expect(await why('alone')).toBe('nobody is known to have referred the buyer.');
  const own = await referrals.referralCodes.create({ code: fresh('own'), label: 'own', user: 'self' });
  await referrals.recordPurchase('self', { amount: 100, reference: 'own', code: own.code });
  expect(await why('self')).toBe('the buyer came through a link of their own.');
  await refer(host, 'anna', 'free', { commissionRatio: 0 });
  await buy('free');
  expect(await why('free')).toBe('the terms of "anna" give no share of purchases.');
  await refer(host, 'anna', 'small');
  await buy('small', '0.01');
  expect(await why('small')).toBe('the share of it is less than half of the smallest unit.');
  await refer(host, 'anna', 'much', { commissionRatio: '0.5', commissionMaxPerReferee: 5 });
  await buy('much', 10);
  await buy('much', 10);
  expect(await why('much')).toBe('the buyer had earned "anna" the most that one referee can earn already.');
  await refer(host, 'sue', 'late');
  await referrals.accounts.suspend('sue', staff);
  await buy('late');
  expect(await why('late')).toBe('the account of "sue" was suspended at that time.');
  const unearned = (await referrals.explain('anna')).asReferrer.purchases.map(({ buyer, noCommission }) => [
    buyer,
    noCommission,
  ]);
  expect(unearned).toEqual([
    ...[
      ['much', 'limit-reached'],
      ['small', 'too-small'],
      ['free', 'no-rate'],
    ],
  ]);
});

test('a referrer: totals, holds, rejections, suspension, minimum and a held address', async () => {
  const host = await startPaying(() => undefined);
  const { referrals, clock } = host;
  const user = await earner(host, 10, 'anna');
  const account = await referrals.accounts.of(user);
  await account.update({ payoutEmail: 'new@example.org', minimum: 12 });
  await couponOf(host, user);
  const buyer = `${user}'s buyer`;
  const commissions = [];
  for (const reference of ['held', 'rejected', 'back'])
    commissions.push((await referrals.recordPurchase(buyer, { amount: 40, reference })).commission!);
  await referrals.commissions.hold(commissions[0]!, staff);
  await referrals.commissions.reject(commissions[1]!, staff);
  await referrals.recordRefund(buyer, { purchase: 'back', reference: 'r', amount: 10 });
  await referrals.accounts.suspend(user, staff);
  const { asReferrer } = await referrals.explain(user);
  expect(asReferrer).toMatchObject({
    ...{ signupCount: 1, addressHeldUntil: new Date(clock.time.getTime() + 3 * 86_400_000) },
    suspension: { at: clock.time, isBan: false, ...staff },
    totals: { payoutsEarned: '17.50', blocked: { amount: '17.50', reason: 'suspended' } },
  });
  expect(asReferrer.purchases.map(({ reference }) => reference).sort()).toEqual(['held', 'rejected']);
  const told = await sentencesOf(host, user);
  for (const sentence of [
    '1 user signed up with links and codes of "anna".',
    'The account of "anna" was suspended on 2026-03-08 by "staff-7": "Looks made up.".',
    '17.50 waits until the account is reinstated.',
    'Less than 12.00 is not paid to "anna".',
    'Payouts wait until 2026-03-11, because the payout address was changed on 2026-03-08.',
    'earned "anna" 10.00, which is held by staff.',
    'earned "anna" 10.00, which was rejected on 2026-03-08.',
  ])
    expect(told).toContain(sentence);
  expect(await sentencesOf(host, buyer)).toContain(
    'earned "anna" 10.00, of which refunds have left 7.50, available from',
  );
});

test('a late attribution is said to be one', async () => {
  const host = await startEarnings();
  await host.referrals.recordPurchase('carl', { amount: 100, reference: 'early' });
  await refer(host, 'anna', 'carl');
  const { asReferee, sentences } = await host.referrals.explain('carl');
  expect(asReferee.purchases).toMatchObject([{ referrer: 'anna', isLate: true, commission: { earned: '25.00' } }]);
  expect(sentences.join()).toContain(', which was found out later: it earned "anna" 25.00');
});

test('an own-link purchase that a second look has credited is not one that earned nothing', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  const own = await referrals.referralCodes.create({ code: fresh('own'), label: 'own', user: 'carl' });
  await referrals.recordPurchase('carl', { amount: 100, reference: 'early', code: own.code });
  await refer(host, 'anna', 'carl');
  const { asReferee, asReferrer } = await referrals.explain('carl');
  expect(asReferee.purchases).toMatchObject([{ isLate: true, commission: { userId: 'anna' } }]);
  expect(asReferrer.purchases).toEqual([]);
});

test('a reassigned sign-up: who was credited at first is not told from the code of now', async () => {
  const host = await startEarnings();
  const { referrals, clock } = host;
  await refer(host, 'anna', 'carl');
  const program = await launch(referrals);
  await referrals.referralCodes.create({ code: 'BORIS', label: 'b', user: 'boris', program });
  clock.advanceDays(1);
  await referrals.signups.reassign('carl', { code: 'BORIS', reason: 'Asked by phone.' });
  const { asReferee } = await referrals.explain('carl');
  expect(asReferee.reassigned).toEqual({ at: clock.time, by: null, reason: 'Asked by phone.', past: null });
  expect((await referrals.explain('carl')).sentences).toEqual(
    expect.arrayContaining([
      '"carl" signed up on 2026-03-01.',
      'Staff changed on 2026-03-02 who is credited: "boris", with the code "BORIS", with the terms of the program "launch". ' +
        'The reason: "Asked by phone.".',
    ]),
  );
  await referrals.renameUser('carl', 'carla', staff);
  clock.advanceDays(1);
  await referrals.signups.reassign('carla', { code: null, ...staff });
  const { sentences } = await referrals.explain('carla');
  expect(sentences).toContain(
    'Staff ("staff-7") changed on 2026-03-03 who is credited: nobody. The reason: "Looks made up.".',
  );
  expect(sentences.join()).not.toContain('the user typed');
});

test('why a reassigned sign-up earned nothing is not said of the new referrer', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  await refer(host, 'anna', 'carl', { commissionSignup: 5, commissionQualify: true });
  const other = await referrals.referralCodes.create({ code: 'BORIS', label: 'b', user: 'boris' });
  await referrals.accounts.suspend('anna', staff);
  await referrals.qualify('carl', { reference: 'q' });
  const why = async () =>
    (await referrals.explain('carl')).sentences.find((sentence) => sentence.includes('earned nothing by itself'));
  expect(await why()).toMatch(/because the account of "anna" was suspended at that time\.$/);
  await referrals.signups.reassign('carl', { referral: other, ...staff });
  expect(await why()).toMatch(/because the account of the referrer of that day was suspended at that time\.$/);
});

test.each(['suspend', 'ban'] as const)(
  'who called %s, and why, is known after a change of the id and a merge',
  async (call) => {
    const host = await startEarnings();
    const { referrals, clock } = host;
    await refer(host, 'anna', 'carl');
    await refer(host, 'bea', 'dora');
    await referrals.accounts.of('anna');
    const { suspendedAt: at } = await referrals.accounts[call]('anna', staff);
    const suspension = { at, isBan: call === 'ban', ...staff };
    clock.advanceDays(1);
    await referrals.renameUser('anna', 'ann', { reason: 'a new id', by: 'olga' });
    expect((await referrals.explain('ann')).asReferrer).toMatchObject({ suspension });
    clock.advanceDays(1);
    await referrals.mergeUsers('ann', 'bea', { reason: 'one person', by: 'olga' });
    expect((await referrals.explain('bea')).asReferrer).toMatchObject({ suspension });
  },
);

test('is bounded, has few statements in one snapshot, and runs in the host’s transaction', async () => {
  const log = new StatementLog();
  const dataSource = await openDataSource({ logging: true, logger: log });
  const host = await startEarnings({ dataSource });
  const { referrals } = host;
  await refer(host, 'anna', 'carl', { commissionRatio: 0 });
  for (let n = 0; n < 120; n++) await referrals.recordPurchase('carl', { amount: 1, reference: `order ${n}` });
  log.statements = [];
  const { asReferee, sentences } = await referrals.explain('carl');
  const count = log.statements.length;
  expect(count).toBeGreaterThan(5);
  expect(count).toBeLessThanOrEqual(20);
  expect(asReferee.purchases.map(({ reference }) => reference)).toEqual(
    Array.from({ length: 100 }, (_, n) => `order ${119 - n}`),
  );
  expect(sentences).toContain('Of 120 purchases, the newest 100 follow.');
  expect((await referrals.explain('anna')).asReferrer.purchases).toHaveLength(100);
  await dataSource.transaction(async (manager) => {
    await referrals.recordPurchase('dora', { amount: 1, reference: 'open', manager });
    expect((await referrals.explain('dora', { manager })).asReferee.purchaseCount).toBe(1);
    expect((await referrals.explain('dora')).asReferee.purchaseCount).toBe(0);
  });
});

test('refuses bad input', async () => {
  const host = await startEarnings();
  await expectRefusals<unknown>(
    host,
    [
      ['user', ''],
      ['user', null],
    ],
    (user, options) => host.referrals.explain(user as string, options),
  );
  await expect(host.referrals.explain('anna', { manger: 1 } as never)).rejects.toMatchObject({ field: 'manger' });
});
