import { ReferralCredit, type ReferralCreditType, type ReferralError } from '../lib';
import { closeAll, type Host, openDataSource, startHost, TestClock, waitFor } from './support/host';

afterAll(closeAll);

const clock = new TestClock();
const day = 86_400_000;
let host: Host;
let type: ReferralCreditType;
let other: ReferralCreditType;
beforeAll(async () => {
  host = await startHost({ clock: clock.read });
  [type, other] = (await host.referrals.creditTypes.createMany([{ name: 'shop' }, { name: 'other' }])) as [
    ReferralCreditType,
    ReferralCreditType,
  ];
});
const count = (): Promise<number> => host.dataSource.getRepository(ReferralCredit).count();
const after = (days: number): Date => new Date(clock.time.getTime() + days * day);

describe('credits', () => {
  test('are given from now on, or from a day on, until a day or for some days', async () => {
    const { credits } = host.referrals;
    const given = { user: { id: 7 }, creditType: type, initialBalance: '10' };
    expect((await credits.create({ ...given, durationDays: 30 })).toJSON()).toEqual({
      ...{
        id: expect.any(Number),
        userId: '7',
        kind: 'grant',
        name: 'shop credit of 2026-03-01',
        creditTypeId: type.id,
      },
      ...{ initialBalance: '10.00', currentBalance: '10.00', startDate: clock.time, expiryDate: after(30) },
      ...{ refereeId: null, voucherCode: null, reference: null, createdAt: clock.time, isExpired: false },
    });
    const whole = { startDate: after(5), name: "Bob's voucher", voucherCode: 'V-1', reference: 'order 7' };
    const made = await credits.create({ ...given, ...whole, durationDays: 36_500 });
    expect(await credits.get(made.id)).toMatchObject({ ...whole, expiryDate: after(36_505), createdAt: clock.time });
    const until = await credits.create({ ...given, startDate: after(-9), expiryDate: after(-1) });
    expect(until).toMatchObject({
      startDate: after(-9),
      expiryDate: after(-1),
      isExpired: true,
      name: 'shop credit of 2026-02-20',
    });
    expect(await until.creditType()).toMatchObject({ name: 'shop' });
    expect(await credits.balance(7)).toBe('10.00');
  });

  test('are found by their name, unless several have it', async () => {
    const { credits } = host.referrals;
    const given = { user: 'named', creditType: type, initialBalance: 1, durationDays: 1 };
    const { id } = await credits.create({ ...given, name: 'unique' });
    expect(await credits.getByName('unique', { fields: ['userId'], plain: true })).toEqual({ userId: 'named' });
    expect((await credits.getByName('unique')).id).toBe(id);
    await expect(credits.getByName('none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await credits.getByName('none', { optional: true })).toBeNull();
    const twice = await credits.createMany([1, 2].map(() => ({ ...given, name: 'twice' })));
    await expect(credits.getByName('twice', { optional: true })).rejects.toMatchObject({
      ...{ code: 'AMBIGUOUS', status: 409, message: expect.stringContaining(`${twice[0]!.id}, ${twice[1]!.id}`) },
    });
  });

  test('with a reference are given once, however often they are asked for', async () => {
    const { credits } = host.referrals;
    const given = { user: 'once', creditType: type, initialBalance: '10', durationDays: 30, reference: 'invoice 1' };
    const before = await count();
    const told: unknown[] = [];
    const tell = (credit: ReferralCredit): void => void told.push(credit.id);
    host.referrals.on('creditGranted', tell);
    const made = await Promise.all(Array.from({ length: 10 }, () => credits.create(given)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await count()).toBe(before + 1);
    expect((await credits.create({ ...given, initialBalance: 10.0, durationDays: 9, name: 'x' })).toJSON()).toEqual(
      made[0]!.toJSON(),
    );
    host.referrals.off('creditGranted', tell);
    expect(told).toEqual([made[0]!.id]);

    const reused = { code: 'REFERENCE_REUSED', status: 409, message: expect.stringContaining('10.00') };
    await expect(credits.create({ ...given, initialBalance: '10.0001' })).rejects.toMatchObject(reused);
    await expect(credits.create({ ...given, creditType: other })).rejects.toMatchObject({ code: 'REFERENCE_REUSED' });
    await host.dataSource.transaction(async (manager) => {
      await expect(credits.create({ ...given, initialBalance: 11 }, { manager })).rejects.toMatchObject(reused);
      expect((await credits.create(given, { manager })).id).toBe(made[0]!.id);
    });
    expect((await credits.create({ ...given, user: 'another' })).id).not.toBe(made[0]!.id);
    expect((await credits.create({ ...given, reference: 'Invoice 1' })).id).not.toBe(made[0]!.id);
    expect((await credits.create({ ...given, reference: null })).id).not.toBe((await credits.create({ ...given, reference: null })).id); // prettier-ignore
    expect(await credits.balance('once')).toBe('40.00');
  });

  test('with a reference at once, for different amounts, are given once', async () => {
    const { credits } = host.referrals;
    const asked = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        credits.create({ user: 'race', creditType: type, initialBalance: index + 1, durationDays: 1, reference: 'r' }),
      ),
    );
    const refused = asked.filter((one) => one.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as ReferralError).code)).toEqual(
      Array.from({ length: 9 }, () => 'REFERENCE_REUSED'),
    );
    expect(await credits.search({ where: { userId: 'race' } })).toHaveLength(1);
  });

  test('whose giver rolls back are given by the next who asks', async () => {
    const { credits } = host.referrals;
    const given = { user: 'waiting', creditType: type, initialBalance: '10', durationDays: 30, reference: 'r' };
    let second!: Promise<ReferralCredit>;
    const first = host.dataSource.transaction(async (manager) => {
      await credits.create(given, { manager });
      second = credits.create({ ...given, initialBalance: '20' });
      const { schema } = host.dataSource.options as { schema: string };
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`;
      await waitFor(async () => (await host.dataSource.query(waiting)).length > 0);
      throw new Error('rolled back');
    });
    await expect(first).rejects.toThrow('rolled back');
    expect(await second).toMatchObject({ initialBalance: '20.00' });
    expect(await credits.balance('waiting')).toBe('20.00');
  });

  test('are given many at a time, all or none', async () => {
    const { credits } = host.referrals;
    const before = await count();
    const given = { user: 'many', creditType: type, initialBalance: 1, durationDays: 1 };
    const wrong = { ...given, creditType: 900_000 };
    await expect(credits.createMany([given, given, wrong])).rejects.toMatchObject({ field: 'creditType' });
    const reused = [
      { ...given, reference: 'a' },
      { ...given, reference: 'a', initialBalance: 2 },
    ];
    await expect(credits.createMany(reused)).rejects.toMatchObject({ code: 'REFERENCE_REUSED' });
    await expect(
      host.dataSource.transaction(async (manager) => {
        await expect(credits.createMany([given, wrong], { manager })).rejects.toMatchObject({ field: 'creditType' });
        expect(await credits.balance('many', { manager })).toBe('0.00');
        await credits.createMany([given, given], { manager });
        expect(await credits.balance('many', { manager })).toBe('2.00');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await count()).toBe(before);
    const same = { ...given, reference: 'twice' };
    const [a, b] = await credits.createMany([same, same]);
    expect(a!.id).toBe(b!.id);
    expect(await credits.balance('many')).toBe('1.00');
  });

  test('change their name, expiry and voucher code, and nothing that is money', async () => {
    const { credits } = host.referrals;
    const made = await credits.create({ user: 'u', creditType: type, initialBalance: 5, durationDays: 10 });
    const whole = made.toJSON();
    expect((await credits.update(made, {})).toJSON()).toEqual(whole);
    const changes = { name: 'renamed', expiryDate: after(0.5), voucherCode: 'V' };
    expect((await made.update(changes)).toJSON()).toEqual({ ...whole, ...changes });
    clock.advanceDays(1);
    expect(made.isExpired).toBe(true);
    expect(await made.update({ voucherCode: null, expiryDate: after(5) })).toMatchObject({
      voucherCode: null,
      isExpired: false,
    });
    clock.advanceDays(-1);
    for (const expiryDate of [made.startDate, new Date(made.startDate.getTime() - 1)])
      await host.dataSource.transaction(async (manager) => {
        const refusal = {
          code: 'INVALID_INPUT',
          field: 'expiryDate',
          message: expect.stringContaining('after the startDate'),
        };
        await expect(made.update({ name: 'lost', expiryDate }, { manager })).rejects.toMatchObject(refusal);
        await made.update({ name: 'kept' }, { manager });
      });
    expect((await made.refresh()).toJSON()).toMatchObject({
      name: 'kept',
      initialBalance: '5.00',
      currentBalance: '5.00',
    });
  });

  test('are never deleted: the reason says what to do instead, and that works', async () => {
    const { credits, creditTransactions } = host.referrals;
    const made = await credits.create({ user: 'for good', creditType: type, initialBalance: 5, durationDays: 10 });
    const refusal = { code: 'IN_USE', status: 409, message: expect.stringContaining("value: '-5.00'") };
    await expect(made.delete()).rejects.toMatchObject(refusal);
    await host.dataSource.transaction(async (manager) => {
      await expect(credits.delete(made.id, { manager })).rejects.toMatchObject(refusal);
      await creditTransactions.create({ credit: made, value: '-5.00' }, { manager });
    });
    expect(await made.refresh()).toMatchObject({ initialBalance: '5.00', currentBalance: '0.00' });
    await expect(made.delete()).rejects.toMatchObject({ code: 'IN_USE' });
    expect(await credits.balance('for good')).toBe('0.00');
  });

  // TypeORM counts savepoints by depth: unless calls at once take turns, the first releases the second's, and the connection
  // goes back to the host's pool within a lost transaction.
  test("may be given at once in one transaction of the host's", async () => {
    const dataSource = await openDataSource({ extra: { max: 1 } });
    const { referrals } = await startHost({ dataSource });
    const creditType = await referrals.creditTypes.create({ name: 'type' });
    const given = { creditType, initialBalance: 1, durationDays: 1 };
    await dataSource
      .transaction((manager) =>
        Promise.allSettled(['a', 'b'].map((user) => referrals.credits.create({ user, ...given }, { manager }))),
      )
      .catch(() => undefined);
    expect(await dataSource.query('SELECT 1 AS works')).toEqual([{ works: 1 }]);
    expect(await referrals.credits.search({ fields: ['userId'], plain: true })).toEqual([
      { userId: 'a' },
      { userId: 'b' },
    ]);
  });

  test('add up', async () => {
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
