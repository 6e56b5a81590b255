import { type Amount, ReferralAudit, ReferralCommissionEntry } from '../lib';
import { closeAll } from './support/host';
import { type EarningsHost, fresh, refer, refusalOf, startEarnings } from './support/earnings';

afterAll(closeAll);

const staff = { by: 'eve', reason: 'checked' };

/** Lets time pass until every account is due, and runs. */
async function run({ clock, referrals }: EarningsHost, approve?: 'all' | 'new-accounts' | 'none'): Promise<void> {
  clock.advanceDays(40);
  await referrals.runEarnOuts({ approve });
}

/** A referrer who has earned 25.00 on a purchase `inv`. */
async function earned(host: EarningsHost, mode: 'credits' | 'payout' = 'credits') {
  const { referrals, dataSource } = host;
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  const account = await referrals.accounts.of(referrer);
  if (mode === 'payout') await account.update({ mode, payoutEmail: `${referrer}@example.org` });
  await refer(host, referrer, buyer);
  const { commission } = await referrals.recordPurchase(buyer, { amount: 100, reference: 'inv' });
  return {
    ...{ referrer, buyer, id: commission!.id },
    buy: (reference: string, amount: Amount = 100) => referrals.recordPurchase(buyer, { amount, reference }),
    refund: (reference: string, amount?: Amount) =>
      referrals.recordRefund(buyer, { purchase: 'inv', reference, amount }),
    balance: () => referrals.credits.balance(referrer),
    totals: () => referrals.accounts.totals(referrer),
    earnOuts: () => referrals.earnOuts.search({ where: { userId: referrer } }),
    taken: async (): Promise<string[]> => {
      const where = { userId: referrer };
      const entries = await dataSource.getRepository(ReferralCommissionEntry).find({ where, order: { id: 'ASC' } });
      return entries.map(({ amount, takenBack }) => `${amount} ${takenBack}`);
    },
  };
}

describe('credit that is taken back', () => {
  let host: EarningsHost;
  beforeAll(async () => {
    host = await startEarnings();
  });
  afterEach(async () => {
    expect((await host.referrals.verify()).problems).toEqual([]);
  });

  test('a refund takes what is unspent, and leaves no debt', async () => {
    const { referrer, refund, buy, balance, totals, taken, earnOuts } = await earned(host);
    await run(host);
    await refund('part', 40);
    expect(await balance()).toBe('15.00');
    expect(await taken()).toEqual(['-10.00 10.00']);
    expect(await totals()).toMatchObject({ creditsEarned: '0.00', totalCreditsEarned: '15.00' });
    const [credit] = await host.referrals.credits.search({ where: { userId: referrer } });
    expect(await credit!.transactions()).toMatchObject([{ kind: 'take-back', value: '-10.00' }]);
    await buy('next');
    await run(host);
    expect((await earnOuts()).map(({ amount }) => amount)).toEqual(['25.00', '25.00']);
  });

  test('what is spent or held is not taken: the rest is a debt', async () => {
    const { referrer, refund, buy, balance, totals, taken, earnOuts } = await earned(host);
    await run(host);
    await host.referrals.credits.spend(referrer, { amount: 8, reference: fresh() });
    const hold = fresh();
    await host.referrals.credits.hold(referrer, { amount: 7, reference: hold });
    await refund('all');
    expect(await balance()).toBe('0.00');
    expect(await taken()).toEqual(['-25.00 10.00']);
    expect(await totals()).toMatchObject({ creditsEarned: '-15.00', totalCreditsEarned: '0.00' });
    await host.referrals.credits.release({ reference: hold });
    expect(await balance()).toBe('7.00');
    await buy('next');
    await run(host);
    expect((await earnOuts()).map(({ amount }) => amount)).toEqual(['25.00', '10.00']);
    expect(await totals()).toMatchObject({ creditsEarned: '0.00' });
  });

  test('a refund that is undone gives the amount to the next earn-out', async () => {
    const { buyer, refund, balance, totals, earnOuts } = await earned(host);
    await run(host);
    await refund('all');
    expect(await balance()).toBe('0.00');
    await host.referrals.undoRefund(buyer, { reference: 'all', ...staff });
    expect(await totals()).toMatchObject({ creditsEarned: '25.00', totalCreditsEarned: '25.00' });
    await run(host);
    expect((await earnOuts()).map(({ amount }) => amount)).toEqual(['25.00', '25.00']);
    expect(await balance()).toBe('25.00');
  });

  test('a rejection of several shares what their credit has left', async () => {
    const { referrer, id, buy, balance, totals, taken } = await earned(host);
    const { commission: second } = await buy('second', 40);
    const { commission: third } = await buy('third', 20);
    await run(host);
    await host.referrals.credits.spend(referrer, { amount: 8, reference: fresh() });
    await host.referrals.commissions.reject([id, second!.id, third!.id], staff);
    expect(await taken()).toEqual(['-25.00 25.00', '-10.00 7.00', '-5.00 0.00']);
    expect(await balance()).toBe('0.00');
    expect(await totals()).toMatchObject({ creditsEarned: '-8.00', totalCreditsEarned: '0.00' });
  });

  test('spends at the same moment share the balance with it', async () => {
    const { referrer, refund, balance, taken, totals } = await earned(host);
    await run(host);
    const spends = Array.from({ length: 10 }, () =>
      refusalOf(host.referrals.credits.spend(referrer, { amount: 4, reference: fresh() })),
    );
    const [, ...results] = await Promise.all([refund('all'), ...spends]);
    const spent = 4 * results.filter((result) => result === 'nothing').length;
    expect(await taken()).toEqual([`-25.00 ${(25 - spent).toFixed(2)}`]);
    expect(await balance()).toBe('0.00');
    expect(Number((await totals()).creditsEarned)).toBe(-spent);
  });

  test.each(['a refund', 'a rejection'])('%s also takes what a hold had that has ended by itself', async (by) => {
    const { referrer, id, refund, balance, totals, taken } = await earned(host);
    await run(host);
    const hold = { amount: 20, reference: fresh(), expiresAt: new Date(host.clock.time.getTime() + 60_000) };
    await host.referrals.credits.hold(referrer, hold);
    host.clock.advanceDays(1);
    expect(await balance()).toBe('25.00');
    await (by === 'a refund' ? refund('all') : host.referrals.commissions.reject(id, staff));
    expect(await balance()).toBe('0.00');
    expect(await taken()).toEqual(['-25.00 25.00']);
    expect(await totals()).toMatchObject({ creditsEarned: '0.00' });
  });

  test('not with takeBackCredit: false, which leaves a debt', async () => {
    const other = await startEarnings({ earnOuts: { takeBackCredit: false } });
    const { id, refund, balance, taken, totals } = await earned(other);
    await run(other);
    await refund('part', 40);
    await other.referrals.commissions.reject(id, staff);
    expect(await balance()).toBe('25.00');
    expect(await taken()).toEqual(['-10.00 0.00', '-15.00 0.00']);
    expect(await totals()).toMatchObject({ creditsEarned: '-25.00' });
    expect((await other.referrals.verify()).problems).toEqual([]);
  });
});

describe('earnOuts.approve', () => {
  let host: EarningsHost;
  const asked: string[] = [];
  beforeAll(async () => {
    host = await startEarnings({
      earnOuts: { approve: 'new-accounts', payout: ({ userId }) => void asked.push(userId) },
    });
  });
  beforeEach(() => {
    asked.length = 0;
  });
  afterEach(async () => {
    expect((await host.referrals.verify()).problems).toEqual([]);
    for (const { id, idempotencyKey } of await waiting()) {
      expect(await refusalOf(host.referrals.earnOuts.retry(id))).toBe('NOT_CHANGEABLE');
      await host.referrals.earnOuts.settle({ key: idempotencyKey, status: 'failed', reason: 'cleaned up' });
    }
  });

  const waiting = (userId?: string) =>
    host.referrals.earnOuts.search({ where: { awaitsApproval: true, ...(userId && { userId }) } });

  test('a payout of a new account waits until it is approved; the next one does not', async () => {
    const { referrer, buy, earnOuts } = await earned(host, 'payout');
    const told: unknown[] = [];
    const listen = (earnOut: unknown): void => void told.push(earnOut);
    host.referrals.on('earnOutAwaitsApproval', listen);
    await run(host);
    expect(asked).toEqual([]);
    const [first] = await waiting(referrer);
    expect(told).toEqual([first]);
    expect(first).toMatchObject({ userId: referrer, status: 'processing', amount: '25.00', nextAttemptAt: null });
    await run(host);
    expect(asked).toEqual([]);
    const approved = await host.referrals.earnOuts.approve(first!.id, staff);
    expect(approved).toMatchObject({ awaitsApproval: false, nextAttemptAt: host.clock.time });
    expect(await host.referrals.earnOuts.approve(first!, staff)).toEqual(approved);
    await host.referrals.runEarnOuts();
    expect(asked).toEqual([referrer]);
    await buy('next');
    await run(host);
    host.referrals.off('earnOutAwaitsApproval', listen);
    expect(asked).toEqual([referrer, referrer]);
    expect(told).toHaveLength(1);
    expect((await earnOuts()).map(({ status }) => status)).toEqual(['completed', 'completed']);
    const audited = await host.dataSource.getRepository(ReferralAudit).findBy({ userId: referrer, by: 'eve' });
    expect(audited).toMatchObject([{ call: 'earnOuts.approve', subjectId: String(first!.id), by: 'eve' }]);
  });

  test('one that is refused goes into a later one, which waits too', async () => {
    const { referrer, earnOuts } = await earned(host, 'payout');
    await run(host);
    const [first] = await waiting(referrer);
    await host.referrals.earnOuts.settle({ key: first!.idempotencyKey, status: 'failed', reason: 'not this one' });
    expect(await refusalOf(host.referrals.earnOuts.approve(first!, staff))).toBe('NOT_CHANGEABLE');
    await run(host);
    expect((await earnOuts()).map(({ status, awaitsApproval }) => [status, awaitsApproval])).toEqual([
      ['failed', false],
      ['processing', true],
    ]);
    expect(asked).not.toContain(referrer);
  });

  test('one that staff reject fails with their reason, and its amount waits for them', async () => {
    const { referrer, earnOuts, totals } = await earned(host, 'payout');
    await run(host);
    const [first] = await waiting(referrer);
    const told: string[] = [];
    const tell = ({ status }: { status: string }): void => void told.push(status);
    host.referrals.on('earnOut', tell);
    const { earnOuts: calls } = host.referrals;
    for (const reason of [undefined, '', 7] as never[])
      expect(await refusalOf(calls.reject(first!, { reason }))).toBe('INVALID_INPUT reason');
    const rejected = await calls.reject(first!, { by: 'eve', reason: 'not this one' });
    expect(rejected).toMatchObject({ status: 'failed', errorReason: 'not this one', awaitsApproval: false });
    expect(rejected.nextAttemptAt).toBeNull();
    expect(await calls.reject(first!, staff)).toEqual(rejected);
    host.referrals.off('earnOut', tell);
    expect(told).toEqual(['failed']);
    expect(await totals()).toMatchObject({ payoutsEarned: '25.00' });
    expect(await refusalOf(calls.approve(first!, staff))).toBe('NOT_CHANGEABLE');
    for (const _ of [1, 2]) await run(host);
    expect(await earnOuts()).toHaveLength(1);
    await calls.retry(first!, staff);
    await host.referrals.runEarnOuts();
    const [again] = await waiting(referrer);
    expect(again).toMatchObject({ amount: '25.00' });
    await calls.approve(again!, staff);
    expect(await refusalOf(calls.reject(again!, staff))).toBe('NOT_CHANGEABLE');
    await host.referrals.runEarnOuts();
    expect(await refusalOf(calls.reject(again!, staff))).toBe('NOT_CHANGEABLE');
    const audited = await host.dataSource.getRepository(ReferralAudit).findBy({ userId: referrer, by: 'eve' });
    expect(audited.map(({ call }) => call)).toEqual(['earnOuts.reject', 'earnOuts.retry', 'earnOuts.approve']);
  });

  test('an approval and a rejection at once: one of the two', async () => {
    for (let round = 0; round < 8; round++) {
      const { referrer, earnOuts } = await earned(host, 'payout');
      await run(host);
      const [first] = await waiting(referrer);
      const calls = [host.referrals.earnOuts.approve(first!, staff), host.referrals.earnOuts.reject(first!, staff)];
      const [approved, rejected] = await Promise.allSettled(round % 2 ? calls : calls.reverse());
      expect([approved!.status, rejected!.status].sort()).toEqual(['fulfilled', 'rejected']);
      await host.referrals.runEarnOuts();
      const [earnOut] = await earnOuts();
      expect(asked.filter((user) => user === referrer)).toHaveLength(earnOut!.status === 'failed' ? 0 : 1);
    }
  });

  test('a run can say which wait; what waits goes on waiting, and credit never waits', async () => {
    const [payee, saver] = [await earned(host, 'payout'), await earned(host)];
    await run(host, 'all');
    expect(await saver.earnOuts()).toMatchObject([{ status: 'completed', awaitsApproval: false }]);
    const late = await earned(host, 'payout');
    await run(host, 'none');
    expect(asked).toContain(late.referrer);
    expect(asked).not.toContain(payee.referrer);
    expect(await payee.earnOuts()).toMatchObject([{ status: 'processing', awaitsApproval: true }]);
    for (const approve of ['some', 7, null] as never[])
      expect(await refusalOf(host.referrals.runEarnOuts({ approve }))).toBe('INVALID_INPUT approve');
  });

  test('one that was paid by hand is settled without an approval', async () => {
    const { referrer, earnOuts } = await earned(host, 'payout');
    await run(host);
    const [first] = await waiting(referrer);
    await host.referrals.earnOuts.settle({ key: first!.idempotencyKey, status: 'completed' });
    expect(await earnOuts()).toMatchObject([{ status: 'completed', awaitsApproval: false }]);
    expect(asked).not.toContain(referrer);
  });
});
