import { IsNull, LessThan, MoreThan, Not, Or } from 'typeorm';
import { type Amount, ReferralAudit, ReferralCommission, ReferralCommissionEntry } from '../lib';
import { closeAll } from './support/host';
import { type EarningsHost, everyRow, fresh, refer, refusalOf, startEarnings } from './support/earnings';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined, minimum: '1' } });
});
afterEach(async () => {
  expect((await host.referrals.verify()).problems).toEqual([]);
});

const staff = { by: 'eve', reason: 'looks wrong' };

/** A purchase `inv` of a buyer who signed up through somebody. */
async function purchased(amount: Amount = '100', terms?: Parameters<typeof refer>[3]) {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer, terms);
  const { commission } = await host.referrals.recordPurchase(buyer, { amount, reference: 'inv' });
  const refund = (reference: string, back?: Amount) =>
    host.referrals.recordRefund(buyer, { purchase: 'inv', reference, amount: back });
  const undo = (reference: string) => host.referrals.undoRefund(buyer, { reference, ...staff });
  const now = () => host.referrals.commissions.get(commission!.id);
  const totals = () => host.referrals.accounts.totals(referrer);
  const entries = async (): Promise<string[]> => {
    const found = await host.dataSource.getRepository(ReferralCommissionEntry).find({
      where: { userId: referrer },
      order: { id: 'ASC' },
    });
    return found.map(({ kind, amount: change, refund: reference }) => `${kind} ${reference} ${change}`);
  };
  const audited = async (): Promise<string[]> => {
    const rows = await host.dataSource.getRepository(ReferralAudit).find({
      where: [{ userId: referrer }, { userId: buyer }],
      order: { id: 'ASC' },
    });
    // The others are of how the test has set up its world.
    const said = rows.filter(({ by }) => by !== null);
    return said.map(({ call, by, reason }) => [call, by, reason].join(' '));
  };
  const paid = async (): Promise<string[]> => {
    const earnOuts = await host.referrals.earnOuts.search({ where: { userId: referrer } });
    return earnOuts.map(({ amount: sum, status }) => `${sum} ${status}`);
  };
  return {
    id: commission!.id,
    referrer,
    buyer,
    commission: commission!,
    refund,
    undo,
    now,
    totals,
    entries,
    audited,
    paid,
  };
}

/** Lets time pass until every account is due, and runs. */
async function run(days = 40): Promise<void> {
  host.clock.advanceDays(days);
  await host.referrals.runEarnOuts();
}

describe('commissions.hold and release', () => {
  test('a held one is not available, whatever its age; a released one is, as if it had never been held', async () => {
    const { id, commission, now, totals, audited, paid } = await purchased();
    const held = await host.referrals.commissions.hold(id, staff);
    expect({ ...held }).toEqual({
      ...commission,
      ...{ availableAt: null, heldFor: ['staff'], heldFrom: commission.availableAt },
    });
    expect(held.status).toBe('held');
    await run();
    expect(await totals()).toMatchObject({ creditsEarned: '0.00', totalCreditsEarned: '25.00', blocked: null });
    expect(await paid()).toEqual([]);
    const released = await host.referrals.commissions.release(id, { by: 'eve' });
    expect({ ...released }).toEqual({ ...commission });
    expect(released.status).toBe('available');
    expect(await totals()).toMatchObject({ creditsEarned: '25.00', totalCreditsEarned: '25.00' });
    await host.referrals.runEarnOuts();
    expect(await paid()).toEqual(['25.00 completed']);
    expect((await now()).paidAt).toEqual(host.clock.time);
    expect(await audited()).toEqual(['commissions.hold eve looks wrong', 'commissions.release eve ']);
  });

  test('several at once, all or none; a repeated call changes nothing', async () => {
    const [first, second] = [await purchased(), await purchased()];
    await host.referrals.commissions.reject(second.id, staff);
    const ids = [first.id, second.id];
    expect(await refusalOf(host.referrals.commissions.hold(ids, staff))).toBe('COMMISSION_REJECTED');
    expect((await first.now()).status).toBe('pending');
    const third = await purchased();
    const held = await host.referrals.commissions.hold([third.id, first.commission], staff);
    expect(held.map(({ id, status }) => [id, status])).toEqual([
      [third.id, 'held'],
      [first.id, 'held'],
    ]);
    const before = await everyRow(host);
    expect(await host.referrals.commissions.hold([third.id, first.id, third.id], staff)).toHaveLength(3);
    expect(await host.referrals.commissions.hold([], staff)).toEqual([]);
    expect(await everyRow(host)).toEqual(before);
    await host.referrals.commissions.release([third.id, first.id], staff);
    const after = await everyRow(host);
    await host.referrals.commissions.release([third.id, first.id], staff);
    expect(await everyRow(host)).toEqual(after);
  });

  test('totals that were counted before count again after the release', async () => {
    const { id, referrer, buyer, totals } = await purchased();
    for (let n = 0; n < 3; n++) await host.referrals.recordPurchase(buyer, { amount: 4, reference: `old-${n}` });
    host.clock.advanceDays(31);
    // A new row of totals is inserted with what is available at that time, so that matured_until is after the others.
    await host.dataSource.query(
      `UPDATE ${host.schema}.referral_account_totals SET matured = 4, matured_amount = 28, matured_until = $1
       WHERE user_id = $2`,
      [host.clock.time, referrer],
    );
    expect((await totals()).creditsEarned).toBe('28.00');
    await host.referrals.commissions.hold(id, staff);
    expect((await totals()).creditsEarned).toBe('3.00');
    host.clock.advanceDays(-20);
    expect((await totals()).creditsEarned).toBe('0.00');
    await host.referrals.commissions.release(id, staff);
    expect((await totals()).creditsEarned).toBe('0.00');
    host.clock.advanceDays(20);
    expect((await totals()).creditsEarned).toBe('28.00');
  });

  test('a refund lowers a held one, and the release pays the rest', async () => {
    const { id, refund, now, paid } = await purchased();
    await host.referrals.commissions.hold(id, staff);
    expect((await refund('part', 40)).commission).toMatchObject({ amount: '15.00', status: 'held' });
    await run();
    await host.referrals.commissions.release(id);
    await host.referrals.runEarnOuts();
    expect(await paid()).toEqual(['15.00 completed']);
    expect(await now()).toMatchObject({ amount: '15.00', earned: '25.00' });
  });

  test('a whole refund of a held one reverts it; the release then makes nothing available', async () => {
    const { id, refund, totals, paid } = await purchased();
    await host.referrals.commissions.hold(id, staff);
    expect((await refund('all')).commission!.status).toBe('reverted');
    await run();
    await host.referrals.commissions.release(id);
    expect(await totals()).toMatchObject({ creditsEarned: '0.00', totalCreditsEarned: '0.00' });
    await host.referrals.runEarnOuts();
    expect(await paid()).toEqual([]);
  });

  test('one that an earn-out pays is refused, and says what to do', async () => {
    const { id } = await purchased();
    await run();
    const error: unknown = await host.referrals.commissions.hold(id, staff).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'COMMISSION_BOUND', status: 409 });
    expect((error as Error).message).toContain('commissions.reject');
    expect((await host.referrals.commissions.release(id)).status).toBe('available');
  });

  test('a search for no time finds what is held, and one for a time does not', async () => {
    const { id, referrer, buyer } = await purchased();
    const { commission: other } = await host.referrals.recordPurchase(buyer, { amount: 4, reference: 'other' });
    await host.referrals.commissions.hold(id, staff);
    const now = host.clock.time;
    const found = async (availableAt: unknown): Promise<number[]> => {
      const where = { userId: referrer, availableAt } as never;
      return (await host.referrals.commissions.search({ where })).map((commission) => commission.id);
    };
    for (const condition of [null, IsNull(), Or(IsNull(), LessThan(now))]) expect(await found(condition)).toEqual([id]);
    for (const condition of [MoreThan(now), Not(LessThan(now)), Not(IsNull()), Not(now), other!.availableAt])
      expect(await found(condition)).toEqual([other!.id]);
    for (const condition of [LessThan(now), Not(Or(IsNull(), MoreThan(now)))])
      expect(await found(condition)).toEqual([]);
    expect(await found(Or(IsNull(), MoreThan(now)))).toEqual([id, other!.id]);
    const where = { userId: referrer };
    const plain = await host.referrals.commissions.search({ where, plain: true, fields: ['availableAt', 'status'] });
    expect(plain).toEqual([
      { availableAt: null, status: 'held' },
      { availableAt: other!.availableAt, status: 'pending' },
    ]);
    const repository = host.dataSource.getRepository(ReferralCommission);
    expect((await repository.findOneByOrFail({ id })).availableAt).toBeNull();
  });
});

describe('commissions.reject', () => {
  test('takes back what is left, by an entry, for good', async () => {
    const { id, referrer, commission, refund, undo, now, totals, entries, audited, paid } = await purchased();
    await refund('part', 40);
    const rejected = await host.referrals.commissions.reject(id, staff);
    const { time } = host.clock;
    expect({ ...rejected }).toEqual({
      ...commission,
      ...{ amount: '0.00', rejectedAt: time, revertedAt: time, updatedAt: time },
    });
    expect(rejected.status).toBe('rejected');
    expect(await totals()).toMatchObject({ totalCreditsEarned: '0.00' });
    const before = await everyRow(host);
    await host.referrals.commissions.reject(id, { by: 'other', reason: 'again' });
    expect(await everyRow(host)).toEqual(before);
    for (const call of [host.referrals.commissions.hold(id, staff), host.referrals.commissions.release(id)])
      expect(await refusalOf(call)).toBe('COMMISSION_REJECTED');
    // Nothing more is taken, and nothing comes back.
    host.clock.advanceDays(1);
    expect((await refund('rest')).commission).toMatchObject({ amount: '0.00', status: 'rejected', updatedAt: time });
    await undo('part');
    await undo('rest');
    expect({ ...(await now()) }).toEqual({ ...rejected });
    expect(await entries()).toEqual(['refund part -10.00', 'reject  -15.00']);
    await run();
    expect(await paid()).toEqual([]);
    expect(host.told).not.toContain(`lowered ${referrer} to 0.00 by rest 60.00`);
    expect(await audited()).toEqual([
      'commissions.reject eve looks wrong',
      ...['undoRefund eve looks wrong', 'undoRefund eve looks wrong'],
    ]);
  });

  test('of a held one works, also of one that was reverted', async () => {
    const [held, reverted] = [await purchased(), await purchased()];
    await host.referrals.commissions.hold([held.id, reverted.id], staff);
    await reverted.refund('all');
    const { revertedAt } = await reverted.now();
    host.clock.advanceDays(1);
    for (const commission of await host.referrals.commissions.reject([held.id, reverted.id], staff))
      expect(commission).toMatchObject({ status: 'rejected', heldFor: [], heldFrom: null, amount: '0.00' });
    expect((await reverted.now()).revertedAt).toEqual(revertedAt);
    await reverted.undo('all');
    expect((await reverted.now()).status).toBe('rejected');
    expect(await reverted.entries()).toEqual(['refund all -25.00']);
    for (const { totals } of [held, reverted]) expect((await totals()).totalCreditsEarned).toBe('0.00');
  });

  test('after it was paid makes a debt, which the next earn-out subtracts', async () => {
    const { id, buyer, totals, paid } = await purchased('100');
    await run();
    await host.referrals.commissions.reject(id, staff);
    await host.referrals.recordPurchase(buyer, { amount: '200', reference: 'next' });
    host.clock.advanceDays(40);
    expect((await totals()).totalCreditsEarned).toBe('50.00');
    await host.referrals.runEarnOuts();
    expect((await paid())[0]).toBe('25.00 completed');
    expect(await totals()).toMatchObject({ creditsEarned: '0.00' });
  });

  test('leaves the limit for the referee more room', async () => {
    const { id, buyer } = await purchased('100', { commissionRatio: '0.25', commissionMaxPerReferee: 30 });
    await host.referrals.commissions.reject(id, staff);
    const { commission } = await host.referrals.recordPurchase(buyer, { amount: '400', reference: 'next' });
    expect(commission!.earned).toBe('30.00');
  });
});

describe('undoRefund', () => {
  test('puts back what the refund took', async () => {
    const { referrer, buyer, commission, refund, undo, entries, totals, audited } = await purchased();
    const { refund: made } = await refund('all');
    host.clock.advanceDays(1);
    const undone = await undo('all');
    expect({ ...undone.refund }).toEqual({ ...made, undoneAt: host.clock.time });
    expect({ ...undone.commission }).toEqual({ ...commission, updatedAt: host.clock.time });
    expect(undone.commission!.status).toBe('pending');
    expect(await entries()).toEqual(['refund all -25.00', 'undo all 25.00']);
    expect(await totals()).toMatchObject({ totalCreditsEarned: '25.00', usersUpgraded: 1 });
    const [purchase] = await host.referrals.purchases.search({ where: { userId: buyer } });
    expect(purchase).toMatchObject({ refunded: '0.00', refundCount: 1 });
    // But for the version of the buyer's row, which each call takes.
    const rows = async () => JSON.stringify(await everyRow(host)).replace(/\\"version\\":\d+/g, '');
    const before = await rows();
    expect(await undo('all')).toEqual(undone);
    expect((await refund('all')).refund).toEqual(undone.refund); // its reference stays used
    expect(await rows()).toBe(before);
    expect(await audited()).toEqual(['undoRefund eve looks wrong']);
    expect(referrer).toBe(commission.userId);
  });

  test('in any order, cents and all', async () => {
    const orders = ['undo b, undo a', 'undo a, undo b', 'undo a, refund c, undo b', 'refund c, undo b, undo a'];
    const results: string[] = [];
    for (const order of orders) {
      const { refund, undo, now } = await purchased('10');
      await refund('a', '3.33');
      await refund('b', '3.33');
      for (const step of order.split(', ')) await (step.startsWith('undo') ? undo : refund)(step.at(-1)!, '3.34');
      results.push((await now()).amount);
    }
    expect(results).toEqual(['2.50', '2.50', '1.66', '1.66']);
  });

  test('after the earn-out has paid, and after another has subtracted the refund', async () => {
    const { referrer, buyer, refund, undo, paid, totals } = await purchased('100');
    await run();
    await refund('all');
    await undo('all');
    await run();
    expect(await totals()).toMatchObject({ creditsEarned: '0.00', totalCreditsEarned: '25.00' });
    await refund('again');
    await host.referrals.recordPurchase(buyer, { amount: '200', reference: 'next' });
    await run(80);
    await undo('again');
    await run();
    const sum = (await paid()).reduce((total, text) => total + Number(text.split(' ')[0]), 0);
    // The first refund takes back the credit of the first earn-out; the second one leaves a debt, because what was undone was
    // paid by another.
    expect(sum).toBe(100);
    expect(await host.referrals.credits.balance(referrer)).toBe('75.00');
  });

  test('gives back also what later purchases have taken of the limit', async () => {
    const { buyer, refund, undo, totals } = await purchased('100', {
      commissionRatio: '0.25',
      commissionMaxPerReferee: 30,
    });
    await refund('all');
    await host.referrals.recordPurchase(buyer, { amount: '400', reference: 'next' });
    expect((await undo('all')).commission!.amount).toBe('25.00');
    expect((await totals()).totalCreditsEarned).toBe('55.00');
    const { purchase } = await host.referrals.recordPurchase(buyer, { amount: '4', reference: 'over' });
    expect(purchase.noCommission).toBe('limit-reached');
  });

  test('of a purchase that earned nothing, of an unknown one, of wrong input', async () => {
    const nobody = fresh();
    await host.referrals.recordPurchase(nobody, { amount: 10, reference: 'inv' });
    await host.referrals.recordRefund(nobody, { purchase: 'inv', reference: 're' });
    expect(await host.referrals.undoRefund(nobody, { reference: 're' })).toMatchObject({ commission: null });
    const again = await host.referrals.recordRefund(nobody, { purchase: 'inv', reference: 'new' });
    expect(again.refund.amount).toBe('10.00');
    expect(await refusalOf(host.referrals.undoRefund(nobody, { reference: 'none' }))).toBe('NOT_FOUND');
    expect(await refusalOf(host.referrals.undoRefund(nobody, { reference: '' }))).toBe('INVALID_INPUT reference');
    expect(await refusalOf(host.referrals.undoRefund(nobody, { reference: 're', by: '' }))).toBe('INVALID_INPUT by');
  });
});

describe('commissions.adjust', () => {
  const adjust = (user: string, amount: Amount, reference: string, mode?: 'credits' | 'payout') =>
    host.referrals.commissions.adjust(user, { amount, reference, mode, ...staff });
  const earnOutsOf = async (userId: string): Promise<string[]> => {
    const found = await host.referrals.earnOuts.search({ where: { userId } });
    return found.map(({ mode, amount, status }) => `${mode} ${amount} ${status}`);
  };
  const paidOut = async (user: string): Promise<void> => {
    const account = await host.referrals.accounts.of(user);
    await account.update({ mode: 'payout', payoutEmail: `${user}@example.org` });
  };

  test('gives a bonus that the next earn-out pays, also to a user without an account', async () => {
    const user = fresh('partner');
    const adjustment = await adjust(user, '7.5', 'bonus-1');
    expect({ ...adjustment }).toEqual({
      ...{ userId: user, id: expect.any(Number) as number, reference: 'bonus-1', mode: 'credits', amount: '7.50' },
      ...{ reason: 'looks wrong', earnOutId: null, createdAt: host.clock.time },
    });
    expect(await host.referrals.accounts.totals(user)).toMatchObject({
      ...{ creditsEarned: '7.50', totalCreditsEarned: '7.50', payoutsEarned: '0.00' },
    });
    await run();
    expect(await earnOutsOf(user)).toEqual(['credits 7.50 completed']);
    expect(await host.referrals.credits.balance(user)).toBe('7.50');
    const [found] = await host.referrals.adjustments.search({ where: { userId: user } });
    expect(await found!.earnOut()).toMatchObject({ amount: '7.50', commissionCount: 0 });
    expect(await host.referrals.accounts.totals(user)).toMatchObject({ creditsEarned: '0.00' });
    const audited = await host.dataSource.getRepository(ReferralAudit).findOneByOrFail({ userId: user });
    expect(audited).toMatchObject({
      ...{ call: 'commissions.adjust', subject: 'adjustment', by: 'eve', before: null },
      after: { amount: '7.50', mode: 'credits', reference: 'bonus-1' },
    });
  });

  test('is idempotent by user and reference, for good', async () => {
    const [user, other] = [fresh('partner'), fresh('partner')];
    const adjustment = await adjust(user, 5, 'once');
    const before = await everyRow(host);
    for (const mode of [undefined, 'credits'] as const)
      expect(await adjust(user, '5.00', 'once', mode)).toEqual(adjustment);
    for (const [amount, mode] of [[6], [-5], [5, 'payout']] as const)
      expect(await refusalOf(adjust(user, amount, 'once', mode))).toBe('REFERENCE_REUSED');
    expect(await everyRow(host)).toEqual(before);
    await adjust(other, 6, 'once');
    await run();
    expect((await adjust(user, 5, 'once')).earnOutId).not.toBeNull();
    const many = await Promise.all(Array.from({ length: 8 }, () => adjust(user, 3, 'race')));
    expect(new Set(many.map(({ id }) => id)).size).toBe(1);
  });

  test('a deduction is subtracted, and what it exceeds is a debt of later earn-outs', async () => {
    const { referrer, buyer, totals, paid } = await purchased();
    await adjust(referrer, -40, 'fee');
    await run();
    expect(await paid()).toEqual([]);
    expect(await totals()).toMatchObject({ creditsEarned: '-15.00', totalCreditsEarned: '-15.00' });
    await host.referrals.recordPurchase(buyer, { amount: 100, reference: 'next' });
    await run();
    expect(await paid()).toEqual(['10.00 completed']);
    expect(await totals()).toMatchObject({ creditsEarned: '0.00' });
  });

  test('a deduction in one mode is subtracted from the other, and comes back if that fails', async () => {
    const user = fresh('partner');
    await paidOut(user);
    await adjust(user, 20, 'bonus');
    await adjust(user, -5, 'fee', 'credits');
    await run();
    expect(await earnOutsOf(user)).toEqual(['payout 15.00 completed']);
    const [earnOut] = await host.referrals.earnOuts.search({ where: { userId: user } });
    await host.referrals.earnOuts.settle({ key: earnOut!.idempotencyKey, status: 'returned', reason: 'closed' });
    expect(await host.referrals.accounts.totals(user)).toMatchObject({
      payoutsEarned: '20.00',
      creditsEarned: '-5.00',
    });
    await run(100);
    expect((await earnOutsOf(user)).at(-1)).toBe('payout 15.00 completed');
  });

  test('refuses wrong input by its field, before anything is written', async () => {
    const good = { amount: 5, reference: 'x', ...staff };
    const before = await everyRow(host);
    for (const [field, wrong] of [
      ...[0, '0.00', '1.00001', NaN, 'x'].map((amount) => ['amount', { amount }] as const),
      ...['', 7].map((reference) => ['reference', { reference }] as const),
      ...['', null, undefined, 7].map((reason) => ['reason', { reason }] as const),
      ...['cash', 7].map((mode) => ['mode', { mode }] as const),
      ['by', { by: '' }] as const,
    ])
      expect(await refusalOf(host.referrals.commissions.adjust('anybody', { ...good, ...wrong } as never))).toBe(
        `INVALID_INPUT ${field}`,
      );
    expect(await refusalOf(host.referrals.commissions.adjust(null as never, good))).toBe('INVALID_INPUT user');
    expect(await everyRow(host)).toEqual(before);
    expect(await refusalOf(host.referrals.adjustments.create({}))).toBe('NOT_CREATABLE');
  });
});
