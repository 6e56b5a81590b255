import type { Amount, CommissionTerms, ReferralAccount } from '../lib';
import { couponOf, type EarningsHost, fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

const day = 86_400_000;
let serial = 0;

/** What a purchase earned, or why it earned nothing. */
async function earned(host: EarningsHost, buyer: string, amount: Amount, at?: Date): Promise<string> {
  const { purchase, commission } = await host.referrals.recordPurchase(buyer, {
    amount,
    reference: `p-${++serial}`,
    at,
  });
  return commission?.earned ?? purchase.noCommission!;
}

/** Gives a user an account with terms of its own. */
async function deal(host: EarningsHost, user: string, commission: CommissionTerms | null): Promise<ReferralAccount> {
  const account = await host.referrals.accounts.of(user);
  return host.referrals.accounts.update(account, { commission });
}

/** A program with terms, a code of a new referrer with it, and a buyer who signed up with that. */
async function pair(host: EarningsHost, commission?: CommissionTerms): Promise<{ referrer: string; buyer: string }> {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  const program = commission && (await host.referrals.programs.create({ name: fresh('program'), commission }));
  await refer(host, referrer, buyer, program && { program });
  return { referrer, buyer };
}

const verified = async (host: EarningsHost): Promise<unknown> => (await host.referrals.verify()).problems;

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});
afterAll(async () => {
  expect(await verified(host)).toEqual([]);
  await closeAll();
});

describe('what a purchase earns', () => {
  test('a flat amount, whatever it costs; nothing on a purchase of 0', async () => {
    const { buyer } = await pair(host, { amount: '5' });
    expect(await earned(host, buyer, '100')).toBe('5.00');
    expect(await earned(host, buyer, '3')).toBe('5.00');
    expect(await earned(host, buyer, 0)).toBe('too-small');
  });

  test('a refund takes its share of a flat amount, a full one all', async () => {
    const { buyer } = await pair(host, { amount: '5' });
    const { commission } = await host.referrals.recordPurchase(buyer, { amount: '30', reference: 'flat' });
    expect(commission).toMatchObject({ rate: null, flatAmount: '5.00', termsFrom: 'program', kind: 'purchase' });
    const refund = (amount: string | null, reference: string) =>
      host.referrals.recordRefund(buyer, { purchase: 'flat', reference, amount });
    expect((await refund('10', 'a')).commission!.amount).toBe('3.33');
    expect((await refund(null, 'b')).commission).toMatchObject({ amount: '0.00', status: 'reverted' });
  });

  test('the first purchase only; one of 0 is none', async () => {
    const { buyer } = await pair(host, { ratio: '0.5', purchases: 1 });
    expect(await earned(host, buyer, 0)).toBe('too-small');
    expect(await earned(host, buyer, 10)).toBe('5.00');
    expect(await earned(host, buyer, 10)).toBe('purchases-used');
  });

  test('for calendar months from the first purchase, to the moment', async () => {
    const { buyer } = await pair(host, { ratio: '0.5', months: 1 });
    const at = (text: string): Date => new Date(text);
    expect(await earned(host, buyer, 10, at('2021-01-31T10:00:00Z'))).toBe('5.00');
    expect(await earned(host, buyer, 10, at('2021-02-28T09:59:59.999Z'))).toBe('5.00');
    expect(await earned(host, buyer, 10, at('2021-02-28T10:00:00Z'))).toBe('term-ended');
    expect(await earned(host, buyer, 10, at('2021-01-30T10:00:00Z'))).toBe('5.00'); // now it is the first
    expect(await earned(host, buyer, 10, at('2021-02-28T09:00:00Z'))).toBe('5.00');
  });

  test('months count in UTC, whatever the time zone of the session is', async () => {
    const { buyer } = await pair(host, { ratio: '0.5', months: 1 });
    await host.dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL TIME ZONE 'Pacific/Auckland'`);
      const buy = (at: string) =>
        host.referrals.recordPurchase(buyer, { amount: 10, reference: at, at: new Date(at), manager });
      // In Auckland it is the 31st of January, from which a month ends with the 28th of February: a day earlier.
      await buy('2021-01-30T12:00:00Z');
      expect((await buy('2021-02-28T12:00:00Z')).purchase.noCommission).toBe('term-ended');
      expect((await buy('2021-02-28T11:59:59Z')).commission!.earned).toBe('5.00');
    });
  });

  test('what is decided late follows the same terms', async () => {
    const buyer = fresh('buyer');
    for (const [reference, days] of [
      ['late-1', 40],
      ['late-2', 20],
      ['late-3', 1],
    ] as const)
      await host.referrals.recordPurchase(buyer, {
        ...{ amount: 10, reference: `${buyer}-${reference}`, at: new Date(host.clock.time.getTime() - days * day) },
      });
    await refer(host, fresh('referrer'), buyer, { commissionAmount: '2', commissionPurchases: 1 });
    const all = await host.referrals.purchases.search({ where: { userId: buyer } });
    const late = await Promise.all(all.map((purchase) => purchase.lateAttribution()));
    expect(late.map((one) => one && one.noCommission)).toEqual([null, null, 'purchases-used']);
    expect(await all[1]!.commission()).toMatchObject({ flatAmount: '2.00', earned: '2.00', purchases: 1 });
  });

  test('each most particular place wins over the less particular ones, and says so', async () => {
    const made: unknown[] = [];
    for (const account of [null, '0.4'])
      for (const isCoupon of [false, true])
        for (const ratio of [null, '0.2']) {
          const { referrer, buyer } = await pair(host, ratio === null ? undefined : { ratio });
          if (account !== null) await deal(host, referrer, { ratio: account });
          if (isCoupon) await host.referrals.coupons.apply(buyer, (await couponOf(host, referrer)).code);
          const { commission } = await host.referrals.recordPurchase(buyer, { amount: 100, reference: 'x' });
          made.push([account, isCoupon, ratio, commission!.termsFrom, commission!.rate]);
        }
    expect(made).toEqual([
      [null, false, null, 'option', '0.25'],
      [null, false, '0.2', 'program', '0.20'],
      [null, true, null, 'channel', '0.30'],
      [null, true, '0.2', 'channel', '0.30'],
      ['0.4', false, null, 'account', '0.40'],
      ['0.4', false, '0.2', 'account', '0.40'],
      ['0.4', true, null, 'account', '0.40'],
      ['0.4', true, '0.2', 'account', '0.40'],
    ]);
  });

  test('a channel with a flat amount, for its first purchase; null gives the rates back', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const channel = await couponOf(host, owner, { isRecurring: true, commission: { amount: '7', purchases: 1 } });
    expect(channel).toMatchObject({ commissionAmount: '7.00', commissionPurchases: 1 });
    await host.referrals.coupons.apply(buyer, channel.code);
    expect([await earned(host, buyer, 50), await earned(host, buyer, 50)]).toEqual(['7.00', 'purchases-used']);
    await host.referrals.channels.update(channel, { commission: null });
    expect(await earned(host, buyer, 50)).toBe('15.00');
  });

  test('a change of the terms of an account applies from then on; null ends them', async () => {
    const { referrer, buyer } = await pair(host);
    await deal(host, referrer, { ratio: '0.5', maxPerReferee: '60' });
    expect(await earned(host, buyer, 100)).toBe('50.00');
    expect(await earned(host, buyer, 100)).toBe('10.00');
    await deal(host, referrer, { amount: 3 });
    expect(await earned(host, buyer, 100)).toBe('3.00');
    expect(await deal(host, referrer, null)).toMatchObject({ commissionRatio: null, commissionAmount: null });
    expect(await earned(host, buyer, 100)).toBe('25.00');
  });
});

describe('a limit for the referrer', () => {
  test.each(['month', 'quarter', 'year', 'all'] as const)(
    'of a %s, by the time of the purchase, net of refunds',
    async (period) => {
      const { referrer, buyer } = await pair(host);
      await deal(host, referrer, { maxPerReferrer: { amount: '30', period } });
      const at = new Date('2021-12-31T23:59:59.999Z');
      expect(await earned(host, buyer, 80, at)).toBe('20.00');
      const other = fresh('buyer');
      await host.referrals.signups.create({
        user: other,
        code: (await host.referrals.referralCodes.search({ where: { userId: referrer } }))[0]!.code,
      });
      expect(await earned(host, other, 80, at)).toBe('10.00');
      expect(await earned(host, other, 80, at)).toBe('referrer-limit');
      expect(await earned(host, other, 80, new Date('2022-01-01T00:00:00Z'))).toBe(
        period === 'all' ? 'referrer-limit' : '20.00',
      );
      const [first] = await host.referrals.purchases.search({ where: { userId: buyer } });
      await host.referrals.recordRefund(buyer, { purchase: first!.reference, reference: 'back', amount: 20 });
      expect(await earned(host, other, 80, at)).toBe('5.00');
    },
  );

  test('purchases that have all seen the same room share it', async () => {
    const { referrer, buyer } = await pair(host);
    await deal(host, referrer, { maxPerReferrer: { amount: '10', period: 'year' } });
    const [first] = await host.referrals.referralCodes.search({ where: { userId: referrer } });
    const { code } = first!;
    expect(await earned(host, buyer, 8)).toBe('2.00');
    const buyers = [fresh('buyer'), fresh('buyer'), fresh('buyer')];
    for (const user of buyers) await host.referrals.signups.create({ user, code });
    const waiting = async (): Promise<number> => {
      const [row] = await host.dataSource.query<[{ count: number }]>(
        `SELECT count(*)::integer FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
          AND query LIKE '%' || $1 || '%'`,
        [JSON.parse(host.schema)],
      );
      return row.count;
    };
    let made: Promise<string[]>;
    await host.dataSource.transaction(async (manager) => {
      const row = `${host.schema}.referral_referrer_periods WHERE user_id = $1`;
      await manager.query(`SELECT FROM ${row} FOR UPDATE`, [referrer]);
      made = Promise.all(buyers.map((user) => earned(host, user, 20)));
      while ((await waiting()) < buyers.length) await new Promise((resolve) => setTimeout(resolve, 10));
    });
    expect((await made!).sort()).toEqual(['3.00', '5.00', 'referrer-limit']);
  });

  test('many buyers at once never earn more, and use all of it', async () => {
    const referrer = fresh('referrer');
    const limited = await startEarnings({
      commission: { ratio: '0.25', maxPerReferrer: { amount: '100', period: 'month' } },
    });
    const code = await limited.referrals.referralCodes.create({ user: referrer, code: fresh('code') });
    const buyers = Array.from({ length: 24 }, () => fresh('buyer'));
    for (const user of buyers) await limited.referrals.signups.create({ user, code: code.code });
    await Promise.all(buyers.map((buyer) => earned(limited, buyer, 28)));
    const { totalCreditsEarned } = await limited.referrals.accounts.totals(referrer);
    expect(totalCreditsEarned).toBe('100.00');
    expect(await verified(limited)).toEqual([]);
  });
});

describe('what a sign-up earns', () => {
  test('at the sign-up, with the totals, the hold time and the event', async () => {
    host.told.length = 0;
    const { referrer, buyer } = await pair(host, { signup: '5.00' });
    const [commission] = await host.referrals.commissions.search({ where: { refereeId: buyer } });
    expect(commission).toMatchObject({
      ...{ userId: referrer, kind: 'sign-up', purchase: '', rate: null, flatAmount: '5.00', earned: '5.00' },
      ...{ termsFrom: 'program', status: 'pending', pendingDays: 30 },
    });
    expect(await refusalOf(commission!.ofPurchase())).toBe('NOT_FOUND');
    expect((await commission!.ofSignup())!.userId).toBe(buyer);
    expect(host.told).toContain(`earned ${referrer} 5.00`);
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({ totalCreditsEarned: '5.00' });
    expect(await earned(host, buyer, 10)).toBe('2.50');
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({ totalCreditsEarned: '7.50' });
    host.clock.advanceDays(31);
    await host.referrals.runEarnOuts();
    expect(host.told).toContain(`earn-out ${referrer} credits 7.50 completed`);
  });

  test('where the terms say so, only by qualify: once, whatever the reference', async () => {
    const { buyer } = await pair(host, { signup: 5, qualify: true });
    expect(await host.referrals.commissions.count({ where: { refereeId: buyer } })).toBe(0);
    const first = await host.referrals.qualify(buyer, { reference: 'trial' });
    expect(first.commission).toMatchObject({ earned: '5.00', purchase: 'trial', kind: 'sign-up' });
    expect(first.signup).toMatchObject({ qualification: 'trial', noCommission: null });
    for (const reference of ['trial', 'other'])
      expect((await host.referrals.qualify(buyer, { reference })).commission!.id).toBe(first.commission!.id);
    const again = await Promise.all(['x', 'y'].map((reference) => host.referrals.qualify(buyer, { reference })));
    expect(again.map(({ commission }) => commission!.id)).toEqual([first.commission!.id, first.commission!.id]);
  });

  test('qualify at the same moment makes one commission', async () => {
    const { buyer } = await pair(host, { signup: 5, qualify: true });
    const made = await Promise.all(
      ['a', 'b', 'c', 'd'].map((reference) => host.referrals.qualify(buyer, { reference })),
    );
    expect(new Set(made.map(({ commission }) => commission!.id)).size).toBe(1);
    expect(await host.referrals.commissions.count({ where: { refereeId: buyer } })).toBe(1);
  });

  test('a reference of qualify that is one of a purchase too', async () => {
    const { buyer } = await pair(host, { ratio: '0.5', signup: 5, qualify: true });
    await host.referrals.qualify(buyer, { reference: 'same' });
    const { purchase, commission } = await host.referrals.recordPurchase(buyer, { amount: 10, reference: 'same' });
    expect(commission).toMatchObject({ kind: 'purchase', earned: '5.00' });
    expect((await purchase.commission())!.id).toBe(commission!.id);
    await host.referrals.recordRefund(buyer, { purchase: 'same', reference: 'back' });
    const all = await host.referrals.commissions.search({ where: { refereeId: buyer } });
    expect(all.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['sign-up', '5.00'],
      ['purchase', '0.00'],
    ]);
  });

  test('qualify refuses a user without a sign-up, and takes one that comes later', async () => {
    const [referrer, user] = [fresh('referrer'), fresh('user')];
    expect(await refusalOf(host.referrals.qualify(user, { reference: 'early' }))).toBe('NOT_SIGNED_UP');
    await refer(host, referrer, user, { commissionSignup: 4, commissionQualify: true });
    expect((await host.referrals.qualify(user, { reference: 'early' })).commission!.earned).toBe('4.00');
    expect(await refusalOf(host.referrals.qualify(user, { reference: '' }))).toBe('INVALID_INPUT reference');
  });

  test('the account wins over the program, 0 ends it, and it counts towards all limits', async () => {
    const code = await refer(host, fresh('referrer'), fresh('buyer'), { commissionSignup: 5 });
    const referrer = code.userId!;
    const signUp = async (): Promise<string> => {
      const user = fresh('buyer');
      await host.referrals.signups.create({ user, code: code.code });
      return (
        (await host.referrals.qualify(user, { reference: 'q' })).commission?.earned ??
        (await signupOf(user)).noCommission!
      );
    };
    const signupOf = async (userId: string) => (await host.referrals.signups.search({ where: { userId } }))[0]!;
    expect(await signUp()).toBe('5.00');
    await deal(host, referrer, { signup: 8 });
    expect(await signUp()).toBe('8.00');
    await deal(host, referrer, { signup: 0 });
    expect(await signUp()).toBe('no-rate');
    await deal(host, referrer, { ratio: '0.5', maxPerReferee: 3 });
    expect(await signUp()).toBe('3.00');
    await deal(host, referrer, { signup: 8, maxPerReferrer: { amount: 12, period: 'all' } });
    expect([await signUp(), await signUp(), await signUp()]).toEqual(['8.00', '4.00', 'referrer-limit']);
  });

  test('the deletion of a sign-up takes it back, and a new sign-up earns again', async () => {
    const { referrer, buyer } = await pair(host, { signup: 5, maxPerReferrer: { amount: 50, period: 'year' } });
    const [signup] = await host.referrals.signups.search({ where: { userId: buyer } });
    const code = await signup!.referralCode();
    await host.referrals.signups.delete(signup!);
    const [rejected] = await host.referrals.commissions.search({ where: { refereeId: buyer } });
    expect(rejected).toMatchObject({ amount: '0.00', status: 'rejected' });
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({ totalCreditsEarned: '0.00' });
    expect(await verified(host)).toEqual([]);
    await host.referrals.signups.create({ user: buyer, code: code!.code });
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({ totalCreditsEarned: '5.00' });
  });
});

describe('the key of an earn-out', () => {
  const run = async (): Promise<unknown> => {
    host.clock.advanceDays(40);
    const { bound } = await host.referrals.runEarnOuts();
    expect(host.errors).toEqual([]);
    expect(await verified(host)).toEqual([]);
    return bound;
  };

  test('is another for a purchase with the reference of qualify, and for what is rejected of either', async () => {
    const { referrer, buyer } = await pair(host, { ratio: '0.5', signup: 5, qualify: true });
    await run();
    const { commission } = await host.referrals.qualify(buyer, { reference: 'order-1' });
    expect(await run()).toBe(1);
    const { commission: other } = await host.referrals.recordPurchase(buyer, { amount: 10, reference: 'order-1' });
    expect(await run()).toBe(1);
    const keys = (await host.referrals.earnOuts.search({ where: { userId: referrer } })).map(
      (one) => one.idempotencyKey,
    );
    expect(new Set(keys).size).toBe(2);
    for (const one of [commission!, other!])
      await host.referrals.commissions.reject(one, { by: 'staff-1', reason: 'made up' });
    await run();
  });

  test('is another for each sign-up of the same user', async () => {
    const { buyer } = await pair(host, { signup: 5 });
    expect(await run()).toBe(1);
    for (const _ of [1, 2, 3]) {
      const [signup] = await host.referrals.signups.search({ where: { userId: buyer } });
      const code = await signup!.referralCode();
      await host.referrals.signups.delete(signup!);
      await host.referrals.signups.create({ user: buyer, code: code!.code });
      expect(await run()).toBe(1);
    }
  });
});

test('terms that are none are refused by the name of their field', async () => {
  const limit = { amount: 5, period: 'month' } as const;
  const wrong: [string, object][] = [
    ['commission.amount', { ratio: '0.1', amount: 5 }],
    ['commission.amount', { amount: 0 }],
    ['commission.months', { ratio: '0.1', months: 0 }],
    ['commission.months', { months: 3 }],
    ['commission.purchases', { purchases: 1 }],
    ['commission.purchases', { amount: 1, purchases: 1.5 }],
    ['commission.maxPerReferee', { maxPerReferee: 5 }],
    ['commission.signup', { signup: -1 }],
    ['commission.qualify', { qualify: true }],
    ['commission.qualify', { signup: 1, qualify: 'yes' }],
    ['commission.maxPerReferrer.amount', { maxPerReferrer: { ...limit, amount: 0 } }],
    ['commission.maxPerReferrer.amount', { maxPerReferrer: { period: 'month' } }],
    ['commission.maxPerReferrer.period', { maxPerReferrer: { ...limit, period: 'week' } }],
    ['commission.maxPerReferrer.period', { maxPerReferrer: { amount: 5 } }],
    ['commission.ratio', {}],
    ['commission.ratio', { ratio: null }],
    ['ration', { ration: 1 }],
  ];
  const account = await host.referrals.accounts.of(fresh());
  for (const [field, commission] of wrong) {
    const refused = `INVALID_INPUT ${field}`;
    expect(await refusalOf(host.referrals.programs.create({ name: fresh(), commission }))).toBe(refused);
    expect(await refusalOf(host.referrals.accounts.update(account, { commission }))).toBe(refused);
  }
});
