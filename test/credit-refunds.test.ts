import type { EntityManager } from 'typeorm';
import type { ReferralCreditType } from '../lib';
import { type EarningsHost, expectRefusals, fresh, refusalOf, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
let type: ReferralCreditType;
let gift: ReferralCreditType;
beforeAll(async () => {
  host = await startEarnings();
  type = await host.referrals.creditTypes.create({ name: 'money back', refundable: true });
  gift = await host.referrals.creditTypes.create({ name: 'gift' });
});

/** Gives a user credits of these amounts, each to expire a day after the one before. */
async function rich(amounts: readonly (readonly [amount: number, type: ReferralCreditType])[]): Promise<string> {
  const user = fresh();
  for (const [day, [initialBalance, creditType]] of amounts.entries())
    await host.referrals.credits.create({ user, creditType, initialBalance, durationDays: 10 + day });
  return user;
}

const balances = async (user: string): Promise<string[]> =>
  (await host.referrals.credits.search({ where: { userId: user } })).map(({ currentBalance }) => currentBalance);
const isSound = async (): Promise<void> => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
};

describe('a refund of a part', () => {
  test('goes to the credits that were used last, to none more than it gave', async () => {
    const { credits } = host.referrals;
    const user = await rich([
      [5, type],
      [3, type],
      [10, type],
    ]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 12, reference }); // 5, 3, 4
    const part = await credits.refund({ reference, amount: '1.50' });
    expect(part).toMatchObject({ captured: '12.00', refunded: '1.50' });
    expect(part.expired).toBeUndefined();
    expect(await balances(user)).toEqual(['0.00', '0.00', '7.50']);
    expect(await credits.refund({ reference, amount: '4' })).toMatchObject({ refunded: '5.50' });
    expect(await balances(user)).toEqual(['0.00', '1.50', '10.00']);
    expect(await credits.refund({ reference })).toMatchObject({ refunded: '12.00' });
    expect(await balances(user)).toEqual(['5.00', '3.00', '10.00']);
    expect(await credits.refund({ reference })).toMatchObject({ refunded: '12.00' });
    await isSound();
  });

  test('is made once for each reference, which by default is the amount', async () => {
    const { credits } = host.referrals;
    const user = await rich([[20, type]]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 10, reference });
    for (const amount of ['3', 3, '3.00', '+3.0000'])
      expect(await credits.refund({ reference, amount })).toMatchObject({ refunded: '3.00' });
    for (const _ of [1, 2])
      expect(await credits.refund({ reference, amount: 3, refundReference: 'the second' })).toMatchObject({
        refunded: '6.00',
      });
    expect(await credits.refund({ reference, refundReference: 'the second' })).toMatchObject({ refunded: '6.00' });
    const other = credits.refund({ reference, amount: 2, refundReference: 'the second' });
    expect(await refusalOf(other)).toBe('REFERENCE_REUSED');
    expect(await refusalOf(credits.refund({ reference, amount: '4.0001' }))).toBe('INVALID_INPUT amount');
    await credits.refund({ reference, refundReference: 'the rest' });
    expect(await refusalOf(credits.refund({ reference, amount: 1 }))).toBe('NOTHING_TO_REFUND');
    expect(await balances(user)).toEqual(['20.00']);
    await isSound();
  });

  test('leaves credit of types that are not refundable spent', async () => {
    const { credits } = host.referrals;
    const user = await rich([
      [6, type],
      [4, gift],
    ]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 10, reference });
    expect(await credits.refund({ reference, amount: 5 })).toMatchObject({ refunded: '5.00' });
    expect(await credits.refund({ reference, amount: '4.5' })).toMatchObject({ refunded: '6.00' });
    expect(await balances(user)).toEqual(['6.00', '0.00']);
    await isSound();
  });

  test('of a hold is of what was captured', async () => {
    const { credits } = host.referrals;
    const user = await rich([
      [5, type],
      [5, type],
    ]);
    const reference = fresh('order');
    await credits.hold(user, { amount: 8, reference });
    expect(await refusalOf(credits.refund({ reference, amount: 1 }))).toBe('WRONG_STATE');
    await credits.capture({ reference, amount: 6 });
    expect(await refusalOf(credits.refund({ reference, amount: 7 }))).toBe('INVALID_INPUT amount');
    await credits.refund({ reference, amount: 2 });
    expect(await balances(user)).toEqual(['1.00', '5.00']);
    await isSound();
  });

  test('many at once never give back more than was spent', async () => {
    const { credits } = host.referrals;
    const user = await rich([
      [30, type],
      [30, type],
    ]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 50, reference });
    const refunds = Array.from({ length: 40 }, (_, n) => {
      const run = (manager?: EntityManager) =>
        credits.refund({ reference, amount: 3, refundReference: `part ${n % 20}`, ...(manager && { manager }) });
      return (n % 3 === 0 ? host.dataSource.transaction(run) : run()).then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
    });
    const answers = await Promise.all(refunds);
    expect(new Set(answers)).toEqual(new Set(['done', 'INVALID_INPUT']));
    expect((await credits.refund({ reference, amount: 2 })).refunded).toBe('50.00');
    expect(await balances(user)).toEqual(['30.00', '30.00']);
    await isSound();
  });

  test('wrong input is refused', async () => {
    const { credits } = host.referrals;
    const user = await rich([[5, type]]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 5, reference });
    const wrong: [string, object][] = [
      ...[0, '-1', 'x', NaN, 5.5].map((amount): [string, object] => ['amount', { amount }]),
      ...['', 5, 'x'.repeat(256)].map((refundReference): [string, object] => ['refundReference', { refundReference }]),
      ...[0, 1.5, '3', 36_501].map((extendDays): [string, object] => ['extendDays', { extendDays }]),
      ['by', { by: '' }],
    ];
    await expectRefusals(host, wrong, (input, options) => credits.refund({ reference, ...input, ...options }));
  });
});

describe('a refund into credit that has run out', () => {
  test('says how much that is, and goes on saying so', async () => {
    const { credits } = host.referrals;
    const user = await rich([
      [5, type],
      [5, type],
    ]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 8, reference });
    host.clock.advanceDays(10);
    expect(await credits.refund({ reference, amount: 2 })).toMatchObject({ refunded: '2.00' });
    expect(await credits.refund({ reference, amount: 4 })).toMatchObject({ refunded: '6.00', expired: '3.00' });
    expect(await credits.refund({ reference, amount: 4 })).toMatchObject({ refunded: '6.00', expired: '3.00' });
    expect(await credits.balance(user)).toBe('5.00');
    await isSound();
  });

  test('gives it time with extendDays, which the audit keeps', async () => {
    const { credits, audit } = host.referrals;
    const user = await rich([
      [5, type],
      [5, type],
    ]);
    const reference = fresh('order');
    await credits.spend(user, { amount: 8, reference });
    host.clock.advanceDays(10);
    const before = await credits.search({ where: { userId: user } });
    const refund = { reference, extendDays: 3, by: 'staff-7', reason: 'late delivery' };
    for (const _ of [1, 2]) expect(await credits.refund(refund)).toMatchObject({ refunded: '8.00' });
    expect(await credits.balance(user)).toBe('10.00');
    const end = new Date(host.clock.time.getTime() + 3 * 86_400_000);
    const after = await credits.search({ where: { userId: user } });
    expect(after.map(({ expiryDate }) => expiryDate)).toEqual([end, end]);
    expect(await audit.search({ where: { userId: user, call: 'credits.refund' } })).toMatchObject(
      before
        .map(({ id, expiryDate }) => ({
          ...{ call: 'credits.refund', subject: 'credit', subjectId: `${id}`, by: 'staff-7', reason: 'late delivery' },
          ...{ before: { expiryDate: expiryDate.toJSON() }, after: { expiryDate: end.toJSON() } },
        }))
        .slice(0, 2),
    );
    // Credit that lasts longer keeps its end.
    const longer = fresh();
    await credits.create({ user: longer, creditType: type, initialBalance: 5, durationDays: 100 });
    const [kept] = await credits.search({ where: { userId: longer } });
    await credits.spend(longer, { amount: 1, reference });
    await credits.refund({ user: longer, ...refund });
    expect((await kept!.refresh()).expiryDate).toEqual(kept!.expiryDate);
    expect(await audit.search({ where: { userId: longer, call: 'credits.refund' } })).toEqual([]);
    await isSound();
  });
});
