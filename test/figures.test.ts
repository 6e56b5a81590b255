import { couponOf, fresh, refer, startEarnings } from './support/earnings';
import { figuresOf } from './support/figures';
import { closeAll } from './support/host';
import { earner, startPaying } from './support/paying';
import { launch } from './support/rewards';

afterAll(closeAll);

const ratio = { commission: { ratio: '0.25' } };

test('the overview of a new user: a link, the terms, and nothing counted', async () => {
  const host = await startEarnings();
  const overview = await figuresOf(host, ratio).overview('anna', { days: 7 });
  const nothing = { clicks: 0, visitors: 0, signups: 0, customers: 0, earned: '0.00' };
  expect(overview).toMatchObject({
    ...{ link: { label: '', isExpired: false, expiredAt: null }, isSuspended: false, days: 7, figures: nothing },
    ...{ earnings: { credits: '0.00', payout: '0.00', blocked: null } },
    terms: {
      ...{ friend: null, reward: null, signup: null, limit: null },
      purchase: { ratio: '0.25', amount: null, months: null, purchases: null, maxPerReferee: null },
    },
  });
  expect(overview.series.rows).toHaveLength(7);
  expect(overview.series.rows.at(-1)).toEqual({ day: host.clock.time.toISOString().slice(0, 10), ...nothing });
});

test('what was counted: clicks, sign-ups, customers, and what was earned by whom', async () => {
  const host = await startEarnings();
  const { referrals, clock } = host;
  const figures = figuresOf(host, ratio);
  const program = await launch(referrals);
  const code = await refer(host, 'anna', 'bert', { program });
  await host.browser().get(`/r/${code.code}`).expect(302);
  await referrals.recordUsage('bert', { amount: 30, reference: 'one' });
  clock.advanceDays(1);
  await referrals.recordPurchase('bert', { amount: 100, reference: 'order-1' });
  await referrals.recordRefund('bert', { purchase: 'order-1', reference: 'refund-1', amount: 40 });
  const coupon = await couponOf(host, 'anna');
  await referrals.coupons.apply('carl', coupon.code);
  await referrals.recordPurchase('carl', { amount: 80, reference: 'order-2' });

  const { figures: sums, series } = await figures.overview('anna', { days: 30 });
  expect(sums).toEqual({ clicks: 1, visitors: 1, signups: 1, customers: 2, earned: '39.00' });
  expect(series.rows.slice(-2)).toMatchObject([
    { clicks: 1, visitors: 1, signups: 1, customers: 0, earned: '0.00' },
    { clicks: 0, visitors: 0, signups: 0, customers: 2, earned: '39.00' },
  ]);
  expect((await figures.overview('anna', { days: null })).figures).toEqual(sums);

  expect((await figures.links('anna')).rows).toMatchObject([
    { redirectTo: '/', label: code.code, isExpired: false, code: code.code, clicks: 1, visitors: 1, signups: 1 },
  ]);
  expect(await figures.coupons('anna')).toMatchObject({
    rows: [
      {
        code: coupon.code,
        promoValue: '0.20',
        state: 'open',
        uses: 1,
        maxUses: null,
        revenue: '80.00',
        earned: '24.00',
      },
    ],
    next: null,
  });
  expect((await figures.friends('anna')).rows).toMatchObject([
    { id: 'carl', state: 'customer', usage: null, reward: null, earned: '24.00', isHeld: false },
    {
      id: 'bert',
      state: 'customer',
      usage: { recorded: '30.00', threshold: '50.00' },
      reward: { amount: '40.00', at: null },
    },
  ]);
  expect((await figures.commissions('anna')).rows).toMatchObject([
    { friendId: 'carl', code: coupon.code, earned: '24.00', amount: '24.00', status: 'pending', heldBy: null },
    { friendId: 'bert', code: code.code, earned: '25.00', amount: '15.00', status: 'pending', paidAt: null },
  ]);
  await referrals.recordUsage('bert', { amount: 20, reference: 'two' });
  expect(await figures.credits('anna')).toMatchObject({
    ...{ available: '40.00', held: '0.00', next: null },
    rows: [{ kind: 'reward', friendId: 'bert', initial: '40.00', left: '40.00', state: 'open' }],
  });
  expect((await figures.overview('anna', { days: 7 })).figures.earned).toBe('79.00');
});

test('credit that a hold had until it ended is left, as in the balance', async () => {
  const host = await startEarnings();
  const { referrals, clock } = host;
  const { id: creditType } = await referrals.creditTypes.create({ name: 'vouchers' });
  await referrals.credits.create({ user: 'anna', creditType, initialBalance: 5, durationDays: 30 });
  const expiresAt = new Date(clock.time.getTime() + 60_000);
  await referrals.credits.hold('anna', { amount: 5, reference: 'cart', expiresAt });
  const figures = figuresOf(host, ratio);
  expect(await figures.credits('anna')).toMatchObject({
    ...{ available: '0.00', held: '5.00', rows: [{ left: '0.00', state: 'used-up' }] },
  });
  clock.advanceDays(1);
  expect(await figures.credits('anna')).toMatchObject({
    ...{ available: '5.00', held: '0.00', rows: [{ left: '5.00', state: 'open' }] },
  });
});

test('payouts with the reason of a refusal, and what was paid', async () => {
  let refusals = 1;
  const host = await startPaying(() => {
    if (refusals-- > 0) throw Object.assign(new Error('The address is unknown.'), { isRefusal: true });
  });
  const figures = figuresOf(host, { ...ratio, earnOuts: { payout: () => undefined } });
  const user = await earner(host, 60);
  await host.referrals.runEarnOuts();
  const { rows } = await figures.payouts(user);
  expect(rows).toMatchObject([{ mode: 'payout', amount: '60.00', commissions: 1 }]);
  expect((await figures.commissions(user, { status: 'paid' })).rows).toHaveLength(1);
  expect(await figures.settings(user)).toMatchObject({
    mode: 'payout',
    modes: ['credits', 'payout'],
    minimum: '0.01',
  });
});

test('a page of each list, and the whole list', async () => {
  const host = await startEarnings();
  const figures = figuresOf(host, ratio);
  for (let i = 0; i < 5; i++) {
    const friend = fresh('friend');
    await refer(host, 'anna', friend);
    await host.referrals.recordPurchase(friend, { amount: 100, reference: 'order' });
    await host.referrals.commissions.adjust('anna', { amount: 1, reference: friend, reason: 'a bonus' });
  }
  for (const kind of ['links', 'friends', 'commissions', 'adjustments'] as const) {
    const whole: unknown[] = [];
    for await (const row of figures.statement('anna', kind)) whole.push(row);
    expect(whole).toHaveLength(5);
    const paged: unknown[] = [];
    let after: string | null = null;
    do {
      const page: { rows: unknown[]; next: string | null } = await figures[kind]('anna', { after, take: 2 });
      paged.push(...page.rows);
      after = page.next;
    } while (after !== null);
    expect(paged).toEqual(whole);
  }
});
