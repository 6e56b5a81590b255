import { Referral, type ReferralCreditType, type SpendInput } from '../lib';
import { closeAll } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
let anything: ReferralCreditType;
let users = 0;
beforeAll(async () => {
  host = await startRewards();
  anything = await host.referrals.creditTypes.create({ name: 'anything', refundable: true });
});

/** A new user with such credits: an amount, for so many days, of a type. */
async function userWith(...credits: [amount: string, days: number, type?: ReferralCreditType][]): Promise<string> {
  const user = `user ${++users}`;
  for (const [initialBalance, durationDays, creditType = anything] of credits)
    await host.referrals.credits.create({ user, creditType, initialBalance, durationDays });
  return user;
}
/** What is left of each credit, in the order that they were given. */
async function left(userId: string): Promise<string[]> {
  return (await host.referrals.credits.search({ where: { userId } })).map(({ currentBalance }) => currentBalance);
}
const entries = async (userId: string): Promise<string[]> =>
  (await host.referrals.creditTransactions.search({ where: { userId } })).map(({ kind, value }) => `${kind} ${value}`);

describe('spend', () => {
  test('soonest to expire first, over several', async () => {
    const user = await userWith(['10', 30], ['5', 10], ['7.5', 20]);
    const spend = await host.referrals.credits.spend(user, { amount: '13', reference: 'a', description: 'May' });
    expect(spend).toMatchObject({
      ...{ userId: user, reference: 'a', kind: 'spend', amount: '13.00', covered: '13.00', captured: '13.00' },
      ...{ refunded: null, description: 'May', createdAt: host.clock.time },
    });
    expect(await left(user)).toEqual(['9.50', '0.00', '0.00']);
    const [first] = await host.referrals.creditTransactions.search({ where: { userId: user } });
    expect(first).toMatchObject({ kind: 'spend', reference: 'a', description: 'May', createdAt: host.clock.time });
    expect((await entries(user)).sort()).toEqual(['spend -0.50', 'spend -5.00', 'spend -7.50']);
    expect(host.told.at(-1)).toBe(`spent ${user} 13.00`);
  });

  test('never more than there is: all or nothing, unless partial', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 30], ['5', 10]);
    await expect(credits.spend(user, { amount: '15.0001', reference: 'a' })).rejects.toMatchObject({
      ...{ code: 'INSUFFICIENT_CREDIT', status: 402, message: expect.stringMatching(/15\.00 .*15\.0001/) },
    });
    expect(await entries(user)).toEqual([]);
    const some = await credits.spend(user, { amount: '20', reference: 'a', partial: true });
    expect(some).toMatchObject({ amount: '20.00', covered: '15.00' });
    const none = await credits.spend(user, { amount: '20', reference: 'b', partial: true });
    expect(none).toMatchObject({ amount: '20.00', covered: '0.00' });
    expect(await left(user)).toEqual(['0.00', '0.00']);
    expect(host.told.filter((event) => event.startsWith(`spent ${user}`))).toEqual([`spent ${user} 15.00`]);
  });

  test('the same again answers the first; another amount, or a hold, is an error', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 30]);
    const first = await credits.spend(user, { amount: '4', reference: 'a' });
    expect(await credits.spend(user, { amount: 4, reference: 'a' })).toEqual(first);
    const reused = { code: 'REFERENCE_REUSED', status: 409 };
    await expect(credits.spend(user, { amount: '5', reference: 'a' })).rejects.toMatchObject(reused);
    await expect(credits.hold(user, { amount: '4', reference: 'a' })).rejects.toMatchObject(reused);
    await userWith(['10', 30]);
    expect(await left(user)).toEqual(['6.00']);
  });

  test('an insufficient one leaves its reference free', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['1', 30]);
    await expect(credits.spend(user, { amount: '4', reference: 'a' })).rejects.toThrow('1.00');
    await credits.create({ user, creditType: anything, initialBalance: '3', durationDays: 5 });
    expect(await credits.spend(user, { amount: '4', reference: 'a' })).toMatchObject({ covered: '4.00' });
  });

  test('only what covers the product or its category', async () => {
    const { credits, creditTypes } = host.referrals;
    const ofProducts = await creditTypes.create({ name: 'm1 and m2', onlyForProducts: ['m1', 'm2'] });
    const ofCategories = await creditTypes.create({ name: 'instances', onlyForProductCategories: ['instances'] });
    const user = await userWith(['1', 30], ['10', 20, ofProducts], ['100', 10, ofCategories]);
    const of = (purpose: Pick<SpendInput, 'product' | 'productCategory'>) => credits.balance(user, purpose);
    expect(await credits.balance(user)).toBe('111.00');
    expect(await of({ product: 'm1' })).toBe('11.00');
    expect(await of({ product: 'm3' })).toBe('1.00');
    expect(await of({ productCategory: 'instances' })).toBe('101.00');
    expect(await of({ product: 'm2', productCategory: 'instances' })).toBe('111.00');
    expect(await of({ product: 'instances', productCategory: 'm1' })).toBe('1.00');
    await expect(credits.spend(user, { amount: '2', reference: 'a' })).rejects.toThrow('has 1.00 of credit for this');
    await credits.spend(user, { amount: '102', reference: 'b', product: 'm1', productCategory: 'instances' });
    expect(await left(user)).toEqual(['1.00', '8.00', '0.00']);
    await credits.spend(user, { amount: '9', reference: 'c', product: 'm2' });
    expect(await left(user)).toEqual(['0.00', '0.00', '0.00']);
  });

  test('not what has expired or has not begun; both stay on record', async () => {
    const { credits } = host.referrals;
    const { clock } = host;
    const user = await userWith(['10', 1], ['5', 2]);
    const startDate = new Date(clock.time.getTime() + 36 * 3_600_000);
    await credits.create({ user, creditType: anything, initialBalance: '3', startDate, durationDays: 9 });
    expect(await credits.balance(user)).toBe('15.00');
    clock.advanceDays(1); // to the very moment
    expect(await credits.balance(user)).toBe('5.00');
    await expect(credits.spend(user, { amount: '6', reference: 'a' })).rejects.toThrow('5.00');
    clock.advanceDays(0.5);
    expect(await credits.balance(user)).toBe('8.00');
    await credits.spend(user, { amount: '8', reference: 'a' });
    const all = await credits.search({ where: { userId: user } });
    expect(all.map(({ currentBalance, isExpired }) => [currentBalance, isExpired])).toEqual([
      ...[
        ['10.00', true],
        ['0.00', false],
        ['0.00', false],
      ],
    ]);
    expect(all[0]!.toJSON()).toMatchObject({ isExpired: true, currentBalance: '10.00' });
  });

  test('fifty at once on the last of it: exactly what there is, over several credits', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10], ['10', 20], ['5', 30]);
    const calls = Array.from({ length: 50 }, (_, n) => credits.spend(user, { amount: '1', reference: `n ${n}` }));
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(25);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'INSUFFICIENT_CREDIT' });
    expect(await left(user)).toEqual(['0.00', '0.00', '0.00']);
  });

  test('fifty at once, partial, of uneven amounts: all of it and no more', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10.5', 10], ['9.25', 20], ['5.0001', 30]);
    const calls = Array.from({ length: 50 }, (_, n) =>
      credits.spend(user, { amount: '0.7', reference: `n ${n}`, partial: true }),
    );
    const covered = (await Promise.all(calls)).map((spend) => Number(spend.covered) * 10_000);
    expect(Math.round(covered.reduce((sum, one) => sum + one))).toBe(247_501);
    expect(await left(user)).toEqual(['0.00', '0.00', '0.00']);
  });

  test('fifty at once with one reference are one', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10]);
    const calls = Array.from({ length: 50 }, () => credits.spend(user, { amount: '4', reference: 'one' }));
    expect(new Set((await Promise.all(calls)).map((spend) => JSON.stringify(spend))).size).toBe(1);
    expect(await left(user)).toEqual(['6.00']);
  });

  test('within the host’s transactions: rolled back with them, and no deadlock between them', async () => {
    const { referrals, dataSource, told } = host;
    const user = await userWith(['10', 10], ['10', 20]);
    const before = told.length;
    const rolledBack = dataSource.transaction(async (manager) => {
      await referrals.credits.spend(user, { amount: '15', reference: 'a', manager });
      expect(await referrals.credits.balance(user, { manager })).toBe('5.00');
      await expect(referrals.credits.spend(user, { amount: '6', reference: 'b', manager })).rejects.toThrow('5.00');
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    expect(told.slice(before)).toEqual([]);
    const calls = Array.from({ length: 10 }, (_, n) =>
      dataSource.transaction(async (manager) => {
        await referrals.credits.spend(user, { amount: '1', reference: `x ${n}`, manager });
        await referrals.credits.spend(user, { amount: '1', reference: `y ${n}`, manager });
      }),
    );
    await Promise.all(calls);
    expect(await left(user)).toEqual(['0.00', '0.00']);
    expect(told.slice(before)).toHaveLength(20);
  });

  test.each<[string, unknown]>([
    ['amount', '0'],
    ['amount', '-1'],
    ['amount', NaN],
    ['amount', '0.00001'],
    ['reference', ''],
    ['reference', undefined],
    ['description', 'x'.repeat(501)],
    ['product', ''],
    ['productCategory', 7],
    ['partial', 'yes'],
    ['prodcut', 'm1'],
  ])('%s %p is refused, and nothing written', async (field, value) => {
    const user = await userWith(['10', 10]);
    for (const how of ['spend', 'hold'] as const) {
      const call = host.referrals.credits[how](user, { amount: '1', reference: 'a', [field]: value });
      await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', status: 400, field });
    }
    expect(await left(user)).toEqual(['10.00']);
  });
});

describe('hold', () => {
  test('is captured', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10], ['5', 20]);
    const held = await credits.hold(user, { amount: '12', reference: `${user} a` });
    expect(held).toMatchObject({ kind: 'hold', covered: '12.00', captured: null });
    expect(await credits.balance(user)).toBe('3.00');
    expect(host.told.at(-1)).not.toBe(`spent ${user} 12.00`);
    const captured = await credits.capture({ reference: `${user} a` });
    expect(captured).toMatchObject({ captured: '12.00' });
    expect(host.told.at(-1)).toBe(`spent ${user} 12.00`);
    expect(await credits.capture({ reference: `${user} a`, amount: 12 })).toEqual(captured);
    expect(host.told.filter((event) => event === `spent ${user} 12.00`)).toHaveLength(1);
    expect(await left(user)).toEqual(['0.00', '3.00']);
  });

  test('is captured for less: what expires last goes back first', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10], ['5', 20]);
    await credits.hold(user, { amount: '15', reference: 'a' });
    expect(await credits.capture({ user, reference: 'a', amount: '6.5' })).toMatchObject({ captured: '6.50' });
    expect(await left(user)).toEqual(['3.50', '5.00']);
    await expect(credits.capture({ user, reference: 'a', amount: '7' })).rejects.toMatchObject({ code: 'WRONG_STATE' });
    await expect(credits.release({ user, reference: 'a' })).rejects.toThrow(/captured for 6\.50.*refund/);
  });

  test('is released, also after its credit expired', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 1], ['5', 20]);
    await credits.hold(user, { amount: '12', reference: 'a' });
    host.clock.advanceDays(2);
    const released = await credits.release({ user, reference: 'a' });
    expect(released).toMatchObject({ captured: '0.00' });
    expect(await credits.release({ user, reference: 'a' })).toEqual(released);
    expect(await left(user)).toEqual(['10.00', '5.00']);
    expect(await credits.balance(user)).toBe('5.00');
    await expect(credits.capture({ user, reference: 'a' })).rejects.toMatchObject({ code: 'WRONG_STATE' });
  });

  test('is captured after its credit expired: it was reserved', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 1]);
    await credits.hold(user, { amount: '10', reference: 'a' });
    host.clock.advanceDays(2);
    expect(await credits.capture({ user, reference: 'a' })).toMatchObject({ captured: '10.00' });
  });

  test('captured, released and captured for less by thirty at once: one of them decides', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10], ['5', 20]);
    await credits.hold(user, { amount: '15', reference: 'a' });
    const calls = Array.from({ length: 30 }, (_, n) =>
      n % 3 === 0
        ? credits.release({ user, reference: 'a' })
        : credits.capture({ user, reference: 'a', amount: n % 3 === 1 ? 15 : 4 }),
    );
    const results = await Promise.allSettled(calls);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'WRONG_STATE' });
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });

  test.each([
    ['capture', 'is spent already'],
    ['release', 'is spent'],
  ] as const)('%s of what was spent', async (how, sentence) => {
    const user = await userWith(['10', 10]);
    await host.referrals.credits.spend(user, { amount: '3', reference: 'a' });
    const call = host.referrals.credits[how]({ user, reference: 'a' });
    await expect(call).rejects.toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining(sentence) });
  });

  test('more than is held is refused', async () => {
    const user = await userWith(['10', 10]);
    await host.referrals.credits.hold(user, { amount: '3', reference: 'a' });
    const call = host.referrals.credits.capture({ user, reference: 'a', amount: '3.0001' });
    await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'amount' });
    expect(await host.referrals.credits.capture({ user, reference: 'a' })).toMatchObject({ captured: '3.00' });
  });
});

describe('refund', () => {
  test('puts it back where it came from, of refundable types, as new entries, once', async () => {
    const { credits, creditTypes } = host.referrals;
    const forGood = await creditTypes.create({ name: 'for good' });
    const user = await userWith(['10', 10], ['5', 20, forGood], ['5', 30]);
    await credits.spend(user, { amount: '18', reference: `${user} a`, description: 'May' });
    const calls = Array.from({ length: 10 }, () => credits.refund({ reference: `${user} a` }));
    const [first, ...rest] = await Promise.all(calls);
    expect(first).toMatchObject({ captured: '18.00', refunded: '13.00' });
    for (const again of rest) expect(again).toEqual(first);
    expect(await left(user)).toEqual(['10.00', '0.00', '5.00']);
    expect((await entries(user)).filter((entry) => entry.startsWith('refund')).sort()).toEqual([
      ...['refund 10.00', 'refund 3.00'],
    ]);
    expect(await credits.spend(user, { amount: '18', reference: `${user} a` })).toEqual(first); // the first answer
  });

  test('of what was captured of a hold; not of what is still held', async () => {
    const { credits } = host.referrals;
    const user = await userWith(['10', 10], ['5', 20]);
    await credits.hold(user, { amount: '15', reference: 'a' });
    await expect(credits.refund({ user, reference: 'a' })).rejects.toMatchObject({
      ...{ code: 'WRONG_STATE', message: expect.stringContaining('credits.release') },
    });
    await credits.capture({ user, reference: 'a', amount: '12' });
    expect(await credits.refund({ user, reference: 'a' })).toMatchObject({ captured: '12.00', refunded: '12.00' });
    expect(await left(user)).toEqual(['10.00', '5.00']);
  });

  test('of a reference that nobody, or more than one user, has', async () => {
    const { credits } = host.referrals;
    const [one, two] = [await userWith(['10', 10]), await userWith(['10', 10])];
    for (const user of [one, two]) await credits.spend(user, { amount: '1', reference: 'shared' });
    await expect(credits.refund({ reference: 'shared' })).rejects.toMatchObject({ code: 'AMBIGUOUS', status: 409 });
    await expect(credits.refund({ reference: 'nothing' })).rejects.toMatchObject({ code: 'NOT_FOUND', status: 404 });
    await expect(credits.refund({ reference: 'nothing', user: one })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await credits.refund({ reference: 'shared', user: one });
    expect([await left(one), await left(two)]).toEqual([['10.00'], ['9.00']]);
  });
});

test('a user with very many credits locks only as many as are enough', async () => {
  const { referrals, dataSource } = host;
  const user = await userWith(['1', 1], ['1', 2], ['1', 3]);
  let finish = (): void => undefined;
  const holding = new Promise<void>((resolve) => (finish = resolve));
  let locked = (): void => undefined;
  const isLocked = new Promise<void>((resolve) => (locked = resolve));
  const transaction = dataSource.transaction(async (manager) => {
    await referrals.credits.spend(user, { amount: '0.5', reference: 'first', manager });
    locked();
    await holding;
  });
  await isLocked;
  const [, , third] = await referrals.credits.search({ where: { userId: user } });
  await referrals.creditTransactions.create({ credit: third!, value: '1' }); // does not wait for the first
  finish();
  await transaction;
  expect(await left(user)).toEqual(['0.50', '1.00', '2.00']);
});

test('amounts are shown with 2 to 4 decimals, and are exact', async () => {
  const { credits } = host.referrals;
  const user = await userWith(['0.1', 10], ['0.2', 20], ['9999999999999999.9999', 30], ['0.123', 40]);
  expect(await left(user)).toEqual(['0.10', '0.20', '9999999999999999.9999', '0.123']);
  expect(await credits.balance(user)).toBe('10000000000000000.4229');
  await credits.spend(user, { amount: '0.30', reference: 'a' });
  expect(await credits.balance(user)).toBe('10000000000000000.1229');
});

test('works for any way to name a user', async () => {
  const { referrals } = host;
  for (const user of [12345, 12345n, '12345', { id: 12345n }, { id: '12345' }])
    expect(await referrals.credits.balance(user)).toBe('0.00');
  await referrals.credits.create({ user: 12345, creditType: anything, initialBalance: 1, durationDays: 1 });
  expect(await referrals.credits.balance({ id: '12345' })).toBe('1.00');
  expect(await Referral.create({ user: 12345, redirectTo: '/' })).toMatchObject({ userId: '12345', allowedUses: -1 });
});

test('and all of it adds up', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
