import { Equal, In, IsNull, Like, MoreThan, Not, Or } from 'typeorm';
import { type ReferralCredit, ReferralCreditTransaction, type ReferralError } from '../lib';
import { closeAll, type Host, startHost } from './support/host';

afterAll(closeAll);

let host: Host;
let creditType: number;
beforeAll(async () => {
  host = await startHost();
  ({ id: creditType } = await host.referrals.creditTypes.create({ name: 'shop', refundable: true }));
});
const count = (): Promise<number> => host.dataSource.getRepository(ReferralCreditTransaction).count();
let serial = 0;
const newCredit = (initialBalance = '10'): Promise<ReferralCredit> =>
  host.referrals.credits.create({ user: `user ${++serial}`, creditType, initialBalance, durationDays: 30 });
const codes = (settled: PromiseSettledResult<unknown>[]): string[] =>
  settled.map((one) => (one.status === 'rejected' ? (one.reason as ReferralError).code : 'done'));

describe('creditTransactions', () => {
  test('add to a credit and take from it, down to nothing and no further', async () => {
    const { creditTransactions, credits } = host.referrals;
    const credit = await newCredit();
    const made = await creditTransactions.create({
      credit,
      value: '-4.0001',
      description: "it's a gift",
      reference: 'r',
    });
    expect(made.toJSON()).toEqual({
      ...{ id: expect.any(Number), userId: credit.userId, creditId: credit.id, kind: 'adjustment', value: '-4.0001' },
      ...{ description: "it's a gift", reference: 'r', createdAt: expect.any(Date) },
    });
    expect((await made.credit()).currentBalance).toBe('5.9999');
    expect(await creditTransactions.create({ credit: credit.id, value: 1 })).toMatchObject({
      ...{ value: '1.00', description: '', reference: null },
    });
    const before = await count();
    const tooMuch = { code: 'INVALID_INPUT', field: 'value', message: expect.stringContaining('now 6.9999') };
    await expect(creditTransactions.create({ credit, value: '-7' })).rejects.toMatchObject(tooMuch);
    await host.dataSource.transaction(async (manager) => {
      await expect(creditTransactions.create({ credit, value: '-7' }, { manager })).rejects.toMatchObject(tooMuch);
      await creditTransactions.create({ credit, value: '-6.9999' }, { manager });
    });
    expect(await count()).toBe(before + 1);
    expect(await credit.refresh()).toMatchObject({ initialBalance: '10.00', currentBalance: '0.00' });
    expect((await credit.transactions()).map(({ value }) => value)).toEqual(['-4.0001', '1.00', '-6.9999']);
    expect(await credits.balance(credit.userId)).toBe('0.00');
  });

  test('keep the balance within numeric(20,4)', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit('9999999999999999.9998');
    await expect(creditTransactions.create({ credit, value: '0.0002' })).rejects.toMatchObject({ field: 'value' });
    await creditTransactions.create({ credit, value: '0.0001' });
    expect((await credit.refresh()).currentBalance).toBe('9999999999999999.9999');
    await creditTransactions.create({ credit, value: '-9999999999999999.9999' });
    expect((await credit.refresh()).currentBalance).toBe('0.00');
  });

  test('leave alone what is held', async () => {
    const { creditTransactions, credits } = host.referrals;
    const credit = await newCredit();
    await credits.hold(credit.userId, { amount: 8, reference: 'checkout' });
    await expect(creditTransactions.create({ credit, value: -3 })).rejects.toMatchObject({ field: 'value' });
    const taken = await creditTransactions.create({ credit, value: -2, reference: 'checkout' });
    expect(taken).toMatchObject({ value: '-2.00', kind: 'adjustment', reference: 'checkout' });
    await credits.release({ reference: 'checkout', user: credit.userId });
    expect((await credit.refresh()).currentBalance).toBe('8.00');
  });

  test('at once never take more than there is', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit();
    const taken = await Promise.allSettled(
      Array.from({ length: 20 }, () => creditTransactions.create({ credit, value: '-1.5' })),
    );
    expect(codes(taken).filter((code) => code === 'done')).toHaveLength(6);
    expect(codes(taken).filter((code) => code === 'INVALID_INPUT')).toHaveLength(14);
    expect((await credit.refresh()).currentBalance).toBe('1.00');
    expect(await credit.transactions()).toHaveLength(6);
  });

  test('at once with spends and holds never take more than there is', async () => {
    const { creditTransactions, credits } = host.referrals;
    const credit = await newCredit();
    const taken = await Promise.allSettled(
      Array.from({ length: 18 }, (_, index) => {
        if (index % 3 === 0) return creditTransactions.create({ credit, value: -1 });
        const input = { amount: 1, reference: `race ${index}` };
        return index % 3 === 1 ? credits.spend(credit.userId, input) : credits.hold(credit.userId, input);
      }),
    );
    expect(codes(taken).filter((code) => code === 'done')).toHaveLength(10);
    expect((await credit.refresh()).currentBalance).toBe('0.00');
    expect(await credit.transactions()).toHaveLength(10);
  });

  test('with a reference are entered once, however often they are asked for', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit();
    const given = { credit, value: '-6', reference: 'correction 1' };
    const made = await Promise.all(Array.from({ length: 10 }, () => creditTransactions.create(given)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect((await credit.refresh()).currentBalance).toBe('4.00');
    expect((await creditTransactions.create({ ...given, value: -6.0, description: 'again' })).toJSON()).toEqual(
      made[0]!.toJSON(),
    );
    const reused = { code: 'REFERENCE_REUSED', status: 409, message: expect.stringContaining('-6.00') };
    for (const value of ['-5', '6', '-6.0001', '-7000'])
      await expect(creditTransactions.create({ ...given, value })).rejects.toMatchObject(reused);
    await host.dataSource.transaction(async (manager) => {
      await expect(creditTransactions.create({ ...given, value: '1' }, { manager })).rejects.toMatchObject(reused);
      expect((await creditTransactions.create(given, { manager })).id).toBe(made[0]!.id);
    });
    expect((await credit.refresh()).currentBalance).toBe('4.00');
    const other = await newCredit();
    expect((await creditTransactions.create({ ...given, credit: other })).id).not.toBe(made[0]!.id);
    const none = { credit: other, value: 1, reference: null };
    expect((await creditTransactions.create(none)).id).not.toBe((await creditTransactions.create(none)).id);
    expect((await other.refresh()).currentBalance).toBe('6.00');
  });

  test('with a reference at once, for different values, are entered once', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit();
    const asked = Array.from({ length: 10 }, (_, index) =>
      creditTransactions.create({ credit, value: index + 1, reference: 'race' }),
    );
    expect(codes(await Promise.allSettled(asked)).sort()).toEqual(['REFERENCE_REUSED', 'done'].flatMap((code, index) => Array.from({ length: index ? 1 : 9 }, () => code))); // prettier-ignore
    const [entry, ...rest] = await credit.transactions();
    expect(rest).toEqual([]);
    expect(Number((await credit.refresh()).currentBalance)).toBe(10 + Number(entry!.value));
  });

  test('are entered many at a time, all or none, and leave nothing of a rollback', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit();
    const before = await count();
    const many = (...values: number[]): { credit: ReferralCredit; value: number }[] =>
      values.map((value) => ({ credit, value }));
    await expect(creditTransactions.createMany(many(-4, -4, -4))).rejects.toMatchObject({
      ...{ field: 'value', message: expect.stringContaining('now 2.00') },
    });
    await expect(
      host.dataSource.transaction(async (manager) => {
        await expect(creditTransactions.createMany(many(-9, -9), { manager })).rejects.toMatchObject({
          field: 'value',
        });
        await creditTransactions.createMany(many(-9, -1), { manager });
        await expect(creditTransactions.create({ credit, value: -1 }, { manager })).rejects.toMatchObject({
          field: 'value',
        });
        expect((await credit.refresh({ manager })).currentBalance).toBe('0.00');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect((await credit.refresh()).currentBalance).toBe('10.00');
    expect(await count()).toBe(before);
    const entered = await creditTransactions.createMany(many(-9, 9, -9));
    expect(entered.map(({ value }) => value)).toEqual(['-9.00', '9.00', '-9.00']);
    expect((await credit.refresh()).currentBalance).toBe('1.00');
  });

  test('are what changed the credit after it was given: not its first entry, which is the opening balance', async () => {
    const { creditTransactions, credits } = host.referrals;
    const credit = await newCredit();
    const { userId } = credit;
    await creditTransactions.create({ credit, value: '2', reference: 'more' });
    await credits.spend(userId, { amount: '5', reference: 'less' });
    const kinds = async (where: object): Promise<string[]> =>
      (await creditTransactions.search({ where })).filter((one) => one.userId === userId).map(({ kind }) => kind);
    for (const where of [{}, [{}], [{ userId }, { reference: 'less' }], { kind: Not('hold') }, { kind: Not(IsNull()) }])
      expect(await kinds(where)).toEqual(['adjustment', 'spend']);
    for (const kind of [
      'spend',
      In(['spend', 'grant']),
      Like('sp%'),
      Or(Equal('spend'), Equal('grant')),
      MoreThan('s'),
    ])
      expect(await kinds({ kind })).toEqual(['spend']);
    for (const kind of ['grant', null, IsNull(), Like('gr%')]) expect(await kinds({ kind })).toEqual([]);
    expect(await creditTransactions.count({ where: { userId } })).toBe(2);
    expect((await credit.transactions()).map(({ value }) => value)).toEqual(['2.00', '-5.00']);

    const stored = host.dataSource.getRepository(ReferralCreditTransaction);
    const [first, ...rest] = await stored.find({ where: { userId }, order: { id: 'ASC' } });
    expect(first).toMatchObject({ creditId: credit.id, kind: 'grant', value: '10.00', createdAt: credit.createdAt });
    expect(rest).toHaveLength(2);
    for (const call of [creditTransactions.get(first!.id), creditTransactions.update(first!.id, {})])
      await expect(call).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(creditTransactions.delete(first!.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('are only ever added', async () => {
    const { creditTransactions } = host.referrals;
    const credit = await newCredit();
    const { id } = await creditTransactions.create({ credit, value: 1 });
    const before = { ...(await creditTransactions.get(id)) };
    const forGood = { status: 409, message: expect.stringContaining('only ever added') };
    for (const changes of [{}, { value: 2 }, { description: 'x' }])
      await expect(creditTransactions.update(id, changes)).rejects.toMatchObject({
        code: 'NOT_CHANGEABLE',
        ...forGood,
      });
    await expect(creditTransactions.delete(id)).rejects.toMatchObject({ code: 'IN_USE', ...forGood });
    await host.dataSource.transaction(async (manager) => {
      await expect(creditTransactions.delete(id, { manager })).rejects.toMatchObject({ code: 'IN_USE', ...forGood });
      await expect(creditTransactions.update(id, {}, { manager })).rejects.toMatchObject({ code: 'NOT_CHANGEABLE' });
      expect({ ...(await creditTransactions.get(id, { manager })) }).toEqual(before);
    });
  });

  test('add up', async () => {
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
