import { PayoutRefused, Referral, type ReferralAccount, type ReferralCode } from '../lib';
import { couponOf, type EarningsHost, expectRefusals, fresh, refer, startEarnings } from './support/earnings';
import { closeAll, cookieOf } from './support/host';
import { addressOf, addsUp, earn, earner, earnOutsOf, startPaying, statusesOf, waiting } from './support/paying';
import { launch } from './support/rewards';

afterAll(closeAll);

const staff = { reason: 'Looks made up.', by: 'staff-7' };

const buy = (host: EarningsHost, buyer: string, reference = fresh('order'), amount = 100) =>
  host.referrals.recordPurchase(buyer, { amount, reference });

const linkOf = ({ referrals }: EarningsHost, user: string, terms: object = {}): Promise<ReferralCode> =>
  referrals.referralCodes.create({ code: fresh('Link'), label: fresh(), user, ...terms });

const accountOf = ({ referrals }: EarningsHost, user: string): Promise<ReferralAccount> => referrals.accounts.of(user);

describe('the calls', () => {
  test('suspend, ban and reinstate say since when, and leave an audit row each, once', async () => {
    const host = await startEarnings();
    const { referrals, clock } = host;
    const first = clock.time;
    const suspended = await referrals.accounts.suspend('anna', { ...staff, requestId: 'req-1' });
    expect(suspended).toMatchObject({ userId: 'anna', suspendedAt: first, bannedAt: null, referralId: null });
    clock.advanceDays(1);
    expect(await referrals.accounts.suspend('anna', staff)).toEqual(suspended);
    expect(await referrals.accounts.ban('anna', staff)).toMatchObject({ suspendedAt: first, bannedAt: clock.time });
    expect(await referrals.accounts.ban('anna', staff)).toMatchObject({ suspendedAt: first, bannedAt: clock.time });
    expect(await referrals.accounts.suspend('anna', staff)).toMatchObject({ bannedAt: clock.time });
    const back = await referrals.accounts.reinstate('anna', { by: 8 });
    expect(back).toMatchObject({ suspendedAt: null, bannedAt: null });
    expect(await referrals.accounts.reinstate('anna')).toEqual(back);
    const rows = await referrals.audit.search({ where: { userId: 'anna' } });
    const at = clock.time.toISOString();
    expect(
      rows.map(({ call, before, after, by, reason, requestId }) => [call, before, after, by, reason, requestId]),
    ).toEqual([
      [
        'accounts.suspend',
        { suspendedAt: null },
        { suspendedAt: first.toISOString() },
        'staff-7',
        staff.reason,
        'req-1',
      ],
      ['accounts.ban', { bannedAt: null }, { bannedAt: at }, 'staff-7', staff.reason, null],
      [
        'accounts.reinstate',
        { suspendedAt: first.toISOString(), bannedAt: at },
        { suspendedAt: null, bannedAt: null },
        ...['8', null, null],
      ],
    ]);
    expect(rows[0]).toMatchObject({ subject: 'account', subjectId: String(back.id), actor: 'staff' });
    await addsUp(host);
  });

  test('refuse bad input before anything is written', async () => {
    const host = await startEarnings();
    await accountOf(host, 'anna');
    const { accounts } = host.referrals;
    for (const call of ['suspend', 'ban'] as const)
      await expectRefusals<object>(
        host,
        [
          ['reason', {}],
          ['reason', { reason: '' }],
          ['reason', { reason: 'x'.repeat(501) }],
          ['by', { ...staff, by: '' }],
          ['requestId', { ...staff, requestId: '' }],
          ['why', { ...staff, why: 'so' }],
        ],
        (input, options) => accounts[call]('anna', { ...input, ...options }),
      );
    await expectRefusals<object>(host, [['reason', { reason: 7 }]], (input, options) =>
      accounts.reinstate('anna', { ...input, ...options }),
    );
    await expectRefusals<unknown>(
      host,
      [
        ['user', ''],
        ['user', null],
      ],
      (user, options) => accounts.suspend(user as string, { ...staff, ...options }),
    );
  });

  test('are undone with the host’s transaction', async () => {
    const host = await startEarnings();
    await refer(host, 'anna', 'carl');
    const undone = new Error('undone');
    const undoing = host.dataSource.transaction(async (manager) => {
      await host.referrals.accounts.suspend('anna', { ...staff, manager });
      const { purchase } = await host.referrals.recordPurchase('carl', { amount: 100, reference: 'one', manager });
      expect(purchase.noCommission).toBe('suspended');
      throw undone;
    });
    await expect(undoing).rejects.toBe(undone);
    expect((await buy(host, 'carl', 'one')).commission).toMatchObject({ earned: '25.00' });
    expect(await host.referrals.audit.count({ where: { call: 'accounts.suspend' } })).toBe(0);
    await addsUp(host);
  });
});

describe('links of a suspended account', () => {
  const clicks = async ({ dataSource }: EarningsHost, { id }: ReferralCode): Promise<number> =>
    (await dataSource.getRepository(Referral).findOneByOrFail({ id })).responseCount();

  test('redirect without a cookie and without a response, and count again afterwards', async () => {
    const host = await startEarnings();
    const [before, then, after] = [await linkOf(host, 'anna'), await linkOf(host, 'anna'), await linkOf(host, 'anna')];
    const visit = async ({ code }: ReferralCode): Promise<string | null> =>
      cookieOf(await host.browser().get(`/r/${code}`).expect(302).expect('Location', '/'));
    expect(await visit(before)).not.toBeNull();
    await host.referrals.accounts.suspend('anna', staff);
    expect(await visit(then)).toBeNull(); // a link that this process has not cached
    expect(cookieOf(await host.browser().get(`/whose?referral_code=${then.code}`))).toBeNull();
    expect(await visit(await linkOf(host, 'boris'))).not.toBeNull();
    await host.referrals.accounts.reinstate('anna');
    expect(await visit(after)).not.toBeNull();
    expect([await clicks(host, before), await clicks(host, then), await clicks(host, after)]).toEqual([1, 0, 1]);
  });
});

describe('sign-ups with a suspended account’s links and codes', () => {
  test('are refused, and explainSignup says why', async () => {
    const host = await startEarnings();
    const { referrals } = host;
    const program = await launch(referrals);
    const { code, id } = await linkOf(host, 'anna', { program });
    const browser = host.browser();
    await browser.get(`/r/${code}`).expect(302);
    await browser.post('/login/clicked');
    await browser.get('/whose').expect(200);
    await referrals.accounts.suspend('anna', staff);
    await expect(referrals.signups.create({ user: 'typed', code })).rejects.toMatchObject({
      ...{ code: 'SIGNUP_REFUSED', message: expect.stringContaining('suspended') },
    });
    const { manager } = host.dataSource;
    expect(await Referral.recordSignup(null, 'typed', { code, manager })).toBeNull();
    expect(await Referral.recordSignup(null, 'clicked', { manager })).toBeNull();
    expect(await referrals.explainSignup('clicked')).toMatchObject({ reason: 'suspended' });
    const explained = await referrals.explainSignup('typed');
    expect(explained).toMatchObject({ reason: 'suspended', signup: null });
    expect(explained.sentence).toMatch(/suspended/);
    expect(explained.weighed!.candidates).toMatchObject([{ referralId: id, outcome: 'suspended' }]);
    expect((await referrals.referralCodes.get(id)).uses).toBe(0);
    expect(await referrals.credits.count()).toBe(0);

    await referrals.accounts.reinstate('anna');
    expect(await referrals.signups.create({ user: 'typed', code })).toMatchObject({ referrerId: 'anna' });
    await addsUp(host);
  });

  test('of the site’s own links go on', async () => {
    const host = await startEarnings();
    const code = await host.referrals.referralCodes.create({ code: fresh('Site'), label: 'site', user: null });
    expect(await host.referrals.signups.create({ user: 'carl', code: code.code })).toMatchObject({ referrerId: null });
  });

  test('a reward whose threshold is reached meanwhile is not given, also not later', async () => {
    const host = await startEarnings();
    const { referrals } = host;
    const program = await launch(referrals);
    const { code } = await linkOf(host, 'anna', { program });
    for (const user of ['before', 'meanwhile', 'after']) await referrals.signups.create({ user, code });
    const use = (user: string, amount: number) => referrals.recordUsage(user, { amount, reference: fresh('use') });
    const rewards = async () =>
      (await referrals.credits.search({ where: { userId: 'anna' } })).map((one) => one.refereeId);
    await use('before', 50);
    await use('meanwhile', 49);
    await referrals.accounts.suspend('anna', staff);
    await use('meanwhile', 1);
    await use('after', 49);
    await referrals.accounts.reinstate('anna');
    await use('meanwhile', 100);
    await use('after', 1);
    expect(await rewards()).toEqual(['before', 'after']);
    const [signup] = await referrals.signups.search({ where: { userId: 'meanwhile' } });
    expect(signup).toMatchObject({ noReward: 'suspended', thresholdReachedAt: expect.any(Date) });
    expect(await referrals.credits.balance('anna')).toBe('80.00'); // what was given can be spent
    await addsUp(host);
  });
});

describe('purchases credited to a suspended account', () => {
  test('earn nothing, whatever they are credited by, and count for nothing', async () => {
    const host = await startEarnings();
    const { referrals } = host;
    await refer(host, 'anna', 'known');
    await refer(host, 'anna', 'new');
    await buy(host, 'known');
    const link = await linkOf(host, 'anna');
    const coupon = await couponOf(host, 'anna');
    await referrals.coupons.apply('couponed', coupon.code);
    const before = await referrals.accounts.totals('anna');
    await referrals.accounts.suspend('anna', staff);

    expect(await referrals.quote('couponed', 100)).toMatchObject({ discount: '20.00', code: coupon.code });
    const named = { amount: 100, reference: 'by link', code: link.code };
    const made = [
      await buy(host, 'known'),
      await buy(host, 'new'),
      await referrals.recordPurchase('clicked', named),
      await buy(host, 'couponed', 'discounted', 80),
      await buy(host, 'couponed'), // by the coupon before
    ];
    expect(made.map(({ purchase }) => [purchase.source, purchase.referrerId, purchase.noCommission])).toEqual(
      ['sign-up', 'sign-up', 'attribution', 'coupon', 'earlier-coupon'].map((source) => [source, 'anna', 'suspended']),
    );
    expect(made.map(({ commission }) => commission)).toEqual(made.map(() => null));
    expect(await referrals.channels.get(coupon.id)).toMatchObject({ totalUses: 1, totalCommission: '0.00' });
    expect(await referrals.accounts.totals('anna')).toMatchObject({
      ...before,
      blocked: null,
      nextEarnOutAt: expect.any(Date),
    });
    await addsUp(host);

    await referrals.accounts.reinstate('anna');
    expect(await referrals.recordPurchase('clicked', named)).toEqual(made[2]); // the first result
    expect((await buy(host, 'new')).commission).toMatchObject({ userId: 'anna', earned: '25.00' });
    expect((await buy(host, 'couponed')).commission).toMatchObject({ userId: 'anna', earned: '30.00' });
    expect(await referrals.accounts.totals('anna')).toMatchObject({ usersReferred: 3, usersUpgraded: 3 });
    await addsUp(host);
  });

  test('a first attribution that arrives meanwhile decides that they earned nothing', async () => {
    const host = await startEarnings();
    const { referrals } = host;
    const { code } = await linkOf(host, 'anna');
    const browser = host.browser();
    await browser.get(`/r/${code}`).expect(302);
    const { purchase } = await buy(host, 'carl');
    expect(purchase.noCommission).toBe('no-referrer');
    await referrals.accounts.suspend('anna', staff);
    await browser.post('/login/carl');
    await browser.get('/whose').expect(200);
    expect(await purchase.lateAttribution()).toMatchObject({ referrerId: 'anna', noCommission: 'suspended' });
    expect(await referrals.commissions.count()).toBe(0);
    await addsUp(host);
  });

  test('refunds of what was earned before lower it as ever', async () => {
    const host = await startEarnings();
    await refer(host, 'anna', 'carl');
    await buy(host, 'carl', 'one');
    await host.referrals.accounts.suspend('anna', staff);
    await buy(host, 'carl', 'two');
    const refund = (purchase: string) =>
      host.referrals.recordRefund('carl', { purchase, reference: `back ${purchase}`, amount: 40 });
    expect((await refund('one')).commission).toMatchObject({ amount: '15.00' });
    expect((await refund('two')).commission).toBeNull();
    await addsUp(host);
  });
});

describe('what waits for a suspended account', () => {
  test('is held in both modes, and paid after it is reinstated, as if it had waited', async () => {
    const host = await startPaying(() => undefined);
    const { referrals } = host;
    const user = await earner(host, 10);
    const account = await accountOf(host, user);
    await account.update({ mode: 'credits' });
    await earn(host, user, 5);
    await referrals.accounts.suspend(user, staff);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0, completed: 0 });
    expect(await referrals.accounts.totals(user)).toMatchObject({
      ...{ creditsEarned: '5.00', payoutsEarned: '10.00' },
      blocked: { amount: '15.00', reason: 'suspended' },
    });
    host.clock.advanceDays(30);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await referrals.accounts.reinstate(user);
    expect((await referrals.accounts.totals(user)).blocked).toBeNull();
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 2, completed: 2, amount: '15.00' });
    await addsUp(host);
  });

  test('a payout in progress that was not asked for waits; one that may have been goes on', async () => {
    let answer: () => undefined = () => {
      throw new Error('time-out');
    };
    const host = await startPaying(() => answer());
    const { referrals, clock } = host;
    const [asked, unasked, credited] = [await earner(host, 5), await earner(host, 6), await earner(host, 7)];
    await referrals.accounts.suspend(unasked, staff);
    await referrals.accounts.suspend(credited, staff);
    await referrals.runEarnOuts(); // asks for the first one
    await referrals.accounts.reinstate(unasked);
    await referrals.accounts.reinstate(credited);
    await (await accountOf(host, credited)).update({ mode: 'credits' });
    await earn(host, credited, 8);
    const stop = new Error('the process dies');
    const dying = referrals.runEarnOuts({
      onProgress: () => {
        throw stop;
      },
    });
    await expect(dying).rejects.toBe(stop);
    expect(await earnOutsOf(host, unasked)).toMatchObject([{ status: 'processing', attempts: 0 }]);

    for (const user of [asked, unasked, credited]) await referrals.accounts.suspend(user, staff);
    answer = () => undefined;
    clock.advance(3_600_000);
    host.asked.length = 0;
    host.errors.length = 0;
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0, completed: 1, amount: '5.00' });
    expect(host.asked.map(({ userId }) => userId)).toEqual([asked]);
    expect(await statusesOf(host, unasked)).toEqual(['6.00 processing']);
    expect((await statusesOf(host, credited)).sort()).toEqual(['7.00 processing', '8.00 processing']);
    expect(await referrals.credits.balance(credited)).toBe('0.00');
    await addsUp(host);

    for (const user of [unasked, credited]) await referrals.accounts.reinstate(user);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 3, amount: '21.00' });
    expect(await referrals.credits.balance(credited)).toBe('8.00');
    await addsUp(host);
  });

  test('retry refuses a suspended account, whatever the earn-out is', async () => {
    let isRefused = true;
    const host = await startPaying(() => {
      if (isRefused) throw new PayoutRefused('closed');
    });
    const { referrals } = host;
    const user = await earner(host, 5);
    await referrals.runEarnOuts();
    const [failed] = await earnOutsOf(host, user);
    await referrals.accounts.suspend(user, staff);
    await expect(referrals.earnOuts.retry(failed!)).rejects.toMatchObject({
      ...{ code: 'NOT_CHANGEABLE', status: 409 },
      message: expect.stringContaining('suspended'),
    });
    await referrals.accounts.reinstate(user);
    await referrals.earnOuts.retry(failed!);
    isRefused = false;
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    await addsUp(host);
  });

  test('what a provider reports is stored all the same', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: 'tx-1' }));
    const user = await earner(host, 5);
    await host.referrals.runEarnOuts();
    await host.referrals.accounts.suspend(user, staff);
    expect(await host.referrals.earnOuts.settle({ reference: 'tx-1', status: 'failed' })).toMatchObject({
      status: 'failed',
    });
    expect(await waiting(host, user)).toBe('5.00');
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await addsUp(host);
  });
});

describe('a ban', () => {
  test('takes back what staff have added and is not paid, once; deductions stay', async () => {
    const host = await startEarnings();
    const { referrals } = host;
    const adjust = (amount: string, reference: string): Promise<unknown> =>
      referrals.commissions.adjust('anna', { amount, reference, reason: 'a bonus' });
    await adjust('3.00', 'paid');
    host.clock.advanceDays(40);
    await referrals.runEarnOuts();
    await adjust('10.00', 'bonus');
    await adjust('5.00', 'more');
    await adjust('-2.00', 'less');
    await referrals.accounts.ban('anna', staff);
    expect(await referrals.accounts.totals('anna')).toMatchObject({ creditsEarned: '-2.00', blocked: null });
    const made = await referrals.adjustments.search({ where: { userId: 'anna' }, order: { id: 'ASC' } });
    expect(made.slice(4).map(({ amount, reference, reason }) => [amount, reference, reason])).toEqual([
      ['-10.00', `ban takes back adjustment ${made[1]!.id}`, staff.reason],
      ['-5.00', `ban takes back adjustment ${made[2]!.id}`, staff.reason],
    ]);
    const audited = await referrals.audit.search({ where: { subject: 'adjustment', call: 'accounts.ban' } });
    expect(audited).toMatchObject([{ by: 'staff-7' }, { by: 'staff-7' }]);
    await addsUp(host);
    await referrals.accounts.reinstate('anna');
    await referrals.accounts.ban('anna', staff);
    await referrals.accounts.reinstate('anna');
    expect(await referrals.adjustments.count({ where: { userId: 'anna' } })).toBe(6);
    host.clock.advanceDays(40);
    await referrals.runEarnOuts();
    expect(await referrals.credits.balance('anna')).toBe('3.00');
    await addsUp(host);
  });

  test('rejects what is not paid, keeps what is, and is not undone by reinstate', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 10);
    await referrals.runEarnOuts();
    clock.advanceDays(7);
    await earn(host, user, 5);
    await refer(host, user, 'another buyer');
    await buy(host, 'another buyer', 'pending');
    await referrals.accounts.ban(user, staff);
    const commissions = await referrals.commissions.search({ where: { userId: user } });
    expect(commissions.map(({ earned, amount, status }) => [earned, amount, status])).toEqual([
      ['10.00', '10.00', 'available'],
      ['5.00', '0.00', 'rejected'],
      ['25.00', '0.00', 'rejected'],
    ]);
    expect(await referrals.accounts.totals(user)).toMatchObject({ payoutsEarned: '0.00', totalPayoutsEarned: '10.00' });
    const rows = await referrals.audit.search({ where: { userId: user, reason: staff.reason } });
    const calls = rows.map(({ call, reason }) => [call, reason]);
    expect(calls).toEqual([...[1, 2].map(() => ['commissions.reject', staff.reason]), ['accounts.ban', staff.reason]]);
    await addsUp(host);

    await referrals.accounts.reinstate(user);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    expect((await earn(host, user, 3)) && (await waiting(host, user))).toBe('3.00');
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, amount: '3.00' });
    await addsUp(host);
  });

  test('ends what was not asked for, leaves what may be paid, and rejects that if it fails', async () => {
    const host = await startPaying(() => ({ status: 'submitted', reference: fresh('tx') }));
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    await referrals.runEarnOuts(); // asked for
    clock.advanceDays(7);
    const account = await accountOf(host, user);
    await account.update({ mode: 'credits' });
    await earn(host, user, 8);
    const stop = new Error('the process dies');
    const dying = referrals.runEarnOuts({
      onProgress: () => {
        throw stop;
      },
    });
    await expect(dying).rejects.toBe(stop);
    await earn(host, user, 9);
    await referrals.accounts.ban(user, staff);
    expect(await statusesOf(host, user)).toEqual(['5.00 processing', '8.00 failed']);
    const statuses = async () =>
      (await referrals.commissions.search({ where: { userId: user } })).map(({ status }) => status);
    expect(await statuses()).toEqual(['available', 'rejected', 'rejected']);
    await addsUp(host);

    const [asked] = await earnOutsOf(host, user);
    await referrals.earnOuts.settle({ key: asked!.idempotencyKey, status: 'failed' });
    expect(await statuses()).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await referrals.accounts.totals(user)).toMatchObject({ creditsEarned: '0.00', payoutsEarned: '0.00' });
    const program = await referrals.audit.search({ where: { userId: user, actor: 'program' } });
    expect(program).toMatchObject([
      { call: 'commissions.reject', by: null, reason: expect.stringContaining('banned') },
    ]);
    await addsUp(host);
  });

  test('runs against purchases, refunds, earn-outs and holds at once without a deadlock', async () => {
    const host = await startPaying(() => undefined, { linkCache: { ttlMs: 1 } });
    const { referrals } = host;
    for (let round = 0; round < 8; round++) {
      const user = fresh('anna');
      const buyers = Array.from({ length: 6 }, (_, n) => `${user}'s ${n}`);
      for (const buyer of buyers) await refer(host, user, buyer);
      const recorded = await Promise.all(buyers.map((buyer) => buy(host, buyer, 'first')));
      const calls: Promise<unknown>[] = buyers.flatMap((buyer, n) => [
        buy(host, buyer, 'second'),
        referrals.recordRefund(buyer, { purchase: 'first', reference: 'back', amount: 30 + n }),
        referrals.commissions.hold(recorded[n]!.commission!, staff).catch((error: { code: string }) => {
          expect(['COMMISSION_REJECTED', 'COMMISSION_BOUND']).toContain(error.code);
        }),
      ]);
      const call = round % 2 === 0 ? 'ban' : 'suspend';
      void calls.splice(3 + round, 0, referrals.accounts[call](user, staff), referrals.runEarnOuts());
      await Promise.all(calls);
      const waits = (await referrals.commissions.search({ where: { userId: user } })).filter(
        ({ rejectedAt }) => !rejectedAt,
      );
      if (call === 'ban') expect(waits.filter(({ earnOutId }) => earnOutId === null)).toEqual([]);
      expect((await buy(host, buyers[0]!, 'third')).purchase.noCommission).toBe('suspended');
    }
    await addsUp(host);
  });
});

describe('the minimum of one account', () => {
  test('replaces the option, for binding, for what is due, and for when', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { minimum: '20' } });
    const { referrals, clock } = host;
    const [lower, higher, same] = [await earner(host, 10), await earner(host, 30), await earner(host, 20)];
    const low = await (await accountOf(host, lower)).update({ minimum: '10' });
    expect(low.minimum).toBe('10.00');
    const high = await (await accountOf(host, higher)).update({ minimum: 30.01 });
    const next = async (user: string): Promise<boolean> =>
      (await referrals.accounts.totals(user)).nextEarnOutAt <= clock.time;
    expect([await next(lower), await next(higher), await next(same)]).toEqual([true, false, true]);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 2, completed: 2, amount: '30.00' });
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await high.update({ minimum: null });
    expect(await next(higher)).toBe(true);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, amount: '30.00' });
    await addsUp(host);
  });

  test('is an amount above 0', async () => {
    const host = await startEarnings();
    const { id } = await accountOf(host, 'anna');
    await expectRefusals<unknown>(
      host,
      ['0', -1, '', 'NaN', Infinity, '1.00001', true].map((minimum) => ['minimum', minimum]),
      (minimum, options) => host.referrals.accounts.update(id, { minimum: minimum as string }, options),
    );
  });
});

describe('a changed payout address', () => {
  const changed = (host: EarningsHost): unknown[][] => {
    const told: unknown[][] = [];
    host.referrals.on('payoutAddressChanged', (account, before) => {
      told.push([account.userId, account.payoutEmail, before]);
    });
    return told;
  };

  test('holds payouts for three days, and tells the host the old one, masked', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const told = changed(host);
    const user = await earner(host, 5);
    expect(told).toEqual([[user, addressOf(user), null]]);
    const account = await accountOf(host, user);
    await account.update({ payoutEmail: addressOf(user) }); // the same
    await account.update({ payoutEmail: 'mallory@evil.example' });
    const [first] = addressOf(user);
    expect(told.slice(1)).toEqual([[user, 'mallory@evil.example', `${first}***@example.org`]]);
    expect(account.payoutEmailChangedAt).toEqual(clock.time);
    const end = new Date(clock.time.getTime() + 3 * 86_400_000);
    expect(await referrals.accounts.totals(user)).toMatchObject({ blocked: null, nextEarnOutAt: end });
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    clock.time = new Date(end.getTime() - 1);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    clock.time = end;
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    expect(host.asked.at(-1)).toMatchObject({ payoutEmail: 'mallory@evil.example' });
    await addsUp(host);
  });

  test('does not hold credit, and a removed one holds the next', async () => {
    const host = await startPaying(() => undefined);
    const { referrals, clock } = host;
    const user = await earner(host, 5);
    const account = await accountOf(host, user);
    await account.update({ mode: 'credits', payoutEmail: null });
    await earn(host, user, 7);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1, amount: '7.00' });
    clock.advanceDays(10);
    await account.update({ payoutEmail: 'other@example.org' });
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    clock.advanceDays(3);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, amount: '5.00' });
    await addsUp(host);
  });

  test('with addressHoldDays 0 holds nothing; a change of the option counts at once', async () => {
    const host = await startPaying(() => undefined, { earnOuts: { addressHoldDays: 10 } });
    const user = await earner(host, 5);
    await (await accountOf(host, user)).update({ payoutEmail: 'other@example.org' });
    host.clock.advanceDays(3);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await host.referrals.close();
    const { dataSource, clock } = host;
    const payout = (): void => undefined;
    const without = await startEarnings({ dataSource, clock: clock.read, earnOuts: { payout, addressHoldDays: 0 } });
    expect(await without.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    await addsUp(without);
  });

  test('a change that is rolled back tells nothing and holds nothing', async () => {
    const host = await startPaying(() => undefined);
    const told = changed(host);
    const user = await earner(host, 5);
    const account = await accountOf(host, user);
    const undoing = host.dataSource.transaction(async (manager) => {
      await account.update({ payoutEmail: 'other@example.org' }, { manager });
      throw new Error('undone');
    });
    await expect(undoing).rejects.toThrow('undone');
    expect(told).toHaveLength(1);
    expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
  });

  test.each([
    ['anna@bank.example', 'a***@bank.example'],
    ['a@bank.example', 'a***@bank.example'],
    ['😀x@bank.example', '😀***@bank.example'],
  ])('%s is masked as %s', async (address, shown) => {
    const host = await startPaying(() => undefined);
    const account = await accountOf(host, 'anna');
    await account.update({ payoutEmail: address });
    const told = changed(host);
    await account.update({ payoutEmail: 'new@bank.example' });
    expect(told).toEqual([['anna', 'new@bank.example', shown]]);
  });
});
