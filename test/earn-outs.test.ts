import {
  type EarnOutProgress,
  ReferralCommission,
  ReferralCommissionEntry,
  type Payout,
  PayoutRefused,
  type ReferralEarnOut,
  type ReferralsOptions,
} from '../lib';
import { closeAll, openDataSource, waitFor } from './support/host';
import { type EarningsHost, fresh, refer, refusalOf, seedCommissions, startEarnings } from './support/earnings';

afterAll(closeAll);

const day = 86_400_000;

interface Paying extends EarningsHost {
  /** What the host was asked to pay out. */
  paid: ReferralEarnOut[];
}

/** A host that pays out, with commissions that are available at once. */
async function startPaying(options: Partial<ReferralsOptions> = {}, pay?: Payout) {
  const paid: ReferralEarnOut[] = [];
  const payout: Payout = (earnOut) => {
    paid.push(earnOut);
    return pay?.(earnOut);
  };
  const { earnOuts, commission, ...rest } = options;
  const host = await startEarnings({
    // What is taken back of credit instead of a debt: govern-payments.test.ts
    ...{ commission: { pendingDays: 0, ...commission }, earnOuts: { payout, takeBackCredit: false, ...earnOuts } },
    ...rest,
  });
  return Object.assign(host, { paid });
}

/** A purchase that earns the referrer an amount. */
async function earn(host: EarningsHost, referrer: string, amount: number, reference = fresh('inv')): Promise<string> {
  const { referrals } = host;
  const buyer = `${referrer}'s buyer`;
  if ((await referrals.signups.count({ where: { userId: buyer } })) === 0) await refer(host, referrer, buyer);
  await referrals.recordPurchase(buyer, { amount: amount * 4, reference });
  return reference;
}

async function payOutTo(host: EarningsHost, user: string): Promise<void> {
  const account = await host.referrals.accounts.of(user);
  await account.update({ mode: 'payout', payoutEmail: `${user}@example.org` });
}

const earnOutsOf = async ({ referrals }: EarningsHost, user: string): Promise<string[]> =>
  (await referrals.earnOuts.search({ where: { userId: user } })).map(({ mode, amount, status }) =>
    [mode, amount, status].join(' '),
  );

/** What waits for an earn-out, in each mode, and when it is due. */
const waiting = async ({ referrals }: EarningsHost, user: string): Promise<string[]> => {
  const { creditsEarned, payoutsEarned } = await referrals.accounts.totals(user);
  return [creditsEarned, payoutsEarned];
};

const addsUp = async ({ referrals }: EarningsHost): Promise<void> =>
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });

/** What an earn-out says of its payment before there is one. */
const untold = {
  ...{ reference: null, attempts: 0, claimedBy: null, claimedUntil: null, nextAttemptAt: null, submittedAt: null },
  awaitsApproval: false,
  ...{ settledAt: null, refusedAt: null, refusals: 0 },
};

const none: EarnOutProgress = { bound: 0, completed: 0, failed: 0, amount: '0.00' };
const one = (amount: string): EarnOutProgress => ({ bound: 1, completed: 1, failed: 0, amount });

describe('in the mode credits', () => {
  test('what is available becomes credit, once', async () => {
    const host = await startPaying({ commission: { pendingDays: 30 } });
    const { referrals, clock, told } = host;
    const type = await referrals.creditTypes.count();
    await earn(host, 'anna', 25, 'a');
    await earn(host, 'anna', 10.01, 'b');
    clock.advanceDays(15);
    await earn(host, 'anna', 100, 'pending');
    clock.advanceDays(15);
    told.length = 0;
    expect(await referrals.runEarnOuts()).toEqual(one('35.01'));
    const [earnOut] = await referrals.earnOuts.search();
    expect({ ...earnOut }).toEqual({
      ...{ id: expect.any(Number), userId: 'anna', mode: 'credits', payoutEmail: null, amount: '35.01' },
      ...{ commissionCount: 2, status: 'completed', errorReason: null, createdAt: clock.time, updatedAt: clock.time },
      idempotencyKey: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/),
      ...untold,
      settledAt: clock.time,
    });
    const [credit] = await referrals.credits.search();
    expect(credit).toMatchObject({
      ...{ userId: 'anna', kind: 'earn-out', reference: earnOut!.idempotencyKey, startDate: clock.time },
      ...{ initialBalance: '35.01', currentBalance: '35.01' },
      expiryDate: new Date(clock.time.getTime() + 36_500 * day),
    });
    expect(await credit!.creditType()).toMatchObject({ name: 'Commissions' });
    expect(await referrals.creditTypes.count()).toBe(type + 1);
    expect(told).toEqual(['granted anna 35.01', 'earn-out anna credits 35.01 completed']);
    const commissions = await referrals.commissions.search({ order: { id: 'ASC' } });
    expect(commissions.map(({ purchase, earnOutId, status }) => [purchase, earnOutId, status])).toEqual([
      ['a', earnOut!.id, 'available'],
      ['b', earnOut!.id, 'available'],
      ['pending', null, 'pending'],
    ]);
    expect(await referrals.accounts.totals('anna')).toMatchObject({
      ...{ creditsEarned: '0.00', totalCreditsEarned: '135.01', payoutsEarned: '0.00', totalPayoutsEarned: '0.00' },
    });
    expect(await referrals.runEarnOuts()).toEqual(none);
    await referrals.credits.spend('anna', { amount: '35.01', reference: 'spent' });
    await addsUp(host);
  });

  test('of the type and life that the options say; a type that exists is taken', async () => {
    const host = await startPaying({ earnOuts: { creditType: 'points', creditDurationDays: 90 } });
    const { id } = await host.referrals.creditTypes.create({ name: 'points' });
    await earn(host, 'anna', 1);
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    const [credit] = await host.referrals.credits.search();
    expect(credit).toMatchObject({ creditTypeId: id, expiryDate: new Date(host.clock.time.getTime() + 90 * day) });
  });

  test('a reference of the host’s that reads like ours does not swallow the credit', async () => {
    const host = await startPaying();
    const { referrals, clock } = host;
    await earn(host, 'boris', 1);
    clock.advanceDays(7);
    await referrals.runEarnOuts();
    const [{ id }] = (await referrals.earnOuts.search()) as [ReferralEarnOut];
    await earn(host, 'anna', 5);
    clock.advanceDays(7);
    const creditType = await referrals.creditTypes.getByName('Commissions');
    const grant = { user: 'anna', creditType, initialBalance: 1, durationDays: 1, reference: `earn-out ${id + 1}` };
    await referrals.credits.create(grant);
    await referrals.runEarnOuts();
    const [earnOut] = await referrals.earnOuts.search({ where: { userId: 'anna' } });
    const balance = await referrals.credits.balance('anna');
    // Either the credit was given, or the earn-out failed. It is never completed without the credit.
    expect([earnOut!.status, balance]).toEqual(
      earnOut!.status === 'failed' ? ['failed', '1.00'] : ['completed', '6.00'],
    );
    await addsUp(host);
  });
});

describe('due', () => {
  test('once in each period, from the day of the account; a late run delays no other', async () => {
    const host = await startPaying();
    const { referrals, clock } = host;
    const start = clock.time.getTime();
    const run = async () => (await referrals.runEarnOuts()).amount;
    const next = async () => ((await referrals.accounts.totals('anna')).nextEarnOutAt.getTime() - start) / day;
    await earn(host, 'anna', 1);
    expect([await run(), await next()]).toEqual(['0.00', 7]);
    clock.time = new Date(start + 7 * day - 1);
    expect([await run(), await next()]).toEqual(['0.00', 7]);
    clock.time = new Date(start + 7 * day);
    expect([await run(), await next()]).toEqual(['1.00', 14]);
    await earn(host, 'anna', 2);
    clock.time = new Date(start + 14 * day - 1);
    expect([await run(), await next()]).toEqual(['0.00', 14]);
    clock.time = new Date(start + 20 * day);
    expect([await run(), await next()]).toEqual(['2.00', 21]);
    await earn(host, 'anna', 4);
    clock.time = new Date(start + 21 * day);
    expect([await run(), await next()]).toEqual(['4.00', 28]);
    expect(await earnOutsOf(host, 'anna')).toHaveLength(3);
    await addsUp(host);
  });

  test('as often as the option says', async () => {
    const host = await startPaying({ earnOuts: { every: { days: 1 / 24 } } });
    await earn(host, 'anna', 1);
    host.clock.time = new Date(host.clock.time.getTime() + 3_599_999);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    host.clock.time = new Date(host.clock.time.getTime() + 1);
    expect(await host.referrals.runEarnOuts()).toEqual(one('1.00'));
  });

  test('from the minimum on; below it, as soon as there is enough', async () => {
    const host = await startPaying({ earnOuts: { minimum: '10' } });
    await earn(host, 'anna', 9);
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    expect(await waiting(host, 'anna')).toEqual(['9.00', '0.00']);
    await earn(host, 'anna', 0.99);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    await earn(host, 'anna', 0.01);
    expect(await host.referrals.runEarnOuts()).toEqual(one('10.00'));
    await addsUp(host);
  });

  test('the minimum is of what is available, not of what is pending', async () => {
    const host = await startPaying({ earnOuts: { minimum: '10' }, commission: { pendingDays: 30 } });
    await earn(host, 'anna', 9);
    host.clock.advanceDays(29);
    await earn(host, 'anna', 9);
    host.clock.advanceDays(1);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    host.clock.advanceDays(29);
    expect(await host.referrals.runEarnOuts()).toEqual(one('18.00'));
  });

  test('nothing to do, and nobody', async () => {
    const host = await startPaying();
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    await host.referrals.accounts.of('anna');
    host.clock.advanceDays(70);
    expect(await host.referrals.runEarnOuts({})).toEqual(none);
    expect(await host.referrals.creditTypes.count()).toBe(0);
  });
});

describe('in the mode payout', () => {
  test('the host pays, and is told where', async () => {
    const host = await startPaying();
    await host.referrals.accounts.of('anna');
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 20);
    host.clock.advanceDays(7);
    host.told.length = 0;
    expect(await host.referrals.runEarnOuts()).toEqual(one('20.00'));
    const later = (minutes: number): Date => new Date(host.clock.time.getTime() + minutes * 60_000);
    expect(host.paid.map((earnOut) => ({ ...earnOut }))).toEqual([
      {
        ...{ id: expect.any(Number), userId: 'anna', mode: 'payout', payoutEmail: 'anna@example.org' },
        ...{ amount: '20.00', commissionCount: 1, status: 'processing', errorReason: null, ...untold },
        ...{ attempts: 1, claimedBy: expect.any(String), claimedUntil: later(6), nextAttemptAt: later(6) },
        ...{ idempotencyKey: expect.any(String), createdAt: host.clock.time, updatedAt: host.clock.time },
      },
    ]);
    expect(host.told).toEqual(['earn-out anna payout 20.00 completed']);
    expect(await host.referrals.credits.count()).toBe(0);
    expect(await host.referrals.accounts.totals('anna')).toMatchObject({
      ...{ payoutsEarned: '0.00', totalPayoutsEarned: '20.00', totalCreditsEarned: '0.00' },
    });
    await addsUp(host);
  });

  test('each mode by itself: what was earned in a mode is paid in it', async () => {
    const host = await startPaying({ earnOuts: { minimum: '10' } });
    await earn(host, 'anna', 11);
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 12);
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 2, completed: 2, failed: 0, amount: '23.00' });
    expect((await earnOutsOf(host, 'anna')).sort()).toEqual(['credits 11.00 completed', 'payout 12.00 completed']);
    host.clock.advanceDays(7);
    await earn(host, 'anna', 13);
    await host.referrals.accounts.update(await host.referrals.accounts.of('anna'), { mode: 'credits' });
    await earn(host, 'anna', 9);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 2, completed: 2, failed: 0, amount: '22.00' });
    await addsUp(host);
  });

  test('waits while nobody knows where to, or the host pays nothing out', async () => {
    const host = await startPaying();
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 5);
    const account = await host.referrals.accounts.of('anna');
    await account.update({ mode: 'credits', payoutEmail: null });
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    await account.update({ payoutEmail: 'new@example.org' });
    host.clock.advanceDays(3); // the address is held
    await host.referrals.close();
    const { dataSource, clock } = host;
    const without = await startEarnings({ dataSource, clock: clock.read });
    expect(await without.referrals.runEarnOuts()).toEqual(none);
    await without.referrals.close();
    const again = await startPaying({ dataSource, clock: clock.read });
    expect(await again.referrals.runEarnOuts()).toEqual(one('5.00'));
    expect(again.paid[0]).toMatchObject({ payoutEmail: 'new@example.org' });
    await addsUp(again);
  });

  test('the address is that of the binding; a later change is for the next', async () => {
    const host = await startPaying();
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 5);
    host.clock.advanceDays(7);
    const onProgress = async ({ completed }: EarnOutProgress): Promise<void> => {
      if (completed > 0) return;
      const account = await host.referrals.accounts.of('anna');
      await account.update({ payoutEmail: 'later@example.org' });
    };
    await host.referrals.runEarnOuts({ onProgress });
    expect(host.paid[0]!.payoutEmail).toBe('anna@example.org');
  });

  test('many, some at a time, each once', async () => {
    let [atOnce, most] = [0, 0];
    const host = await startPaying({}, async () => {
      most = Math.max(most, ++atOnce);
      await waitFor(() => Promise.resolve(most > 1)); // the first payout waits until a second one runs
      atOnce--;
    });
    await seedCommissions(host, { prefix: 'p', referrers: 30, each: 2, mode: 'payout' });
    host.clock.advanceDays(30);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 30, completed: 30, failed: 0, amount: '60.00' });
    expect(new Set(host.paid.map(({ userId }) => userId)).size).toBe(30);
    expect(host.paid).toHaveLength(30);
    expect(new Set(host.paid.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(30);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThan(30);
    await addsUp(host);
  });
});

describe('a payout that is refused', () => {
  test('fails with its reason; an hour later the amount is due, in a new earn-out with a new key', async () => {
    let isRefused = true;
    const host = await startPaying({}, () => {
      if (isRefused) throw new PayoutRefused('account closed');
    });
    const { referrals, clock, paid, told } = host;
    await payOutTo(host, 'anna');
    const reference = await earn(host, 'anna', 20);
    clock.advanceDays(7);
    told.length = 0;
    expect(await referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 1, amount: '0.00' });
    expect(paid).toHaveLength(1);
    expect(told).toEqual(['earn-out anna payout 20.00 failed']);
    const [failed] = await referrals.earnOuts.search();
    expect(failed).toMatchObject({ status: 'failed', errorReason: 'account closed', amount: '20.00' });
    expect(await failed!.commissions()).toEqual([]);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '20.00']);
    await addsUp(host);
    await referrals.recordRefund(`anna's buyer`, { purchase: reference, reference: 're', amount: 8 });
    await earn(host, 'anna', 1);
    isRefused = false;
    clock.advance(3_599_999);
    expect(await referrals.runEarnOuts()).toEqual(none);
    clock.advance(1);
    expect(await referrals.runEarnOuts()).toEqual(one('19.00'));
    expect(paid[1]!.idempotencyKey).not.toBe(paid[0]!.idempotencyKey);
    expect(await earnOutsOf(host, 'anna')).toEqual(['payout 20.00 failed', 'payout 19.00 completed']);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });

  test('fails alone: the others at the time are completed', async () => {
    const host = await startPaying({}, ({ userId }) =>
      ['p 3', 'p 17'].includes(userId) ? Promise.reject(new PayoutRefused(userId)) : undefined,
    );
    await seedCommissions(host, { prefix: 'p', referrers: 20, each: 1, mode: 'payout' });
    host.clock.advanceDays(30);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 20, completed: 18, failed: 2, amount: '18.00' });
    const failed = await host.referrals.earnOuts.search({ where: { status: 'failed' } });
    expect(failed.map(({ userId, errorReason }) => `${userId}: ${errorReason}`).sort()).toEqual([
      'p 17: p 17',
      'p 3: p 3',
    ]);
    await addsUp(host);
  });

  test('with any text: what can be stored of it is the reason', async () => {
    const reasons: [given: string, reason: string][] = [
      ['declined', 'declined'],
      ['', 'without a reason'],
      ['x'.repeat(10_000), 'x'.repeat(500)],
      ['a\0b\ud800c', 'abc'],
      [`'; DROP TABLE referral_earn_outs; --`, `'; DROP TABLE referral_earn_outs; --`],
      ['漢'.repeat(500), '漢'.repeat(500)],
      [`x${'𝄞'.repeat(500)}`, `x${'𝄞'.repeat(249)}`],
    ];
    const host = await startPaying({}, ({ userId }) => {
      throw new PayoutRefused(reasons[Number(userId.split(' ')[1]) - 1]![0]);
    });
    await seedCommissions(host, { prefix: 'p', referrers: reasons.length, each: 1, mode: 'payout' });
    host.clock.advanceDays(30);
    const failed = reasons.length;
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: failed, completed: 0, failed, amount: '0.00' });
    const earnOuts = await host.referrals.earnOuts.search();
    const found = new Map(earnOuts.map(({ userId, errorReason }) => [userId, errorReason]));
    expect(reasons.map((_, index) => found.get(`p ${index + 1}`))).toEqual(reasons.map(([, reason]) => reason));
    await addsUp(host);
  });
});

describe('what a run leaves behind', () => {
  test('bound and not paid, is paid by the next, under the same key', async () => {
    const host = await startPaying();
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 5);
    await earn(host, 'boris', 7);
    host.clock.advanceDays(7);
    const onProgress = (): never => {
      throw new Error('the process ends');
    };
    await expect(host.referrals.runEarnOuts({ onProgress })).rejects.toThrow('the process ends');
    expect(host.paid).toEqual([]);
    expect(await host.referrals.credits.count()).toBe(0);
    const left = await host.referrals.earnOuts.search({ where: { userId: 'anna' } });
    expect(left).toMatchObject([{ status: 'processing', amount: '5.00' }]);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
    await earn(host, 'anna', 100); // goes into the next earn-out, because this one is bound already
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 0, completed: 2, failed: 0, amount: '12.00' });
    expect(host.paid).toMatchObject([{ id: left[0]!.id, idempotencyKey: left[0]!.idempotencyKey, amount: '5.00' }]);
    expect(await host.referrals.credits.balance('boris')).toBe('7.00');
    await addsUp(host);
  });

  test('paid and not noted, is asked for again once the lease has ended, under the same key', async () => {
    let isAway = true;
    const host = await startPaying({}, async () => {
      if (isAway) await host.dataSource.query(away);
    });
    const table = `${host.schema}.referral_earn_outs`;
    const away = `CREATE FUNCTION ${host.schema}.away() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''gone'' USING ERRCODE = ''57P01''; END';
      CREATE TRIGGER away BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${host.schema}.away()`;
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 5);
    host.clock.advanceDays(7);
    await expect(host.referrals.runEarnOuts()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    isAway = false;
    await host.dataSource.query(`DROP TRIGGER away ON ${table}`);
    host.clock.advance(6 * 60_000 - 1); // the time-out of a payout, and five minutes
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    host.clock.advance(1);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 0, completed: 1, failed: 0, amount: '5.00' });
    const [first, second] = host.paid;
    expect(host.paid).toHaveLength(2);
    expect(second).toMatchObject({ id: first!.id, idempotencyKey: first!.idempotencyKey, amount: '5.00', attempts: 2 });
    await addsUp(host);
  });
});

describe('onProgress', () => {
  test('is told after each batch, in steps, and waited for', async () => {
    const host = await startPaying();
    await seedCommissions(host, { prefix: 'c', referrers: 1050, each: 2 });
    host.clock.advanceDays(30);
    const seen: EarnOutProgress[] = [];
    let isTelling = false;
    const onProgress = async (progress: EarnOutProgress): Promise<void> => {
      expect(isTelling).toBe(false);
      isTelling = true;
      await new Promise(setImmediate);
      seen.push(progress);
      isTelling = false;
    };
    const done = await host.referrals.runEarnOuts({ onProgress });
    expect(done).toEqual({ bound: 1050, completed: 1050, failed: 0, amount: '2100.00' });
    expect(seen.length).toBeGreaterThan(4); // 1,050 are more than a batch
    expect(seen.at(-1)).toEqual(done);
    for (const [index, { bound, completed }] of seen.entries()) {
      const before = seen[index - 1] ?? none;
      expect(bound + completed).toBeGreaterThan(before.bound + before.completed);
    }
    expect(await host.referrals.credits.count()).toBe(1050);
    expect(await host.referrals.commissions.count({ where: { earnOutId: null } })).toBe(0);
    await addsUp(host);
  });

  test.each([
    ['onProgress', { onProgress: 'yes' }],
    ['onProgress', { onProgress: null }],
    ['batch', { batch: 5 }],
    ['runEarnOuts', 'now'],
  ])('a wrong %s is refused, and nothing paid', async (field, options) => {
    const host = (shared ??= await startPaying());
    await earn(host, 'anna', 1);
    host.clock.advanceDays(7);
    await expect(host.referrals.runEarnOuts(options as never)).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
    expect(await host.referrals.earnOuts.count()).toBe(0);
  });
  let shared: Paying | undefined;

  test('a closed instance pays nothing', async () => {
    const host = await startPaying();
    await host.referrals.close();
    expect(await refusalOf(host.referrals.runEarnOuts())).toBe('CLOSED');
  });
});

describe('a trigger of the host’s that refuses one credit', () => {
  test('fails that earn-out alone, tells the host why, and the amount is paid once the trigger allows it', async () => {
    const host = await startPaying();
    const { dataSource, schema, referrals } = host;
    await dataSource.query(`CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN RAISE EXCEPTION ''% is under review'', NEW.user_id USING ERRCODE = ''RF001''; END'`);
    await dataSource.query(`CREATE TRIGGER refuse BEFORE INSERT ON ${schema}.referral_credits FOR EACH ROW
      WHEN (NEW.user_id IN ('c 7', 'c 501')) EXECUTE FUNCTION ${schema}.refuse()`);
    await seedCommissions(host, { prefix: 'c', referrers: 600, each: 1 });
    host.clock.advanceDays(30);
    host.told.length = 0;
    expect(await referrals.runEarnOuts()).toEqual({ bound: 600, completed: 598, failed: 2, amount: '598.00' });
    const failed = await referrals.earnOuts.search({ where: { status: 'failed' } });
    expect(failed.map(({ errorReason }) => errorReason)).toEqual(Array(2).fill('The credit was refused.'));
    expect(host.errors.splice(0).map(String).sort()).toEqual([
      expect.stringContaining('c 501 is under review'),
      expect.stringContaining('c 7 is under review'),
    ]);
    expect(host.told.filter((one) => one.startsWith('granted'))).toHaveLength(598);
    expect(host.told.filter((one) => one.endsWith('failed'))).toHaveLength(2);
    await addsUp(host);
    await dataSource.query(`DROP TRIGGER refuse ON ${schema}.referral_credits`);
    expect(await referrals.runEarnOuts()).toEqual({ bound: 2, completed: 2, failed: 0, amount: '2.00' });
    expect(await referrals.credits.count()).toBe(600);
    await addsUp(host);
  });
});

describe('refunds after an earn-out', () => {
  test('wait as an amount below 0, and are netted by the next', async () => {
    const host = await startPaying({ earnOuts: { minimum: '5' } });
    const { referrals, clock } = host;
    const buyer = `anna's buyer`;
    await earn(host, 'anna', 20, 'a');
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toEqual(one('20.00'));
    await referrals.recordRefund(buyer, { purchase: 'a', reference: 'part', amount: 20 });
    expect(await waiting(host, 'anna')).toEqual(['-5.00', '0.00']);
    await referrals.recordRefund(buyer, { purchase: 'a', reference: 'rest' });
    expect(await referrals.accounts.totals('anna')).toMatchObject({
      ...{ creditsEarned: '-20.00', totalCreditsEarned: '0.00' },
    });
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toEqual(none);
    await earn(host, 'anna', 24, 'b');
    expect(await referrals.runEarnOuts()).toEqual(none); // 4 are less than the minimum
    await earn(host, 'anna', 1, 'c');
    expect(await referrals.runEarnOuts()).toEqual(one('5.00'));
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    expect(await referrals.credits.balance('anna')).toBe('25.00');
    const [, second] = await referrals.earnOuts.search();
    expect(second).toMatchObject({ amount: '5.00', commissionCount: 2 });
    const entries = host.dataSource.getRepository(ReferralCommissionEntry);
    expect(await entries.countBy({ earnOutId: second!.id })).toBe(2);
    await addsUp(host);
  });

  test('before it, are netted in it', async () => {
    const host = await startPaying();
    await earn(host, 'anna', 20, 'a');
    await earn(host, 'anna', 10, 'b');
    await host.referrals.recordRefund(`anna's buyer`, { purchase: 'a', reference: 'all' });
    await host.referrals.recordRefund(`anna's buyer`, { purchase: 'b', reference: 'half', amount: 20 });
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual(one('5.00'));
    const bound = host.dataSource.getRepository(ReferralCommission);
    expect(await bound.count({ where: { earnOutId: 1 } })).toBe(2);
    await addsUp(host);
  });

  test('of all there was: nothing is paid, and nothing stays below 0', async () => {
    const host = await startPaying();
    await earn(host, 'anna', 20, 'a');
    await host.referrals.recordRefund(`anna's buyer`, { purchase: 'a', reference: 'all' });
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });

  test('of a pending commission take nothing from those that are available', async () => {
    const host = await startPaying({ commission: { pendingDays: 30 } });
    await earn(host, 'anna', 10, 'a');
    host.clock.advanceDays(20);
    await earn(host, 'anna', 8, 'b');
    await host.referrals.recordRefund(`anna's buyer`, { purchase: 'b', reference: 'half', amount: 16 });
    host.clock.advanceDays(10);
    expect(await host.referrals.runEarnOuts()).toEqual(one('10.00'));
    host.clock.advanceDays(20);
    expect(await host.referrals.runEarnOuts()).toEqual(one('4.00'));
    await addsUp(host);
  });

  test('in the other mode, if nothing is earned in this one any more', async () => {
    const host = await startPaying();
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 20, 'a');
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    await host.referrals.accounts.update(await host.referrals.accounts.of('anna'), { mode: 'credits' });
    await earn(host, 'anna', 30, 'b');
    await host.referrals.recordRefund(`anna's buyer`, { purchase: 'a', reference: 'half', amount: 40 });
    host.clock.advanceDays(7);
    expect(await waiting(host, 'anna')).toEqual(['30.00', '-10.00']);
    expect(await host.referrals.runEarnOuts()).toEqual(one('20.00'));
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });

  test('while the host is paying, wait for the next', async () => {
    const host = await startPaying({}, async () => void (await refund()));
    const refund = () => host.referrals.recordRefund(`anna's buyer`, { purchase: 'a', reference: 'half', amount: 40 });
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 20, 'a');
    host.clock.advanceDays(7);
    expect(await host.referrals.runEarnOuts()).toEqual(one('20.00'));
    expect(await waiting(host, 'anna')).toEqual(['0.00', '-10.00']);
    await addsUp(host);
  });
});

describe('a debt of the mode that an account has left', () => {
  /** A host where anna was paid 100 by a payout that was refunded since, and now takes credits. */
  const indebted = async (earnOuts: ReferralsOptions['earnOuts'] = {}) => {
    const host = await startPaying({ earnOuts });
    const { referrals, clock } = host;
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 100, 'refunded');
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toEqual(one('100.00'));
    await referrals.recordRefund(`anna's buyer`, { purchase: 'refunded', reference: 're' });
    clock.advanceDays(7);
    return { host, inMode: (mode: 'credits' | 'payout') => modeOf(host, 'anna', mode) };
  };
  const modeOf = async ({ referrals }: EarningsHost, user: string, mode: 'credits' | 'payout'): Promise<void> => {
    await (await referrals.accounts.of(user)).update({ mode });
  };

  test('is netted by the next earn-out in the other: only what is above it is paid', async () => {
    const { host, inMode } = await indebted();
    await inMode('credits');
    expect(await waiting(host, 'anna')).toEqual(['0.00', '-100.00']);
    await earn(host, 'anna', 100);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    expect(await host.referrals.credits.balance('anna')).toBe('0.00');
    await addsUp(host);
    await earn(host, 'anna', 50);
    expect(await host.referrals.runEarnOuts()).toEqual(one('50.00'));
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    expect(await host.referrals.credits.balance('anna')).toBe('50.00');
    await addsUp(host);
    host.clock.advanceDays(7);
    await earn(host, 'anna', 7);
    expect(await host.referrals.runEarnOuts()).toEqual(one('7.00'));
    await addsUp(host);
  });

  test('is netted in its own mode as soon as that pays enough, whatever the other has', async () => {
    const { host, inMode } = await indebted();
    await inMode('credits');
    await earn(host, 'anna', 100);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    await inMode('payout');
    await earn(host, 'anna', 121);
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 2, completed: 2, failed: 0, amount: '121.00' });
    expect((await earnOutsOf(host, 'anna')).sort()).toEqual([
      ...['credits 100.00 completed', 'payout 100.00 completed', 'payout 21.00 completed'],
    ]);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });

  test('is netted with what was earned in its own mode, too, though that is below the minimum', async () => {
    const { host, inMode } = await indebted({ minimum: '10' });
    await earn(host, 'anna', 9, 'small');
    await inMode('credits');
    await earn(host, 'anna', 91);
    expect(await waiting(host, 'anna')).toEqual(['91.00', '-91.00']);
    expect(await host.referrals.runEarnOuts()).toEqual(none);
    await addsUp(host);
    await earn(host, 'anna', 59);
    const { bound, amount } = await host.referrals.runEarnOuts();
    const [credits, payouts] = (await waiting(host, 'anna')).map(Number);
    // In whichever mode the small amount is counted, the user is paid no more than what is left in all.
    expect(bound).toBe(1);
    expect([credits, Number(amount) + payouts!]).toEqual([0, 59]);
    expect(Number(amount)).toBeLessThanOrEqual(59);
    await addsUp(host);
    await inMode('payout');
    await earn(host, 'anna', 10);
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });

  test('is a debt again once the payout that had netted it has failed', async () => {
    let isRefused = false;
    const host = await startPaying({}, () => {
      if (isRefused) throw new PayoutRefused('account closed');
    });
    const { referrals, clock, paid } = host;
    await earn(host, 'anna', 100, 'refunded');
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toEqual(one('100.00'));
    await referrals.recordRefund(`anna's buyer`, { purchase: 'refunded', reference: 're' });
    await payOutTo(host, 'anna');
    await earn(host, 'anna', 150);
    clock.advanceDays(7);
    isRefused = true;
    expect(await referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 1, amount: '0.00' });
    expect(await waiting(host, 'anna')).toEqual(['-100.00', '150.00']);
    await addsUp(host);
    isRefused = false;
    clock.advance(3_600_000);
    expect(await referrals.runEarnOuts()).toEqual(one('50.00'));
    expect(paid.map(({ amount }) => amount)).toEqual(['50.00', '50.00']);
    expect(await waiting(host, 'anna')).toEqual(['0.00', '0.00']);
    await addsUp(host);
  });
});

test('the host’s limit to the time of statements stops no run', async () => {
  const host = await startPaying();
  const { dataSource, schema, clock } = host;
  const options = dataSource.options as { schema: string };
  const limited = await openDataSource({
    ...{ schema: options.schema, migrate: false, extra: { options: '-c statement_timeout=30000' } },
  });
  expect(await limited.query('SHOW statement_timeout')).toEqual([{ statement_timeout: '30s' }]);
  // The trigger takes twice the limit of the connection, and no time without a limit.
  await dataSource.query(`CREATE FUNCTION ${schema}.dawdle() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(2 * extract(epoch FROM current_setting(''statement_timeout'')::interval)); RETURN NEW; END'`);
  for (const table of ['referral_earn_outs', 'referral_credits'])
    await dataSource.query(`CREATE TRIGGER dawdle BEFORE INSERT OR UPDATE ON ${schema}.${table} FOR EACH ROW
      EXECUTE FUNCTION ${schema}.dawdle()`);
  await payOutTo(host, 'anna');
  await earn(host, 'anna', 5);
  await earn(host, 'boris', 7);
  clock.advanceDays(7);
  const other = await startPaying({ dataSource: limited, clock: clock.read });
  expect(await other.referrals.runEarnOuts()).toEqual({ bound: 2, completed: 2, failed: 0, amount: '12.00' });
  await addsUp(host);
});
