import type { EntityManager } from 'typeorm';
import type { HoldInput, ReferralCreditType } from '../lib';
import { unguarded } from './support/damage';
import { type EarningsHost, expectRefusals, fresh, refusalOf, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
let type: ReferralCreditType;
beforeAll(async () => {
  host = await startEarnings();
  type = await host.referrals.creditTypes.create({ name: 'money', refundable: true });
});

const inMinutes = (minutes: number): Date => new Date(host.clock.time.getTime() + minutes * 60_000);
const advance = (minutes: number): void => {
  host.clock.time = inMinutes(minutes);
};
const isSound = async (): Promise<void> => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
};

async function rich(...amounts: number[]): Promise<string> {
  const user = fresh();
  for (const [day, initialBalance] of amounts.entries())
    await host.referrals.credits.create({ user, creditType: type, initialBalance, durationDays: 10 + day });
  return user;
}

async function held(user: string, amount: number, minutes: number, more: Partial<HoldInput> = {}): Promise<string> {
  const reference = fresh('cart');
  await host.referrals.credits.hold(user, { amount, reference, expiresAt: inMinutes(minutes), ...more });
  return reference;
}

test('ends at its time: balance, spend and hold have it again, and the ledger says when', async () => {
  const { credits, creditTransactions } = host.referrals;
  const user = await rich(5, 5);
  const reference = await held(user, 8, 15);
  const end = inMinutes(15);
  expect(await credits.balance(user)).toBe('2.00');
  expect(await refusalOf(credits.spend(user, { amount: 3, reference: 'too much' }))).toBe('INSUFFICIENT_CREDIT');
  advance(14);
  expect(await credits.balance(user)).toBe('2.00');
  advance(1);
  expect(await credits.balance(user)).toBe('10.00');
  await isSound(); // nothing is written yet
  // The credit that expires first is spent first, although the hold has taken all of it.
  await credits.spend(user, { amount: 4, reference: 'order' });
  expect((await credits.search({ where: { userId: user } })).map(({ currentBalance }) => currentBalance)).toEqual([
    ...['1.00', '5.00'],
  ]);
  const released = await creditTransactions.search({ where: { reference, kind: 'release' } });
  expect(released.map(({ value, createdAt }) => [value, createdAt])).toEqual([
    ['5.00', end],
    ['3.00', end],
  ]);
  await isSound();
});

test('ends at its time for every reader of the balance, and by hand for what it gives back', async () => {
  const { credits, creditTransactions } = host.referrals;
  const user = await rich(5, 5);
  await held(user, 8, 15);
  await held(user, 1, 30);
  const [first, second] = await credits.search({ where: { userId: user } });
  const all = async (): Promise<unknown[]> => {
    const shown = async (): Promise<unknown> => (await first!.refresh()).currentBalance;
    const plain = await credits.get(second!.id, { plain: true, fields: ['currentBalance'] });
    const listed = await credits.list([first!.id, second!.id]);
    return [await credits.balance(user), await shown(), plain, listed.map(({ currentBalance }) => currentBalance)];
  };
  expect(await all()).toEqual(['1.00', '0.00', { currentBalance: '1.00' }, ['0.00', '1.00']]);
  advance(14);
  expect(await all()).toEqual(['1.00', '0.00', { currentBalance: '1.00' }, ['0.00', '1.00']]);
  advance(1);
  expect(await all()).toEqual(['9.00', '5.00', { currentBalance: '4.00' }, ['5.00', '4.00']]);
  await isSound(); // nothing is written yet
  await creditTransactions.create({ credit: first!, value: '-5' });
  expect(await all()).toEqual(['4.00', '0.00', { currentBalance: '4.00' }, ['0.00', '4.00']]);
  advance(15);
  expect((await all())[0]).toBe('5.00');
  expect((await second!.refresh()).toJSON()).toMatchObject({ currentBalance: '5.00' });
  await isSound();
});

test('what it gives back is in the result of a repeated credits.create', async () => {
  const { credits } = host.referrals;
  const input = { user: fresh(), creditType: type, initialBalance: 5, durationDays: 30, reference: fresh('gift') };
  expect(await credits.create(input)).toMatchObject({ currentBalance: '5.00' });
  await held(input.user, 2, 15);
  expect(await credits.create(input)).toMatchObject({ currentBalance: '3.00' });
  advance(15);
  expect(await credits.create(input)).toMatchObject({ currentBalance: '5.00' });
  await isSound();
});

test('a capture afterwards is refused, a release changes nothing and says so', async () => {
  const { credits } = host.referrals;
  for (const isWritten of [false, true]) {
    const user = await rich(5);
    const reference = await held(user, 3, 15);
    advance(15);
    if (isWritten) await credits.spend(user, { amount: 5, reference: 'order' });
    expect(await refusalOf(credits.capture({ reference }))).toBe('HOLD_EXPIRED');
    expect(await refusalOf(credits.capture({ reference, amount: 9 }))).toBe('HOLD_EXPIRED');
    const released = await credits.release({ reference });
    expect(released).toMatchObject({ captured: '0.00', isExpired: true });
    expect(released.capturedAt).toEqual(released.expiresAt);
    expect(await credits.refund({ reference })).toMatchObject({ refunded: '0.00' });
    // The same hold again is the one that has ended.
    const again = await credits.hold(user, { amount: 3, reference, expiresAt: inMinutes(60) });
    expect(again).toMatchObject({ captured: '0.00', isExpired: true });
    expect(await credits.balance(user)).toBe(isWritten ? '0.00' : '5.00');
    await isSound();
  }
});

test('captured or released in time, it stays so', async () => {
  const { credits } = host.referrals;
  const user = await rich(10);
  const [captured, released] = [await held(user, 3, 15), await held(user, 4, 15)];
  advance(14);
  await credits.capture({ reference: captured, amount: 2 });
  await credits.release({ reference: released });
  advance(10);
  expect(await credits.capture({ reference: captured, amount: 2 })).toMatchObject({
    captured: '2.00',
    isExpired: false,
  });
  expect(await credits.release({ reference: released })).toMatchObject({ captured: '0.00', isExpired: false });
  expect(await refusalOf(credits.capture({ reference: released }))).toBe('WRONG_STATE');
  expect(await credits.balance(user)).toBe('8.00');
  await isSound();
});

test('what it held ends with its credit, and is for the purposes of its credit', async () => {
  const { credits, creditTypes } = host.referrals;
  const user = await rich(5);
  const only = await creditTypes.create({ name: 'only vps', onlyForProducts: ['vps'] });
  await credits.create({ user, creditType: only, initialBalance: 7, durationDays: 20 });
  await held(user, 12, 15, { product: 'vps' });
  advance(15);
  expect(await credits.balance(user)).toBe('12.00');
  expect(await credits.balance(user, { product: 'vps' })).toBe('12.00');
  expect(await credits.balance(user, { product: 'dns' })).toBe('5.00');
  host.clock.advanceDays(10);
  expect(await credits.balance(user)).toBe('7.00');
  expect(await refusalOf(credits.spend(user, { amount: 1, reference: 'dns', product: 'dns' }))).toBe(
    'INSUFFICIENT_CREDIT',
  );
  await credits.spend(user, { amount: 7, reference: 'vps', product: 'vps' });
  await isSound();
});

test('the end is checked, and only holds have one; a hold without one never ends', async () => {
  const { credits } = host.referrals;
  const user = await rich(5);
  const reference = fresh('cart');
  await expectRefusals(
    host,
    [
      ...[host.clock.time, inMinutes(-1), new Date(NaN), '2030-01-01', 5].map(
        (expiresAt) => ['expiresAt', { expiresAt }] as const,
      ),
    ],
    (input, options) => credits.hold(user, { amount: 1, reference, ...input, ...options } as never),
  );
  await expectRefusals(host, [['expiresAt', { expiresAt: inMinutes(5) }]], (input, options) =>
    credits.spend(user, { amount: 1, reference, ...input, ...options }),
  );
  await credits.hold(user, { amount: 1, reference, expiresAt: null });
  host.clock.advanceDays(5);
  expect(await credits.capture({ reference })).toMatchObject({ captured: '1.00', expiresAt: null, isExpired: false });
});

test('capture, spend and expiry at once: each hold is captured or spent again, never both', async () => {
  const { credits } = host.referrals;
  const user = await rich(20);
  const references: string[] = [];
  for (let n = 0; n < 20; n++) references.push(await held(user, 1, 15));
  const end = inMinutes(15).getTime();
  // Some calls have a time before the end, some after it.
  let turn = 0;
  const now = host.clock.time;
  const read = host.clock.read;
  const answers = await (async () => {
    Object.defineProperty(host.clock, 'time', {
      get: () => new Date(end + (turn++ % 2 === 0 ? -1 : 1)),
      configurable: true,
    });
    void read;
    const within = (work: (manager: EntityManager) => Promise<unknown>) => host.dataSource.transaction(work);
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
    return Promise.all(
      references.flatMap((reference, n) => [
        outcome(
          n % 2 === 0 ? credits.capture({ reference }) : within((manager) => credits.capture({ reference, manager })),
        ),
        outcome(credits.spend(user, { amount: 1, reference: `spend ${n}` })),
      ]),
    );
  })();
  Object.defineProperty(host.clock, 'time', { value: new Date(end + 1), writable: true, configurable: true });
  expect(now.getTime()).toBeLessThan(end);
  const captured = answers.filter((_, n) => n % 2 === 0);
  const spent = answers.filter((_, n) => n % 2 === 1);
  expect(new Set(captured)).not.toContain('INVALID_INPUT');
  const count = (list: string[]): number => list.filter((one) => one === 'done').length;
  expect(await credits.balance(user)).toBe(`${20 - count(captured) - count(spent)}.00`);
  expect(count(captured) + count(spent)).toBeLessThanOrEqual(20);
  await isSound();
});

test('verify finds a hold that is captured after its end, released at another time, or has an end and is a spend', async () => {
  const { credits } = host.referrals;
  const user = await rich(5);
  const reference = await held(user, 3, 15);
  advance(15);
  await credits.release({ reference });
  await credits.spend(user, { amount: 1, reference: 'order' });
  await isSound();
  const name = 'a hold is not captured after its end, and is released at it';
  await unguarded(host, async (manager) => {
    for (const [set, where] of [
      [`captured_at = captured_at + interval '1 minute'`, reference],
      [`captured = 1`, reference],
      [`expires_at = created_at`, reference],
      [`expires_at = created_at + interval '1 minute'`, 'order'],
    ] as const) {
      const undone = new Error('undone');
      const damaged = manager.transaction(async (within) => {
        await within.query(
          `UPDATE ${host.schema}.referral_credit_spends SET ${set} WHERE user_id = '${user}' AND reference = '${where}'`,
        );
        const { problems } = await host.referrals.verify({ manager: within });
        expect(problems.map(({ invariant }) => invariant)).toContain(name);
        throw undone;
      });
      await expect(damaged).rejects.toBe(undone);
    }
  });
});
