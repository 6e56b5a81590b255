import type { EntityManager } from 'typeorm';
import type { Amount, ReferralPurchase, UserRef } from '../lib';
import { closeAll, openDataSource } from './support/host';
import {
  couponOf,
  type EarningsHost,
  everyRow,
  expectRefusals,
  fresh,
  noAmounts,
  refer,
  refusalOf,
  startEarnings,
  wrongManagers,
} from './support/earnings';

afterAll(closeAll);

const day = 86_400_000;
let host: EarningsHost;
let serial = 0;
beforeAll(async () => {
  host = await startEarnings();
});

/** Records a purchase under a reference of its own. */
async function buy(buyer: UserRef, amount: Amount, given: { at?: Date; manager?: EntityManager } = {}, of = host) {
  return of.referrals.recordPurchase(buyer, { amount, reference: `inv-${++serial}`, ...given });
}

/** What a purchase earned, or why it earned nothing. */
async function earned(...given: Parameters<typeof buy>): Promise<string> {
  const { purchase, commission } = await buy(...given);
  return commission?.earned ?? purchase.noCommission!;
}

/** Who earned at what rate, and by what they were found. */
async function earner(...given: Parameters<typeof buy>): Promise<string> {
  const { purchase, commission } = await buy(...given);
  const { source, referrerId, noCommission } = purchase;
  return [source, referrerId, commission ? commission.rate : noCommission].join(' ');
}

const pair = async (terms?: Parameters<typeof refer>[3]): Promise<{ referrer: string; buyer: string }> => {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer, terms);
  return { referrer, buyer };
};

const counts = async (user: string): Promise<number[]> => {
  const { usersReferred, usersUpgraded } = await host.referrals.accounts.totals(user);
  return [usersReferred, usersUpgraded];
};

describe('recordPurchase', () => {
  test('answers the purchase, and the commission of the sign-up’s referrer', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    const code = await refer(host, referrer, buyer);
    const now = host.clock.time;
    const { purchase, commission } = await host.referrals.recordPurchase(
      { id: buyer },
      { amount: 100, reference: 'a' },
    );
    expect({ ...purchase }).toEqual({
      ...{ id: expect.any(Number), userId: buyer, reference: 'a', amount: '100.00', refunded: '0.00' },
      ...{ purchasedAt: now, createdAt: now, source: 'sign-up', referralId: code.id, channelId: null },
      ...{ referrerId: referrer, mode: 'credits', isRevenue: false, noCommission: null },
      ...{ rate: '0.25', room: null, refundCount: 0 },
      ...{ currency: null, originalAmount: null, originalRefunded: null, exchangeRate: null },
    });
    expect({ ...commission }).toEqual({
      ...{ id: expect.any(Number), userId: referrer, refereeId: buyer, purchase: 'a', referralId: code.id },
      ...{ channelId: null, mode: 'credits', rate: '0.25', maxPerReferee: null, earned: '25.00', amount: '25.00' },
      ...{ isSelfReferral: false, movedAt: null, movedFrom: null },
      ...{ availableAt: new Date(now.getTime() + 30 * day), revertedAt: null, earnOutId: null, paidAt: null },
      ...{ room: null, pendingDays: 30, heldFor: [], heldFrom: null, rejectedAt: null },
      ...{ kind: 'purchase', signupId: 0, flatAmount: null, termsFrom: 'option', months: null, purchases: null },
      ...{ maxPerReferrer: null, period: null, referrerRoom: null, movedAt: null, movedFrom: null },
      ...{ createdAt: now, updatedAt: now },
    });
    expect(commission!.status).toBe('pending');
  });

  test('a commission is available from the very moment on', async () => {
    const { buyer } = await pair();
    const { commission } = await buy(buyer, 10);
    host.clock.advanceDays(30);
    host.clock.time = new Date(host.clock.time.getTime() - 1);
    expect(commission!.status).toBe('pending');
    host.clock.time = new Date(host.clock.time.getTime() + 1);
    expect(commission!.status).toBe('available');
  });

  test('ids of any type are the same person', async () => {
    await refer(host, '4711', '4712');
    const first = await host.referrals.recordPurchase(4712, { amount: 1, reference: 'x' });
    for (const user of ['4712', 4712n, { id: 4712 }, { id: '4712' }]) {
      const again = await host.referrals.recordPurchase(user, { amount: 1, reference: 'x' });
      expect(again.purchase.id).toBe(first.purchase.id);
      expect(again.commission!.userId).toBe('4711');
    }
  });

  test('the same again answers the first result, however the amount is written, and whatever has changed', async () => {
    const { buyer, referrer } = await pair();
    const first = await host.referrals.recordPurchase(buyer, { amount: '39.20', reference: 'inv' });
    await host.referrals.accounts.update(await host.referrals.accounts.of(referrer), { payoutEmail: 'a@b.example' });
    await host.referrals.coupons.apply(buyer, (await couponOf(host, fresh())).code);
    host.told.length = 0;
    for (const amount of ['39.20', 39.2, '39.2', '39.2000', '+39.20', '0039.2'])
      expect(await host.referrals.recordPurchase(buyer, { amount, reference: 'inv', at: new Date(0) })).toEqual(first);
    expect(host.told).toEqual([]);
    expect(await host.referrals.purchases.count({ where: { userId: buyer } })).toBe(1);
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('9.80');
  });

  test('the same without a commission answers the first result too', async () => {
    const buyer = fresh();
    await refer(host, fresh(), buyer, { commissionRatio: 0 });
    const first = await host.referrals.recordPurchase(buyer, { amount: 5, reference: 'inv' });
    await host.referrals.coupons.apply(buyer, (await couponOf(host, fresh())).code);
    expect(await host.referrals.recordPurchase(buyer, { amount: 5, reference: 'inv' })).toEqual(first);
    expect(first).toMatchObject({ purchase: { noCommission: 'no-rate' }, commission: null });
  });

  test('another amount under the reference is an error, and changes nothing; another buyer’s is another', async () => {
    const { buyer } = await pair();
    await host.referrals.recordPurchase(buyer, { amount: '39.20', reference: 'shared' });
    const before = await everyRow(host);
    for (const amount of ['39.21', 0, '39.2001', 3920]) {
      const call = host.referrals.recordPurchase(buyer, { amount, reference: 'shared' });
      await expect(call).rejects.toMatchObject({ code: 'REFERENCE_REUSED', status: 409 });
      await expect(call).rejects.toThrow(/"shared" stands for a purchase of 39\.20 /);
    }
    expect(await everyRow(host)).toEqual(before);
    await host.dataSource.transaction(async (manager) => {
      const call = host.referrals.recordPurchase(buyer, { amount: 1, reference: 'shared', manager });
      await expect(call).rejects.toMatchObject({ code: 'REFERENCE_REUSED' });
      await buy(buyer, 1, { manager });
    });
    const { purchase } = await host.referrals.recordPurchase(fresh(), { amount: 7, reference: 'shared' });
    expect(purchase.amount).toBe('7.00');
    expect(await host.referrals.purchases.count({ where: { userId: buyer } })).toBe(2);
  });

  test('references are kept to the letter', async () => {
    const buyer = fresh();
    const references = ['a', 'A', 'a ', '漢'.repeat(255), "'; DROP TABLE referral_purchases; --", '%', '\\'];
    for (const reference of references) await host.referrals.recordPurchase(buyer, { amount: 1, reference });
    const found = await host.referrals.purchases.search({ where: { userId: buyer } });
    expect(found.map(({ reference }) => reference)).toEqual(references);
  });

  test('an amount is kept to the digit', async () => {
    const buyer = fresh();
    for (const [amount, kept] of [
      ...[[0, '0.00'], ['0.0001', '0.0001'], [1e-4, '0.0001'], ['9999999999999999.9999', '9999999999999999.9999']],
      ...[[1e15, '1000000000000000.00'], ['007.10', '7.10'], [-0, '0.00'], ['-0.00', '0.00']],
    ] as [Amount, string][])
      expect((await buy(buyer, amount)).purchase.amount).toBe(kept); // prettier-ignore
  });

  test('wrong input is refused by its field, before anything is written', async () => {
    const good = { amount: '1', reference: 'good' };
    const inputs: [string, [unknown, unknown]][] = [
      ...noAmounts.map((amount): [string, [unknown, unknown]] => ['amount', ['b', { ...good, amount }]]),
      ...[undefined, null, -1, '-0.0001'].map((amount): [string, [unknown, unknown]] => [
        'amount',
        ['b', { ...good, amount }],
      ]),
      ...[undefined, null, '', 7, 'x'.repeat(256), 'a\u0000', 'a\ud800', ['a']].map(
        (reference): [string, [unknown, unknown]] => ['reference', ['b', { ...good, reference }]],
      ),
      ...['2026-01-01', 0, new Date(NaN), new Date(-8.64e15), {}].map((at): [string, [unknown, unknown]] => [
        'at',
        ['b', { ...good, at }],
      ]),
      ...[undefined, null, '', 1.5, NaN, 'x'.repeat(129), 'a\u0000', true].map((user): [string, [unknown, unknown]] => [
        'user',
        [user, good],
      ]),
      ...[{}, { id: null }, { id: '' }, { id: {} }].map((user): [string, [unknown, unknown]] => [
        'user.id',
        [user, good],
      ]),
      ['amuont', ['b', { ...good, amuont: 1 }]],
      ['currency', ['b', { ...good, currency: 'usd' }]],
      ['rate', ['b', { ...good, currency: 'EUR' }]],
    ];
    await expectRefusals(host, inputs, ([user, input], options) =>
      host.referrals.recordPurchase(user as string, { ...(input as typeof good), ...options }),
    );
    for (const input of [undefined, null, 'inv', [good]])
      await expect(host.referrals.recordPurchase('b', input as never)).rejects.toMatchObject({
        field: 'recordPurchase',
      });
  });

  test('a wrong manager is refused, before anything is written', async () => {
    const { code } = await couponOf(host, fresh());
    const before = await everyRow(host);
    for (const manager of (await wrongManagers(host)) as never[])
      for (const call of [
        () => host.referrals.recordPurchase('b', { amount: 1, reference: 'x', manager }),
        () => host.referrals.recordRefund('b', { purchase: 'x', reference: 'y', manager }),
        () => host.referrals.quote('b', 1, { manager }),
        () => host.referrals.coupons.apply('b', code, { manager }),
        () => host.referrals.coupons.of('b', { manager }),
        () => host.referrals.coupons.remove('b', { manager }),
        () => host.referrals.accounts.of('b', { manager }),
        () => host.referrals.accounts.totals('b', { manager }),
      ])
        await expect(call()).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'manager' });
    expect(await everyRow(host)).toEqual(before);
  });
});

describe('what is earned', () => {
  // The ratio, the amount, and what is earned: rounded half up to cents, once.
  test.each<[Amount, Amount, string]>([
    ['0.25', '0.02', '0.01'],
    ['0.25', '0.0199', 'too-small'],
    ['0.25', '0.0599', '0.01'],
    ['0.25', '0.06', '0.02'],
    ['0.3333', '1.5', '0.50'],
    ['0.1', '0.05', '0.01'],
    [0.1, 0.0499, 'too-small'],
    ['0.0001', '49.99', 'too-small'],
    ['0.0001', '50', '0.01'],
    ['1', '12.34', '12.34'],
    ['1', '0.0049', 'too-small'],
    ['0.25', 0, 'too-small'],
    ['0', '100', 'no-rate'],
    ['0.29', '100', '29.00'], // 28.999999999999996 as a float
    ['0.25', '9999999999999999.99', '2500000000000000.00'],
  ])('%p of %p: %s', async (commissionRatio, amount, expected) => {
    const { buyer, referrer } = await pair({ commissionRatio });
    expect(await earned(buyer, amount)).toBe(expected);
    const isMoney = /\d/.test(expected);
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe(isMoney ? expected : '0.00');
  });

  test('nothing, by default', async () => {
    const none = await startEarnings({ commission: { ratio: 0 } });
    await refer(none, 'anna', 'boris');
    expect(await earner('boris', 100, {}, none)).toBe('sign-up anna no-rate');
    expect(await none.referrals.accounts.totals('anna')).toMatchObject({ usersReferred: 1, usersUpgraded: 1 });
  });

  test('pending for as long as the option says, also not at all', async () => {
    const ready = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals, clock } = ready;
    await refer(ready, 'anna', 'boris');
    const { commission } = await referrals.recordPurchase('boris', { amount: 8, reference: 'a' });
    expect(commission).toMatchObject({ status: 'available', availableAt: clock.time });
    expect((await referrals.accounts.totals('anna')).creditsEarned).toBe('2.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('available 30 days after it was paid, not after it was recorded', async () => {
    const { buyer, referrer } = await pair();
    const at = new Date(host.clock.time.getTime() - 31 * day);
    const { commission, purchase } = await buy(buyer, 100, { at });
    expect(commission).toMatchObject({ status: 'available', availableAt: new Date(at.getTime() + 30 * day) });
    expect(purchase).toMatchObject({ purchasedAt: at, createdAt: host.clock.time });
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('25.00');
    const later = new Date(host.clock.time.getTime() + 5 * day);
    expect((await buy(buyer, 100, { at: later })).commission!.availableAt).toEqual(
      new Date(later.getTime() + 30 * day),
    );
  });
});

describe('the program’s terms', () => {
  const program = (commission: object | null, name = fresh('program')) =>
    host.referrals.programs.create({ name, commission: commission });

  test('hold in place of the option’s, as they were at the sign-up', async () => {
    const { referrals } = host;
    const terms = await program({ ratio: '0.5', maxPerReferee: 60 });
    expect(terms).toMatchObject({ commissionRatio: '0.50', commissionMaxPerReferee: '60.00' });
    const [before, after, none] = [fresh('before'), fresh('after'), fresh('none')];
    const { id, code } = await refer(host, fresh(), before, { program: terms });
    await referrals.programs.update(terms, { commission: { ratio: '0.1' } });
    await referrals.signups.create({ user: after, code });
    expect(await earned(before, 100)).toBe('50.00');
    expect(await earned(before, 100)).toBe('10.00');
    expect(await earned(before, 100)).toBe('limit-reached');
    expect(await earned(after, 100)).toBe('10.00');
    await referrals.programs.update(terms, { commission: null });
    await referrals.signups.create({ user: none, code });
    expect(await earned(none, 100)).toBe('25.00');
    expect(await earned(after, 100)).toBe('10.00');
    await referrals.referralCodes.update(id, { program: null });
    expect(await earned(after, 100)).toBe('10.00');
    const [signup] = await referrals.signups.search({ where: { userId: before } });
    expect(signup).toMatchObject({ commissionRatio: '0.50', commissionMaxPerReferee: '60.00' });
  });

  test('of a ratio of 0 are terms: the option’s does not come in', async () => {
    const { buyer } = await pair({ program: await program({ ratio: 0 }) });
    expect(await earned(buyer, 100)).toBe('no-rate');
  });

  test('a code has some of its own', async () => {
    const { buyer } = await pair({ commissionRatio: '0.4', commissionMaxPerReferee: '50' });
    expect(await earned(buyer, 100)).toBe('40.00');
    expect(await earned(buyer, 100)).toBe('10.00');
    const [signup] = await host.referrals.signups.search({ where: { userId: buyer } });
    expect(await signup!.referralCode()).toMatchObject({ commissionRatio: '0.40', commissionMaxPerReferee: '50.00' });
  });

  test('are refused by the field that is wrong', async () => {
    const programs: [string, object][] = [
      ['commission', { commission: 5 }],
      ['commission', { commission: [] }],
      ['commission.ratio', { commission: {} }],
      ['commission.ratio', { commission: { ratio: 1.1 } }],
      ['commission.ratio', { commission: { ratio: -0.1 } }],
      ['commission.ratio', { commission: { ratio: '0.00001' } }],
      ['commission.ratio', { commission: { ratio: null } }],
      ['share', { commission: { share: 0.1 } }],
    ];
    await expectRefusals(host, programs, (input, options) =>
      host.referrals.programs.create({ name: 'never', ...input }, options),
    );
    const limits = [0, '-1', NaN].map((maxPerReferee) => ['commission.maxPerReferee', { ratio: 0.1, maxPerReferee }]);
    await expectRefusals(host, limits as [string, { ratio: number }][], (commission, options) =>
      host.referrals.programs.create({ name: 'never', commission }, options),
    );
  });

  test('of a code are refused by the field that is wrong', async () => {
    const codes: [string, object][] = [
      ['commissionRatio', { commissionRatio: 2 }],
      ['commissionRatio', { commissionRatio: 'half' }],
      ['commissionMaxPerReferee', { commissionMaxPerReferee: 5 }],
      ['commissionMaxPerReferee', { commissionRatio: null, commissionMaxPerReferee: 5 }],
      ['commissionMaxPerReferee', { commissionRatio: 0.1, commissionMaxPerReferee: -5 }],
    ];
    await expectRefusals(host, codes, (input, options) =>
      host.referrals.referralCodes.create({ code: 'never', user: 'never', ...input }, options),
    );
  });
});

describe('the limit for each referee', () => {
  let capped: EarningsHost;
  beforeAll(async () => {
    capped = await startEarnings({ commission: { maxPerReferee: '100' } });
  });
  const bought = (buyer: string, amount: Amount): Promise<string> => earned(buyer, amount, {}, capped);

  test('over several purchases; for each referee anew', async () => {
    const [referrer, buyer, other] = [fresh(), fresh(), fresh()];
    await refer(capped, referrer, buyer);
    await refer(capped, referrer, other);
    expect(await bought(buyer, 200)).toBe('50.00');
    expect(await bought(buyer, '199.96')).toBe('49.99');
    expect(await bought(buyer, 200)).toBe('0.01');
    expect(await bought(buyer, 200)).toBe('limit-reached');
    expect(await bought(other, 1000)).toBe('100.00');
  });

  test('is freed by refunds', async () => {
    const buyer = fresh();
    await refer(capped, fresh(), buyer);
    await capped.referrals.recordPurchase(buyer, { amount: 1000, reference: 'big' });
    await capped.referrals.recordRefund(buyer, { purchase: 'big', reference: 'part', amount: 300 });
    expect(await bought(buyer, 1000)).toBe('30.00');
    expect(await bought(buyer, 1000)).toBe('limit-reached');
    await capped.referrals.recordRefund(buyer, { purchase: 'big', reference: 'rest' });
    expect(await bought(buyer, 40)).toBe('10.00');
    expect(await bought(buyer, 1000)).toBe('60.00');
  });

  test('counts across the owner’s channels and links, each with its own limit', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await refer(capped, owner, buyer);
    const [small, open] = [
      await couponOf(capped, owner, { maxEarningsPerReferred: '40', isRecurring: true }),
      await couponOf(capped, owner, { maxEarningsPerReferred: null }),
    ];
    await capped.referrals.coupons.apply(buyer, small.code);
    expect(await bought(buyer, 100)).toBe('30.00');
    expect(await bought(buyer, 100)).toBe('10.00');
    expect(await bought(buyer, 100)).toBe('limit-reached');
    await capped.referrals.coupons.apply(buyer, open.code);
    expect(await bought(buyer, 1000)).toBe('300.00');
    expect(await bought(buyer, 1000)).toBe('limit-reached'); // by the sign-up again
  });

  test('a channel has the option’s limit, unless it says otherwise', async () => {
    const buyer = fresh('buyer');
    const { code, maxEarningsPerReferred } = await couponOf(capped, fresh(), { isRecurring: true });
    expect(maxEarningsPerReferred).toBe('100.00');
    await capped.referrals.coupons.apply(buyer, code);
    expect(await bought(buyer, 200)).toBe('60.00');
    expect(await bought(buyer, 200)).toBe('40.00');
  });

  test('of less than a cent leaves nothing', async () => {
    const buyer = fresh();
    await refer(capped, fresh(), buyer, { commissionRatio: 1, commissionMaxPerReferee: '1.0099' });
    expect(await bought(buyer, 5)).toBe('1.00');
    expect(await bought(buyer, 5)).toBe('limit-reached');
  });

  test('and all of it adds up', async () => {
    expect(await capped.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('who earns', () => {
  test('the coupon’s owner before the sign-up’s referrer; later purchases are the sign-up’s again', async () => {
    const { buyer, referrer } = await pair();
    const channel = await couponOf(host, fresh('owner'));
    await host.referrals.coupons.apply(buyer, channel.code);
    const { purchase, commission } = await buy(buyer, 100);
    expect(purchase).toMatchObject({ source: 'coupon', referrerId: channel.userId, channelId: channel.id });
    expect(commission).toMatchObject({ channelId: channel.id, referralId: channel.id, rate: '0.30', earned: '30.00' });
    expect(await earner(buyer, 100)).toBe(`sign-up ${referrer} 0.25`);
  });

  test('the owner of the last coupon, for who came through nobody else', async () => {
    const buyer = fresh('buyer');
    const [one, two] = [await couponOf(host, fresh('one')), await couponOf(host, fresh('two'), { isRecurring: true })];
    await host.referrals.coupons.apply(buyer, one.code);
    expect(await earner(buyer, 100)).toBe(`coupon ${one.userId} 0.30`);
    expect(await earner(buyer, 100)).toBe(`earlier-coupon ${one.userId} 0.30`);
    await host.referrals.coupons.apply(buyer, two.code);
    expect(await earner(buyer, 100)).toBe(`coupon ${two.userId} 0.30`);
    expect(await earner(buyer, 100)).toBe(`coupon ${two.userId} 0.30`);
    const { purchase } = await buy(buyer, 50);
    expect(purchase).toMatchObject({ channelId: two.id, source: 'coupon' });
  });

  test('nobody', async () => {
    const { purchase, commission } = await buy(fresh(), 100);
    expect(commission).toBeNull();
    expect(purchase).toMatchObject({
      ...{ source: null, referralId: null, channelId: null, referrerId: null, mode: null },
      ...{ noCommission: 'no-referrer', isRevenue: false },
    });
  });

  test('nobody, for a sign-up with a code of the site’s own', async () => {
    const buyer = fresh();
    const { code } = await host.referrals.referralCodes.create({ code: fresh('SITE'), label: fresh() });
    await host.referrals.signups.create({ user: buyer, code });
    expect(await earner(buyer, 100)).toBe('  no-referrer');
  });

  test('a sign-up with a coupon’s code is at the channel’s rates', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { initialRatePeriodDays: 0 });
    await host.referrals.signups.create({ user: buyer, code: channel.code.toLowerCase() });
    expect(await earner(buyer, 100)).toBe(`sign-up ${channel.userId} 0.10`);
    expect(await host.referrals.coupons.of(buyer)).toBeNull();
  });

  test('a coupon that can’t be used at the time of the purchase is left out, and stays', async () => {
    const { buyer, referrer } = await pair();
    const channel = await couponOf(host, fresh('owner'), { startDate: host.clock.time });
    await host.referrals.coupons.apply(buyer, channel.code);
    const before = new Date(host.clock.time.getTime() - 1);
    expect(await earner(buyer, 100, { at: before })).toBe(`sign-up ${referrer} 0.25`);
    expect(await host.referrals.coupons.of(buyer)).toMatchObject({ channelId: channel.id });
    expect(await earner(buyer, 100, { at: host.clock.time })).toBe(`coupon ${channel.userId} 0.30`);
  });
});

describe('initial and ongoing rate', () => {
  const applied = async (given: Parameters<typeof couponOf>[2]) => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { startDate: new Date(0), isRecurring: true, ...given });
    await host.referrals.coupons.apply(buyer, channel.code);
    return buyer;
  };
  const start = new Date('2025-01-01T00:00:00Z');
  const after = (ms: number): { at: Date } => ({ at: new Date(start.getTime() + ms) });

  test('change exactly so many days after the buyer’s first purchase', async () => {
    const buyer = await applied({ initialRatePeriodDays: 10 });
    expect(await earned(buyer, 100, after(0))).toBe('30.00');
    expect(await earned(buyer, 100, after(10 * day - 1))).toBe('30.00');
    expect(await earned(buyer, 100, after(10 * day))).toBe('10.00');
    expect(await earned(buyer, 100, after(10 * day + 1))).toBe('10.00');
  });

  test('count from the first purchase of all, not from the first with the coupon', async () => {
    const buyer = fresh('buyer');
    await buy(buyer, 5, after(0));
    const channel = await couponOf(host, fresh('owner'), { startDate: new Date(0), initialRatePeriodDays: 10 });
    await host.referrals.coupons.apply(buyer, channel.code);
    expect(await earned(buyer, 100, after(10 * day))).toBe('10.00');
  });

  test('count from the earliest purchase, in whatever order they are recorded', async () => {
    const buyer = await applied({ initialRatePeriodDays: 10 });
    expect(await earned(buyer, 100, after(5 * day))).toBe('30.00');
    expect(await earned(buyer, 100, after(0))).toBe('30.00'); // the first of all, recorded second
    expect(await earned(buyer, 100, after(9 * day))).toBe('30.00');
    expect(await earned(buyer, 100, after(12 * day))).toBe('10.00');
    const { firstPurchaseAt } = await host.dataSource
      .getRepository<{ userId: string; firstPurchaseAt: Date }>('ReferralBuyer')
      .findOneByOrFail({ userId: buyer });
    expect(firstPurchaseAt).toEqual(start);
  });

  test('a purchase of nothing does not begin the days', async () => {
    const buyer = await applied({ initialRatePeriodDays: 10 });
    expect(await earned(buyer, 0, after(0))).toBe('too-small');
    expect(await earned(buyer, 100, after(11 * day))).toBe('30.00');
  });

  test('0 days: the ongoing rate from the first purchase on', async () => {
    expect(await earned(await applied({ initialRatePeriodDays: 0 }), 100, after(0))).toBe('10.00');
  });

  test('by default the option’s ratio, for a year and after it', async () => {
    const buyer = await applied({ initialRate: undefined, ongoingRate: undefined });
    expect(await earned(buyer, 100, after(0))).toBe('25.00');
    expect(await earned(buyer, 100, after(400 * day))).toBe('25.00');
    const raised = await applied({ initialRate: '0.5', ongoingRate: undefined });
    expect(await earned(raised, 100, after(0))).toBe('50.00');
    expect(await earned(raised, 100, after(400 * day))).toBe('50.00');
  });

  test('are those of the moment; what was earned stays', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { isRecurring: true });
    await host.referrals.coupons.apply(buyer, channel.code);
    const { commission } = await buy(buyer, 100);
    await channel.update({ initialRate: '0.5', maxEarningsPerReferred: 60 });
    expect(await earned(buyer, 100)).toBe('30.00');
    expect(await commission!.refresh()).toMatchObject({ rate: '0.30', earned: '30.00', maxPerReferee: null });
  });
});

describe('a coupon', () => {
  test('is applied in any case and with blanks around it, and seen until it is taken off', async () => {
    const buyer = fresh('buyer');
    const { coupons } = host.referrals;
    const channel = await couponOf(host, fresh('owner'), { code: fresh('Summer'), description: 'A fifth off' });
    const expected = {
      ...{ channelId: channel.id, code: channel.code, promoType: 'percent_off', promoValue: '0.20' },
      ...{ description: 'A fifth off', isRecurring: false },
    };
    expect(await coupons.of(buyer)).toBeNull();
    for (const typed of [channel.code, `  ${channel.code.toUpperCase()}\t`, `${channel.code.toLowerCase()}\n`])
      expect(await coupons.apply(buyer, typed)).toEqual(expected);
    expect(await coupons.of({ id: buyer })).toEqual(expected);
    expect(await coupons.of(fresh())).toBeNull();
    await coupons.remove(buyer);
    expect(await coupons.of(buyer)).toBeNull();
    await coupons.remove(buyer);
    expect(await earner(buyer, 100)).toBe('  no-referrer');
  });

  test('that is unknown, or only a link, is not found', async () => {
    const { code } = await refer(host, fresh(), fresh());
    for (const typed of ['NOBODYS', code, '', ' ', '漢', 'a b', "'; --", 'x'.repeat(10_000)])
      expect(await refusalOf(host.referrals.coupons.apply('buyer', typed))).toBe('COUPON_NOT_FOUND');
    await expect(host.referrals.coupons.apply('buyer', 'NOBODYS')).rejects.toMatchObject({ status: 400 });
  });

  test('of the wrong type is refused by its field', async () => {
    const { code } = await couponOf(host, fresh());
    const inputs: [string, unknown[]][] = [
      ...[undefined, null, 7, {}, [code], 'a\u0000', '\ud800'].map((one): [string, unknown[]] => ['code', ['b', one]]),
      ...[undefined, null, '', 0.5].map((user): [string, unknown[]] => ['user', [user, code]]),
      ['user.id', [{}, code]],
      ['request', ['b', code, { request: null }]],
    ];
    await expectRefusals(host, inputs, ([user, typed, given], options) =>
      host.referrals.coupons.apply(user as string, typed as string, { ...(given as object), ...options }),
    );
  });

  test('replaces the one before', async () => {
    const buyer = fresh('buyer');
    const [one, two] = [await couponOf(host, fresh('one')), await couponOf(host, fresh('two'))];
    await host.referrals.coupons.apply(buyer, one.code);
    await host.referrals.coupons.apply(buyer, two.code);
    expect(await earner(buyer, 100)).toBe(`coupon ${two.userId} 0.30`);
    expect((await one.refresh()).totalUses).toBe(0);
    await host.referrals.coupons.apply(buyer, one.code); // not redeemed, so still good
    expect(await earner(buyer, 100)).toBe(`coupon ${one.userId} 0.30`);
  });

  test('a refused one leaves the one before on', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh());
    await host.referrals.coupons.apply(buyer, channel.code);
    await refusalOf(host.referrals.coupons.apply(buyer, 'NOBODYS'));
    await refusalOf(host.referrals.coupons.apply(buyer, (await couponOf(host, buyer)).code));
    expect(await host.referrals.coupons.of(buyer)).toMatchObject({ channelId: channel.id });
  });

  test('for one purchase: redeemed by the first, off after it, and never again', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'));
    const { coupons } = host.referrals;
    await coupons.apply(buyer, channel.code);
    await buy(buyer, 80);
    expect(await coupons.of(buyer)).toBeNull();
    expect(await host.referrals.quote(buyer, 100)).toMatchObject({ discount: '0.00', code: null });
    await expect(coupons.apply(buyer, channel.code)).rejects.toMatchObject({ code: 'COUPON_REDEEMED', status: 400 });
    await host.referrals.recordRefund(buyer, { purchase: `inv-${serial}`, reference: 're' });
    expect(await refusalOf(coupons.apply(buyer, channel.code))).toBe('COUPON_REDEEMED');
    await buy(buyer, 80);
    expect((await channel.refresh()).totalUses).toBe(1);
  });

  test('a recurring one stays on for renewals, is counted once, and is not taken off', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { isRecurring: true });
    const { coupons } = host.referrals;
    await coupons.apply(buyer, channel.code);
    for (let n = 0; n < 3; n++) {
      expect(await host.referrals.quote(buyer, 100)).toMatchObject({ discount: '20.00', code: channel.code });
      expect(await earner(buyer, 80)).toBe(`coupon ${channel.userId} 0.30`);
    }
    await coupons.remove(buyer);
    expect(await coupons.of(buyer)).toMatchObject({ channelId: channel.id });
    expect(await refusalOf(coupons.apply(buyer, channel.code))).toBe('COUPON_REDEEMED');
    expect(await channel.refresh()).toMatchObject({ totalUses: 1, totalCommission: '72.00', totalRevenue: '240.00' });
    const other = await couponOf(host, fresh('other'));
    await coupons.apply(buyer, other.code);
    await buy(buyer, 80);
    expect(await refusalOf(coupons.apply(buyer, channel.code))).toBe('COUPON_REDEEMED');
  });

  test('is counted once a user', async () => {
    const channel = await couponOf(host, fresh('owner'), { isRecurring: true });
    for (const buyer of [fresh(), fresh()]) {
      await host.referrals.coupons.apply(buyer, channel.code);
      await buy(buyer, 10);
      await buy(buyer, 10);
    }
    expect((await channel.refresh()).totalUses).toBe(2);
  });

  test('can be applied from its first to its last moment', async () => {
    const { clock, referrals } = host;
    const at = (ms: number): Date => new Date(clock.time.getTime() + ms);
    const cases: [Partial<Parameters<typeof couponOf>[2]>, string][] = [
      [{ startDate: at(0), endDate: at(1) }, 'nothing'],
      [{ startDate: at(1) }, 'COUPON_INACTIVE'],
      [{ startDate: at(-2), endDate: at(0) }, 'COUPON_EXPIRED'],
      [{ isActive: false }, 'COUPON_INACTIVE'],
      [{ isActive: false, startDate: at(-2), endDate: at(-1) }, 'COUPON_INACTIVE'],
    ];
    for (const [given, expected] of cases) {
      const { code } = await couponOf(host, fresh('owner'), given);
      expect(await refusalOf(referrals.coupons.apply(fresh(), code))).toBe(expected);
    }
  });

  test.each<[string, object, object]>([
    ['expired', { endDate: new Date('2026-12-01T00:00:00Z') }, { endDate: new Date('2020-01-02T00:00:00Z') }],
    ['deactivated', {}, { isActive: false }],
    ['postponed', {}, { startDate: new Date('2100-01-01T00:00:00Z'), endDate: null }],
  ])('%s before the purchase is not used; after it, a recurring one stays on', async (_how, given, changes) => {
    const { referrals } = host;
    const { buyer, referrer } = await pair();
    const renewing = fresh('renewing');
    const terms = { startDate: new Date('2020-01-01T00:00:00Z'), isRecurring: true, ...given };
    const channel = await couponOf(host, fresh('owner'), terms);
    await referrals.coupons.apply(buyer, channel.code);
    await referrals.coupons.apply(renewing, channel.code);
    expect(await earner(renewing, 100)).toBe(`coupon ${channel.userId} 0.30`);
    await channel.update(changes);
    expect(await referrals.coupons.of(buyer)).toBeNull();
    expect(await referrals.quote(buyer, 100)).toMatchObject({ discount: '0.00', code: null });
    expect(await earner(buyer, 100)).toBe(`sign-up ${referrer} 0.25`);
    expect(await referrals.quote(renewing, 100)).toMatchObject({ discount: '20.00', code: channel.code });
    expect(await referrals.coupons.of(renewing)).toMatchObject({ channelId: channel.id });
    expect(await earner(renewing, 100)).toBe(`coupon ${channel.userId} 0.30`);
    expect((await channel.refresh()).totalUses).toBe(1);
  });

  test('of one’s own is refused; the host knows of people with several accounts', async () => {
    const asked: unknown[] = [];
    const knowing = await startEarnings({
      isSamePerson: (referrer, referee, { req, user, manager }) => {
        asked.push([referrer, referee, req, user, manager !== undefined]);
        return referrer.split('+')[0] === referee.split('+')[0];
      },
    });
    const { coupons } = knowing.referrals;
    const { code } = await couponOf(knowing, 'anna');
    await expect(coupons.apply('anna', code)).rejects.toMatchObject({ code: 'COUPON_OWN', status: 400 });
    const twin = { id: 'anna+2' };
    expect(await refusalOf(coupons.apply(twin, code))).toBe('COUPON_OWN');
    expect(await refusalOf(coupons.apply('boris', code))).toBe('nothing');
    expect(asked).toEqual([
      ['anna', 'anna+2', null, twin, false],
      ['anna', 'boris', null, 'boris', false],
    ]);
    expect(await coupons.of('anna+2')).toBeNull();
  });

  test('what isSamePerson throws fails the call, and nothing is applied', async () => {
    let isAway = true;
    const failing = await startEarnings({
      isSamePerson: () => {
        if (isAway) throw new Error('directory away');
        return false;
      },
    });
    const { code } = await couponOf(failing, 'anna');
    await expect(failing.referrals.coupons.apply('boris', code)).rejects.toThrow('directory away');
    isAway = false;
    expect(await failing.referrals.coupons.of('boris')).toBeNull();
  });

  test('applied, taken off and redeemed in the host’s transaction, it goes with that', async () => {
    const { dataSource, referrals } = host;
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'));
    const before = await everyRow(host);
    const rolledBack = dataSource.transaction(async (manager) => {
      await referrals.coupons.apply(buyer, channel.code, { manager });
      expect(await referrals.coupons.of(buyer, { manager })).toMatchObject({ channelId: channel.id });
      expect(await referrals.quote(buyer, 100, { manager })).toMatchObject({ total: '80.00' });
      expect(await referrals.coupons.of(buyer)).toBeNull();
      await buy(buyer, 80, { manager });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
    await dataSource.transaction((manager) => referrals.coupons.apply(buyer, channel.code, { manager }));
    await dataSource.transaction((manager) => referrals.coupons.remove(buyer, { manager }));
    expect(await referrals.coupons.of(buyer)).toBeNull();
    await dataSource.transaction(async (manager) => {
      await referrals.coupons.apply(buyer, channel.code, { manager });
      await buy(buyer, 80, { manager });
    });
    expect((await channel.refresh()).totalUses).toBe(1);
  });
});

describe('quote', () => {
  test.each<[object, Amount, string[]]>([
    [{ promoValue: '0.20' }, '49.00', ['49.00', '9.80', '39.20']],
    [{ promoValue: '0.15' }, '0.10', ['0.10', '0.02', '0.08']],
    [{ promoValue: '0.15' }, '0.09', ['0.09', '0.01', '0.08']],
    [{ promoValue: '0.25' }, '0.02', ['0.02', '0.01', '0.01']],
    [{ promoValue: '0.0001' }, '49.99', ['49.99', '0.00', '49.99']],
    [{ promoValue: 1 }, '12.34', ['12.34', '12.34', '0.00']],
    [{ promoValue: 1 }, 0, ['0.00', '0.00', '0.00']],
    [{ promoValue: 0 }, 5, ['5.00', '0.00', '5.00']],
    [{ promoType: 'value_off', promoValue: '10' }, 49, ['49.00', '10.00', '39.00']],
    [{ promoType: 'value_off', promoValue: '10' }, '9.99', ['9.99', '9.99', '0.00']],
    [{ promoType: 'value_off', promoValue: '0.005' }, '9.99', ['9.99', '0.01', '9.98']],
    [{ promoType: 'value_off', promoValue: '1000000' }, 0.5, ['0.50', '0.50', '0.00']],
    [{ promoValue: '0.29' }, 100, ['100.00', '29.00', '71.00']],
  ])('%j off %p', async (given, amount, expected) => {
    const buyer = fresh('buyer');
    const { code } = await couponOf(host, fresh('owner'), given);
    expect(await host.referrals.quote(buyer, amount)).toMatchObject({
      discount: '0.00',
      total: expected[0],
      code: null,
    });
    await host.referrals.coupons.apply(buyer, code);
    const quote = await host.referrals.quote({ id: buyer }, amount);
    expect(quote).toEqual({ amount: expected[0], discount: expected[1], total: expected[2], code });
  });

  test('a purchase of nothing, with all of it off, redeems the coupon', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { promoValue: 1 });
    await host.referrals.coupons.apply(buyer, channel.code);
    const { total } = await host.referrals.quote(buyer, 50);
    const { purchase, commission } = await buy(buyer, total);
    expect([purchase.source, purchase.noCommission, commission]).toEqual(['coupon', 'too-small', null]);
    expect((await channel.refresh()).totalUses).toBe(1);
    expect(await counts(channel.userId)).toEqual([1, 0]); // paid nothing yet
  });

  test('wrong input is refused by its field', async () => {
    const inputs: [string, unknown[]][] = [
      ...noAmounts.map((amount): [string, unknown[]] => ['amount', ['b', amount]]),
      ...[undefined, null, -1, '-0.01'].map((amount): [string, unknown[]] => ['amount', ['b', amount]]),
      ...[undefined, null, '', 1.5].map((user): [string, unknown[]] => ['user', [user, 1]]),
      ['user.id', [{ id: null }, 1]],
    ];
    await expectRefusals(host, inputs, ([user, amount], options) =>
      host.referrals.quote(user as string, amount as Amount, options),
    );
    expect(await refusalOf(host.referrals.quote('b', 1, { at: new Date() } as never))).toBe('INVALID_INPUT at');
    expect(await refusalOf(host.referrals.coupons.of(null as never))).toBe('INVALID_INPUT user');
    expect(await refusalOf(host.referrals.coupons.remove('b', { code: 'x' } as never))).toBe('INVALID_INPUT code');
  });
});

describe('one’s own sign-up', () => {
  test.each([
    ['block', 'no-referrer'],
    ['flag', '25.00'],
    ['allow', '25.00'],
  ] as const)('selfReferral %s: %s', async (selfReferral, expected) => {
    const own = await startEarnings({ selfReferral });
    const { referrals } = own;
    const { code } = await referrals.referralCodes.create({ code: 'OWN', user: 'anna' });
    const browser = own.browser();
    await browser.post('/login/anna');
    await browser.get(`/r/${code}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
    const isMade = (await refusalOf(referrals.signups.create({ user: 'anna', code }))) === 'nothing';
    expect(isMade).toBe(selfReferral !== 'block');
    const { purchase, commission } = await buy('anna', 100, {}, own);
    expect(commission?.earned ?? purchase.noCommission).toBe(expected);
    expect(purchase.source).toBe(isMade ? 'sign-up' : null); // the click of who is signed in is none
    const { usersReferred, usersUpgraded, totalCreditsEarned } = await referrals.accounts.totals('anna');
    expect([usersReferred, usersUpgraded, totalCreditsEarned]).toEqual(isMade ? [1, 1, '25.00'] : [0, 0, '0.00']);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test.each(['flag', 'allow'] as const)('clicks on one’s own link, selfReferral %s', async (selfReferral) => {
    const own = await startEarnings({ selfReferral });
    await own.referrals.referralCodes.create({ code: 'OWN', user: 'anna' });
    const browser = own.browser();
    await browser.post('/login/anna');
    await browser.get('/r/OWN').set('user-agent', 'Mozilla/5.0 Firefox/140.0');
    expect(await earner('anna', 100, {}, own)).toBe('attribution anna 0.25');
  });
});

describe('without a sign-up', () => {
  let clicked: EarningsHost;
  beforeAll(async () => {
    clicked = await startEarnings({
      attribution: { windowDays: 10 },
      isSamePerson: (referrer, referee) => `${referrer}+2` === referee,
    });
  });
  const click = async (user: string, code: string): Promise<void> => {
    const browser = clicked.browser();
    await browser.post(`/login/${user}`);
    await browser.get(`/r/${code}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
  };
  const link = async (user: string, terms: object = {}): Promise<string> =>
    (await clicked.referrals.referralCodes.create({ code: fresh('LINK'), label: fresh(), user, ...terms })).code;
  const who = (buyer: string): Promise<string> => earner(buyer, 100, {}, clicked);

  test('the owner of the link that the buyer came through earns, within the window', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await click(buyer, await link(owner));
    expect(await who(buyer)).toBe(`attribution ${owner} 0.25`);
    clicked.clock.advanceDays(9.999);
    expect(await who(buyer)).toBe(`attribution ${owner} 0.25`);
    clicked.clock.advanceDays(0.001);
    expect(await who(buyer)).toBe('  no-referrer');
    const totals = await clicked.referrals.accounts.totals(owner);
    expect(totals).toMatchObject({ usersReferred: 1, usersUpgraded: 1, totalCreditsEarned: '50.00' });
  });

  test('the last touch wins, and a sign-up wins over all of them', async () => {
    const [one, two, buyer] = [fresh('one'), fresh('two'), fresh('buyer')];
    await click(buyer, await link(one));
    clicked.clock.advanceDays(1);
    await click(buyer, await link(two));
    expect(await who(buyer)).toBe(`attribution ${two} 0.25`);
    const three = fresh('three');
    await refer(clicked, three, buyer);
    expect(await who(buyer)).toBe(`sign-up ${three} 0.25`);
  });

  test('an anonymous click counts once the visitor has signed in', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const browser = clicked.browser();
    await browser.get(`/r/${await link(owner)}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0');
    expect(await who(buyer)).toBe('  no-referrer');
    await browser.post(`/login/${buyer}`);
    await browser.get('/whose');
    expect(await who(buyer)).toBe(`attribution ${owner} 0.25`);
  });

  test('at the terms of the link’s program today', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const program = await clicked.referrals.programs.create({
      name: fresh('program'),
      commission: { ratio: '0.5', maxPerReferee: 70 },
    });
    await click(buyer, await link(owner, { program }));
    expect(await who(buyer)).toBe(`attribution ${owner} 0.50`);
    await clicked.referrals.programs.update(program, { commission: { ratio: '0.4', maxPerReferee: 70 } });
    expect(await earned(buyer, 100, {}, clicked)).toBe('20.00');
  });

  test('a coupon’s code in a link earns at the channel’s rates; an applied coupon comes first', async () => {
    const [owner, other, buyer] = [fresh('owner'), fresh('other'), fresh('buyer')];
    await click(buyer, (await couponOf(clicked, owner)).code);
    expect(await who(buyer)).toBe(`attribution ${owner} 0.30`);
    await clicked.referrals.coupons.apply(buyer, (await couponOf(clicked, other)).code);
    expect(await who(buyer)).toBe(`coupon ${other} 0.30`);
    expect(await who(buyer)).toBe(`attribution ${owner} 0.30`);
  });

  test('one’s own link, and that of who is the same person, earn nothing and count nobody', async () => {
    const owner = fresh('owner');
    for (const buyer of [owner, `${owner}+2`]) {
      const browser = clicked.browser();
      await browser.get(`/r/${await link(owner)}`).expect(302);
      await browser.post(`/login/${buyer}`);
      await browser.get('/whose').expect(200);
      const { purchase } = await buy(buyer, 100, {}, clicked);
      expect(purchase).toMatchObject({ source: 'attribution', noCommission: 'own-referral', isRevenue: false });
    }
    const totals = await clicked.referrals.accounts.totals(owner);
    expect(totals).toMatchObject({ usersReferred: 0, usersUpgraded: 0, totalCreditsEarned: '0.00' });
  });

  test('a link of the site itself has nobody to earn', async () => {
    const buyer = fresh('buyer');
    const { code } = await clicked.referrals.referralCodes.create({ code: fresh('SITE'), label: fresh() });
    await click(buyer, code);
    expect(await who(buyer)).toBe('  no-referrer');
  });

  test('and all of it adds up', async () => {
    expect(await clicked.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('with an isSamePerson that asks the database, and two connections', () => {
  let small: EarningsHost;
  beforeAll(async () => {
    const dataSource = await openDataSource({ poolSize: 2 });
    const isSamePerson = async (): Promise<boolean> => {
      await dataSource.query('SELECT 1');
      return false;
    };
    small = await startEarnings({ dataSource, isSamePerson });
  });
  const buyers = ['one', 'two', 'three', 'four'];

  test('purchases of attributed buyers at once', async () => {
    const { referrals } = small;
    const { code } = await referrals.referralCodes.create({ code: 'LINK', user: 'anna' });
    for (const buyer of buyers) {
      const browser = small.browser();
      await browser.post(`/login/${buyer}`);
      await browser.get(`/r/${code}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
    }
    const made = await Promise.all(buyers.map((buyer) => earner(buyer, 100, {}, small)));
    expect(made).toEqual(buyers.map(() => 'attribution anna 0.25'));
    expect(small.errors).toEqual([]);
  });

  test('coupons at once', async () => {
    const { code } = await couponOf(small, 'owner');
    const applied = await Promise.all(buyers.map((buyer) => small.referrals.coupons.apply(buyer, code)));
    expect(applied.map((coupon) => coupon.code)).toEqual(buyers.map(() => code));
    expect(await small.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

test('of the largest amount, all of it earned', async () => {
  const own = await startEarnings({ commission: { ratio: '1', pendingDays: 0 } });
  const { referrals } = own;
  await refer(own, 'anna', 'boris');
  const amount = '9999999999999999.9999';
  const { purchase, commission } = await referrals.recordPurchase('boris', { amount, reference: 'a' });
  expect([purchase.amount, commission!.earned]).toEqual([amount, '10000000000000000.00']);
  await referrals.recordPurchase('boris', { amount, reference: 'b' });
  expect((await referrals.accounts.totals('anna')).creditsEarned).toBe('20000000000000000.00');
  const { commission: left } = await referrals.recordRefund('boris', { purchase: 'a', reference: 're' });
  expect([left!.amount, left!.status]).toEqual(['0.00', 'reverted']);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('in the referrer’s mode of that moment', async () => {
  const paying = await startEarnings({ earnOuts: { payout: () => undefined } });
  const { referrals } = paying;
  await refer(paying, 'anna', 'boris');
  const modes: (string | null)[] = [];
  const note = ({ purchase, commission }: { purchase: ReferralPurchase; commission: { mode: string } | null }): void =>
    void modes.push(purchase.mode, commission!.mode);
  note(await buy('boris', 4, {}, paying));
  const account = await referrals.accounts.of('anna');
  await account.update({ mode: 'payout', payoutEmail: 'anna@example.org' });
  note(await buy('boris', 40, {}, paying));
  await account.update({ mode: 'credits' });
  note(await buy('boris', 400, {}, paying));
  expect(modes).toEqual(['credits', 'credits', 'payout', 'payout', 'credits', 'credits']);
  const before = { creditsEarned: '0.00', payoutsEarned: '0.00' };
  const sums = { totalCreditsEarned: '101.00', totalPayoutsEarned: '10.00' };
  expect(await referrals.accounts.totals('anna')).toMatchObject({ ...before, ...sums });
  paying.clock.advanceDays(30);
  const after = { creditsEarned: '101.00', payoutsEarned: '10.00' };
  expect(await referrals.accounts.totals('anna')).toMatchObject({ ...after, ...sums });
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

describe('users referred and upgraded', () => {
  test('a sign-up refers, its first payment upgrades', async () => {
    const { buyer, referrer } = await pair();
    expect(await counts(referrer)).toEqual([1, 0]);
    await buy(buyer, 0);
    expect(await counts(referrer)).toEqual([1, 0]);
    await buy(buyer, '0.0001');
    expect(await counts(referrer)).toEqual([1, 1]);
    await buy(buyer, 10);
    expect(await counts(referrer)).toEqual([1, 1]);
    await refer(host, referrer, fresh());
    expect(await counts(referrer)).toEqual([2, 1]);
  });

  test('a purchase without a sign-up does both; a sign-up after it adds nothing', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await host.referrals.coupons.apply(buyer, (await couponOf(host, owner)).code);
    expect(await counts(owner)).toEqual([0, 0]);
    await buy(buyer, 10);
    expect(await counts(owner)).toEqual([1, 1]);
    await refer(host, owner, buyer);
    expect(await counts(owner)).toEqual([1, 1]);
    await buy(buyer, 10);
    expect(await counts(owner)).toEqual([1, 1]);
  });

  test('each referrer that a buyer came through counts the buyer', async () => {
    const { buyer, referrer } = await pair();
    const owner = fresh('owner');
    await host.referrals.coupons.apply(buyer, (await couponOf(host, owner)).code);
    await buy(buyer, 10);
    expect([await counts(owner), await counts(referrer)]).toEqual([[1, 1], [1, 0]]); // prettier-ignore
    await buy(buyer, 10);
    expect(await counts(referrer)).toEqual([1, 1]);
  });

  test('a purchase that earns nothing counts too; a refund takes nothing back', async () => {
    const { buyer, referrer } = await pair({ commissionRatio: 0 });
    await host.referrals.recordPurchase(buyer, { amount: 10, reference: 'a' });
    await host.referrals.recordRefund(buyer, { purchase: 'a', reference: 'b' });
    expect(await counts(referrer)).toEqual([1, 1]);
  });

  test('a deleted sign-up is taken back; one that has earned a commission can’t be', async () => {
    const { referrals } = host;
    const { buyer, referrer } = await pair();
    const signupOf = async (user: string) => (await referrals.signups.search({ where: { userId: user } }))[0]!;
    await (await signupOf(buyer)).delete();
    expect(await counts(referrer)).toEqual([0, 0]);
    await refer(host, referrer, buyer);
    await buy(buyer, 10);
    expect(await refusalOf((await signupOf(buyer)).delete())).toBe('IN_USE');
    expect(await counts(referrer)).toEqual([1, 1]);
    expect((await referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('2.50');
  });
});

describe('a channel’s totals', () => {
  test('revenue is net of refunds, and leaves out who came through another’s link', async () => {
    const { referrals } = host;
    const owner = fresh('owner');
    const channel = await couponOf(host, owner, { isRecurring: true });
    const [free, own, anothers, clicker] = [fresh('free'), fresh('own'), fresh('anothers'), fresh('clicker')];
    await refer(host, owner, own);
    const { code } = await refer(host, fresh('another'), anothers);
    const browser = host.browser();
    await browser.post(`/login/${clicker}`);
    await browser.get(`/r/${code}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0');
    for (const [index, buyer] of [free, own, anothers, clicker].entries()) {
      await referrals.coupons.apply(buyer, channel.code);
      const { purchase } = await referrals.recordPurchase(buyer, { amount: 10 ** index, reference: 'first' });
      expect([purchase.source, purchase.isRevenue]).toEqual(['coupon', index < 2]);
    }
    const totals = async () => {
      const { totalUses, totalCommission, totalRevenue } = await channel.refresh();
      return [totalUses, totalCommission, totalRevenue];
    };
    expect(await totals()).toEqual([4, '333.30', '11.00']);
    await referrals.recordPurchase(own, { amount: 50, reference: 'second' });
    expect(await totals()).toEqual([4, '348.30', '61.00']);
    await referrals.recordRefund(own, { purchase: 'second', reference: 'half', amount: 25 });
    expect(await totals()).toEqual([4, '340.80', '36.00']);
    await referrals.recordRefund(anothers, { purchase: 'first', reference: 'all' });
    await referrals.recordRefund(free, { purchase: 'first', reference: 'all' });
    expect(await totals()).toEqual([4, '310.50', '35.00']);
  });

  test('in both modes of the owner are one sum', async () => {
    const paying = await startEarnings({ earnOuts: { payout: () => undefined } });
    const channel = await couponOf(paying, 'anna', { isRecurring: true });
    for (const [buyer, mode] of [['boris', 'credits'], ['carl', 'payout']] as const) {
      const account = await paying.referrals.accounts.of('anna');
      await account.update({ mode, payoutEmail: 'anna@example.org' });
      await paying.referrals.coupons.apply(buyer, channel.code);
      await buy(buyer, 100, {}, paying);
    } // prettier-ignore
    expect(await channel.refresh()).toMatchObject({
      ...{ totalUses: 2, totalCommission: '60.00', totalRevenue: '200.00' },
    });
  });

  test('a purchase at the limit is still revenue', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh(), { maxEarningsPerReferred: 1, isRecurring: true });
    await host.referrals.coupons.apply(buyer, channel.code);
    await buy(buyer, 100);
    expect(await earned(buyer, 100)).toBe('limit-reached');
    expect(await channel.refresh()).toMatchObject({ totalCommission: '1.00', totalRevenue: '200.00' });
  });
});

describe('in the host’s transaction', () => {
  test('a purchase commits with it, and only then is told', async () => {
    const { dataSource, told, referrals } = host;
    const { buyer, referrer } = await pair();
    told.length = 0;
    await dataSource.transaction(async (manager) => {
      const { commission } = await buy(buyer, 100, { manager });
      await buy(buyer, 0, { manager });
      expect(commission!.earned).toBe('25.00');
      expect(await referrals.purchases.count({ where: { userId: buyer } })).toBe(0);
      expect(await referrals.purchases.count({ where: { userId: buyer }, manager })).toBe(2);
      expect((await referrals.accounts.totals(referrer, { manager })).totalCreditsEarned).toBe('25.00');
      expect(told).toEqual([]);
    });
    expect(told).toEqual([`purchase ${buyer} 100.00`, `earned ${referrer} 25.00`, `purchase ${buyer} 0.00`]);
  });

  test('rolled back, nothing of it is left, and nothing told', async () => {
    const { dataSource, told } = host;
    const { buyer } = await pair();
    const before = await everyRow(host);
    told.length = 0;
    const rolledBack = dataSource.transaction(async (manager) => {
      await buy(buyer, 100, { manager });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
    expect(told).toEqual([]);
  });

  test('a savepoint that is rolled back takes its purchase along, and no other', async () => {
    const { dataSource, told, referrals } = host;
    const { buyer } = await pair();
    told.length = 0;
    await dataSource.transaction(async (manager) => {
      await buy(buyer, 1, { manager });
      await manager
        .transaction(async (within) => {
          await buy(buyer, 2, { manager: within });
          throw new Error('not this one');
        })
        .catch(() => undefined);
      await buy(buyer, 3, { manager });
    });
    const kept = await referrals.purchases.search({ where: { userId: buyer } });
    expect(kept.map(({ amount }) => amount)).toEqual(['1.00', '3.00']);
    expect(told.filter((one) => one.startsWith('purchase'))).toEqual([
      `purchase ${buyer} 1.00`,
      `purchase ${buyer} 3.00`,
    ]);
  });

  test('calls at once on one manager take turns', async () => {
    const { buyer, referrer } = await pair();
    await host.dataSource.transaction((manager) =>
      Promise.all([1, 2, 3, 4].map((amount) => buy(buyer, amount * 4, { manager }))),
    );
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('10.00');
  });
});

test('a listener that throws is told of by onError, and fails no purchase', async () => {
  const { referrals, errors } = host;
  const listener = (): never => {
    throw new Error('listener');
  };
  referrals.on('purchase', listener);
  await buy(fresh(), 1);
  referrals.off('purchase', listener);
  expect(errors.splice(0)).toMatchObject([{ message: 'listener' }]);
});

test('and all of it adds up', async () => {
  expect(host.errors).toEqual([]);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
