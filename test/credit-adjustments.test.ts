import { type EarningsHost, expectRefusals, fresh, refusalOf, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
let creditType: number;
beforeAll(async () => {
  host = await startEarnings();
  creditType = (await host.referrals.creditTypes.create({ name: 'money' })).id;
});

async function rich(...amounts: number[]): Promise<string> {
  const user = fresh();
  for (const [day, initialBalance] of amounts.entries())
    await host.referrals.credits.create({ user, creditType, initialBalance, durationDays: 10 + day });
  return user;
}

const balances = async (user: string): Promise<string[]> =>
  (await host.referrals.credits.search({ where: { userId: user } })).map(({ currentBalance }) => currentBalance);
const isSound = async (): Promise<void> => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
};
const why = { reason: 'billed twice', by: 'staff-3' };

test('below 0 takes from what expires first, above 0 adds to what expires last; once for each reference', async () => {
  const { credits, audit } = host.referrals;
  const user = await rich(5, 7, 9);
  for (const _ of [1, 2]) {
    const entries = await credits.adjust(user, { amount: '-8', reference: 'one', ...why });
    expect(entries.map(({ kind, value, description }) => [kind, value, description])).toEqual([
      ['adjustment', '-5.00', 'billed twice'],
      ['adjustment', '-3.00', 'billed twice'],
    ]);
  }
  await credits.adjust({ id: user }, { amount: 2, reference: 'two', ...why });
  expect(await balances(user)).toEqual(['0.00', '4.00', '11.00']);
  expect(await audit.search({ where: { userId: user, call: 'credits.adjust' } })).toMatchObject([
    { call: 'credits.adjust', before: { currentBalance: '5.00' }, after: { currentBalance: '0.00' }, ...why },
    { before: { currentBalance: '7.00' }, after: { currentBalance: '4.00' } },
    { before: { currentBalance: '9.00' }, after: { currentBalance: '11.00' } },
  ]);
  expect(await refusalOf(credits.adjust(user, { amount: '-9', reference: 'one', ...why }))).toBe('REFERENCE_REUSED');
  expect(await refusalOf(credits.adjust(user, { amount: '-15.01', reference: 'all', ...why }))).toBe(
    'INVALID_INPUT amount',
  );
  await credits.adjust(user, { amount: '-15', reference: 'all', ...why });
  expect(await credits.balance(user)).toBe('0.00');
  await isSound();
});

test('of one credit changes that alone, also if it has run out', async () => {
  const { credits } = host.referrals;
  const user = await rich(5, 7);
  const [, second] = await credits.search({ where: { userId: user } });
  await credits.adjust(second!, { amount: '-2', reference: 'one', ...why });
  expect(await refusalOf(credits.adjust(user, { amount: '-2', reference: 'one', ...why }))).toBe('nothing');
  host.clock.advanceDays(20);
  await credits.adjust(second!, { amount: '3', reference: 'two', ...why });
  expect(await balances(user)).toEqual(['5.00', '8.00']);
  expect(await refusalOf(credits.adjust(user, { amount: 1, reference: 'three', ...why }))).toBe('INVALID_INPUT user');
  expect(await refusalOf(credits.adjust(fresh(), { amount: 1, reference: 'x', ...why }))).toBe('INVALID_INPUT user');
  await isSound();
});

test('takes what a hold that has ended held', async () => {
  const { credits } = host.referrals;
  const user = await rich(5);
  const expiresAt = new Date(host.clock.time.getTime() + 1000);
  await credits.hold(user, { amount: 4, reference: 'cart', expiresAt });
  expect(await refusalOf(credits.adjust(user, { amount: -5, reference: 'all', ...why }))).toBe('INVALID_INPUT amount');
  host.clock.time = expiresAt;
  await credits.adjust(user, { amount: -5, reference: 'all', ...why });
  expect(await credits.balance(user)).toBe('0.00');
  await isSound();
});

test('many at once, with spends: the same reference is one adjustment, and no balance is below 0', async () => {
  const { credits } = host.referrals;
  const user = await rich(10, 10);
  const calls = Array.from({ length: 30 }, (_, n) =>
    n % 3 === 0
      ? credits.spend(user, { amount: 1, reference: `spend ${n}` })
      : host.dataSource.transaction((manager) =>
          credits.adjust(user, { amount: n % 2 === 0 ? -3 : 2, reference: `fix ${n % 10}`, ...why, manager }),
        ),
  );
  await Promise.allSettled(calls);
  const adjusted = await host.referrals.audit.search({ where: { userId: user, call: 'credits.adjust' } });
  expect(adjusted.length).toBeGreaterThan(0);
  await isSound();
});

test('wrong input is refused', async () => {
  const user = await rich(5);
  const wrong: [string, object][] = [
    ...[0, 'x', NaN].map((amount): [string, object] => ['amount', { amount }]),
    ...['', null, undefined].map((reference): [string, object] => ['reference', { reference }]),
    ...['', null, undefined].map((reason): [string, object] => ['reason', { reason }]),
  ];
  await expectRefusals(host, wrong, (input, options) =>
    host.referrals.credits.adjust(user, { amount: 1, reference: 'r', ...why, ...input, ...options }),
  );
});

test('guests: any id of the host’s has credit, buys, and redeems coupons, without a sign-up', async () => {
  const { credits, coupons, channels } = host.referrals;
  const guest = 'basket:4711/é';
  await credits.create({ user: guest, creditType, initialBalance: 5, durationDays: 9 });
  await credits.hold(guest, { amount: 4, reference: 'cart' });
  await credits.capture({ user: guest, reference: 'cart' });
  const promo = { promoType: 'percent_off', promoValue: '0.5', firstPurchaseOnly: true } as const;
  const { code } = await channels.create({ user: 'anna', code: fresh('GUEST'), ...promo });
  await coupons.apply(guest, code);
  const { purchase, commission } = await host.referrals.recordPurchase(guest, { amount: 10, reference: 'order' });
  expect([purchase.source, commission!.userId, await credits.balance(guest)]).toEqual(['coupon', 'anna', '1.00']);
  await isSound();
});
