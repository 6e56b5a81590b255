import type { ReferralChannel } from '../lib';
import { type EarningsHost, expectRefusals, fresh, refusalOf, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});

const promo = { promoType: 'percent_off', promoValue: '0.10' } as const;
const codesOf = (channels: ReferralChannel[]): string[] => channels.map(({ code }) => code);

async function lines(codes: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const line of codes) read.push(line);
  return read;
}

/** How many statements the work sends. */
async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  const { logger } = host.dataSource;
  let count = 0;
  const spy = jest.spyOn(logger, 'logQuery').mockImplementation(() => void count++);
  await work();
  spy.mockRestore();
  return count;
}

test('ten thousand codes take a few statements, and each is a coupon of its own', async () => {
  const { channels, coupons, audit } = host.referrals;
  let made: ReferralChannel[] = [];
  const statements = await statementsOf(async () => {
    made = await channels.createMany(
      { count: 10_000, prefix: 'SPRING-', user: 'bulk', ...promo, maxRedemptions: 1, products: ['vps'] },
      { by: 'staff-1', reason: 'the spring mailing' },
    );
  });
  expect(statements).toBeLessThanOrEqual(12);
  const codes = codesOf(made);
  expect(new Set(codes.map((code) => code.toLowerCase())).size).toBe(10_000);
  expect(codes.every((code) => /^SPRING-[2-9A-HJKMNP-Z]{10}$/.test(code))).toBe(true);
  expect(made[4711]).toMatchObject({
    ...{ userId: 'bulk', promoValue: '0.10', maxRedemptions: 1, products: ['vps'], initialRate: '0.25' },
  });
  expect(await audit.search({ where: { userId: 'bulk' } })).toMatchObject([
    { call: 'channels.createMany', by: 'staff-1', after: { count: 10_000, prefix: 'SPRING-' } },
  ]);
  const [buyer, other] = [fresh(), fresh()];
  for (const user of [buyer, other]) await coupons.apply(user, codes[9999]!.toLowerCase());
  const buy = (user: string) => host.referrals.recordPurchase(user, { amount: 9, reference: 'order', product: 'vps' });
  expect((await buy(buyer)).purchase.source).toBe('coupon');
  expect((await buy(other)).purchase.source).toBeNull();

  const exported = await lines(channels.exportCodes({ where: { userId: 'bulk' } }));
  expect(exported).toHaveLength(10_001);
  expect(exported[0]).toMatch(/^id,code,userId,promoType,promoValue,.*totalUses,.*createdAt\n$/);
  expect(exported[10_000]).toContain(`,${codes[9999]},bulk,percent_off,0.10,true,-1,1,1,`);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('the list form stays as it was, and neither takes what is not its own', async () => {
  const { channels } = host.referrals;
  const made = await channels.createMany([
    { user: 'anna', code: 'ONE', ...promo },
    { user: 'anna', code: 'TWO', ...promo },
  ]);
  expect(codesOf(made)).toEqual(['ONE', 'TWO']);
  for (const wrong of [null, 'x', 5, {}, { user: 'anna' }])
    expect(await refusalOf(channels.createMany(wrong as never))).toBe('INVALID_INPUT inputs');
});

test('codes that are taken are replaced, whatever their case; all or none is made', async () => {
  const drawn = ['a', 'A', 'b', 'taken', 'c', 'old'];
  let next = 0;
  const own = await startEarnings({ generateCode: () => drawn[next++] ?? `more-${next}` });
  const { channels } = own.referrals;
  const channel = await channels.create({ user: 'anna', code: 'OLD', ...promo });
  await channel.update({ code: 'TAKEN' });
  expect(codesOf(await channels.createMany({ count: 5, user: 'bulk', ...promo })).sort()).toEqual(
    ['A', 'b', 'c', 'more-7', 'more-8'].sort(),
  );
  next = 0;
  drawn.push(...Array.from({ length: 5000 }, () => 'a'));
  expect(await refusalOf(channels.createMany({ count: 2, user: 'late', ...promo }))).toBe('CODES_EXHAUSTED');
  expect(await channels.count({ where: { userId: 'late' } })).toBe(0);
  // In the host's transaction, which is rolled back.
  const undone = new Error('undone');
  next = 7;
  const rolledBack = own.dataSource.transaction(async (manager) => {
    drawn.length = 0;
    expect(await channels.createMany({ count: 3, user: 'late', ...promo }, { manager })).toHaveLength(3);
    throw undone;
  });
  await expect(rolledBack).rejects.toBe(undone);
  expect(await channels.count({ where: { userId: 'late' } })).toBe(0);
  expect(await own.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('batches at once, in transactions and not, with the same codes: every code is made once', async () => {
  let drawn = 0;
  const own = await startEarnings({ generateCode: () => `code-${drawn++ % 300}` });
  const { channels } = own.referrals;
  const make = (n: number) =>
    n % 2 === 0
      ? channels.createMany({ count: 40, user: `bulk ${n}`, ...promo })
      : own.dataSource.transaction((manager) =>
          channels.createMany({ count: 40, user: `bulk ${n}`, ...promo }, { manager }),
        );
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, (_, n) => make(n)));
  const codes = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? codesOf(outcome.value) : []));
  expect(new Set(codes).size).toBe(codes.length);
  expect(await channels.count()).toBe(codes.length);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'CODES_EXHAUSTED' });
  expect(await own.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('an export takes the conditions of a search, also on the id, and quotes', async () => {
  const { channels } = host.referrals;
  const user = 'say "hi", all';
  const made = await channels.createMany({ count: 3, user, ...promo });
  const [, first, ...rest] = await lines(channels.exportCodes({ where: { id: made[1]!.id } }));
  expect([first!.split(',')[1], rest]).toEqual([made[1]!.code, []]);
  expect(first).toContain('"say ""hi"", all"');
  const both = [{ code: made[0]!.code }, { code: made[2]!.code }];
  expect(await lines(channels.exportCodes({ where: both }))).toHaveLength(3);
  expect(await refusalOf(lines(channels.exportCodes({ where: { nothing: 1 } })))).toMatch(/^INVALID_INPUT/);
});

test('wrong batches are refused', async () => {
  const given = { count: 2, user: 'anna', ...promo };
  const wrong: [string, object][] = [
    ...[0, -1, 1.5, '3', 100_001].map((count): [string, object] => ['count', { count }]),
    ...['a b', 5, 'x'.repeat(81)].map((prefix): [string, object] => ['prefix', { prefix }]),
    ['code', { code: 'MINE' }],
    ['user', { user: undefined }],
    ['promoValue', { promoValue: 5 }],
    ['promoType', { promoType: undefined }],
    ['endDate', { endDate: new Date(0) }],
  ];
  await expectRefusals(host, wrong, (input, options) =>
    host.referrals.channels.createMany({ ...given, ...input } as never, options),
  );
});
