import { type Host, closeAll, startHost, waitFor } from './support/host';
import { ReferralCreditType } from '../lib';

afterAll(closeAll);

let host: Host;
beforeAll(async () => {
  host = await startHost();
});

/** Runs a call that waits for a transaction in which `first` was done, and returns its outcome after the commit. */
async function meanwhile<T>(
  first: (manager: Host['dataSource']['manager']) => Promise<unknown>,
  call: () => Promise<T>,
) {
  let settled!: Promise<PromiseSettledResult<T>[]>;
  await host.dataSource.transaction(async (manager) => {
    await first(manager);
    settled = Promise.allSettled([call()]);
    const { schema } = host.dataSource.options as { schema: string };
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`;
    await waitFor(async () => (await host.dataSource.query(waiting)).length > 0);
  });
  return (await settled)[0]!;
}

const count = (): Promise<number> => host.dataSource.getRepository(ReferralCreditType).count();

describe('creditTypes', () => {
  test('are made with defaults, and with everything', async () => {
    const { creditTypes } = host.referrals;
    expect(await creditTypes.create({ name: 'plain' })).toMatchObject({
      ...{ name: 'plain', product: null, refundable: false, onlyForProducts: [], onlyForProductCategories: [] },
      ...{ id: expect.any(Number), createdAt: expect.any(Date) },
    });
    const lists = ['a,b', '{"x"}', "it's", 'NULL', '漢'.repeat(100), 'a\\b', ' '];
    const made = await creditTypes.create({
      ...{ name: '漢'.repeat(100), product: '𝄞'.repeat(50), refundable: true, onlyForProducts: lists },
    });
    expect(await creditTypes.get(made.id)).toMatchObject({
      ...{ name: '漢'.repeat(100), product: '𝄞'.repeat(50), refundable: true, onlyForProducts: lists },
    });
    const byCategory = await creditTypes.create({ name: 'books', onlyForProductCategories: ['books'], product: null });
    expect(byCategory).toMatchObject({ onlyForProducts: [], onlyForProductCategories: ['books'], product: null });
    expect(
      await creditTypes.create({ name: 'nothing', onlyForProducts: [], onlyForProductCategories: [] }),
    ).toBeDefined();
  });

  test('are found by their name, to the letter', async () => {
    const { creditTypes } = host.referrals;
    const odd = "Robert'); DROP TABLE referral_credit_types; --";
    const { id } = await creditTypes.create({ name: odd, product: 'x' });
    expect((await creditTypes.getByName(odd)).id).toBe(id);
    expect(await creditTypes.getByName(odd, { fields: ['product'], plain: true })).toEqual({ product: 'x' });
    for (const name of ['PLAIN', 'plain ', '%', '', '__proto__', 'x'.repeat(10_000)]) {
      expect(await creditTypes.getByName(name, { optional: true })).toBeNull();
      await expect(creditTypes.getByName(name)).rejects.toMatchObject({ code: 'NOT_FOUND', status: 404 });
    }
    await expect(creditTypes.getByName('no such one')).rejects.toThrow('There is no credit type with the name "no such one".'); // prettier-ignore
    for (const name of [undefined, null, 7, {}, ['plain']])
      await expect(creditTypes.getByName(name as never)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'name',
      });
  });

  test('have names of their own, also when made or renamed at once', async () => {
    const { creditTypes } = host.referrals;
    const before = await count();
    const taken = { code: 'NAME_TAKEN', status: 409, message: expect.stringContaining('"crowd"') };
    const made = await Promise.allSettled(Array.from({ length: 10 }, () => creditTypes.create({ name: 'crowd' })));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of made) if (one.status === 'rejected') expect(one.reason).toMatchObject(taken);
    expect(await count()).toBe(before + 1);
    const other = await creditTypes.create({ name: 'loner' });
    await expect(other.update({ name: 'crowd' })).rejects.toMatchObject(taken);
    expect((await other.refresh()).name).toBe('loner');
    await other.update({ name: 'loner' });
    await host.dataSource.transaction(async (manager) => {
      await expect(creditTypes.create({ name: 'crowd' }, { manager })).rejects.toMatchObject(taken);
      await expect(creditTypes.update(other, { name: 'crowd' }, { manager })).rejects.toMatchObject(taken);
      await creditTypes.create({ name: 'after the clash' }, { manager });
    });
    expect(await creditTypes.getByName('after the clash')).toBeDefined();
  });

  test('are made many at a time, all or none', async () => {
    const { creditTypes } = host.referrals;
    const before = await count();
    const made = await creditTypes.createMany(Array.from({ length: 300 }, (_, index) => ({ name: `many ${index}` })));
    expect(made.map(({ name }) => name)).toEqual(Array.from({ length: 300 }, (_, index) => `many ${index}`));
    const bad = [{ name: 'good' }, { name: 'many 7' }];
    await expect(creditTypes.createMany(bad)).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    await expect(creditTypes.createMany([{ name: 'good' }, { name: 'good' }])).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
    await expect(creditTypes.createMany([{ name: 'good' }, { name: '' }])).rejects.toMatchObject({ field: 'name' });
    await host.dataSource.transaction(async (manager) => {
      await expect(creditTypes.createMany(bad, { manager })).rejects.toMatchObject({ code: 'NAME_TAKEN' });
      expect(await creditTypes.getByName('good', { optional: true, manager })).toBeNull();
    });
    expect(await count()).toBe(before + 300);
    const rolledBack = host.dataSource.transaction(async (manager) => {
      await creditTypes.createMany([{ name: 'good' }, { name: 'better' }], { manager });
      expect(await creditTypes.getByName('better', { manager })).toBeDefined();
      throw new Error('the host changed its mind');
    });
    await expect(rolledBack).rejects.toThrow('changed its mind');
    expect(await count()).toBe(before + 300);
  });

  test('are changed by the field', async () => {
    const { creditTypes } = host.referrals;
    const all = { name: 'changing', product: 'p', refundable: true, onlyForProducts: ['tea'] };
    const { id } = await creditTypes.create(all);
    expect(await creditTypes.update(id, {})).toMatchObject(all);
    expect(await creditTypes.update(id, { product: null })).toMatchObject({ ...all, product: null });
    expect(await creditTypes.update({ id }, { refundable: false, product: 'q' })).toMatchObject({
      ...all,
      product: 'q',
      refundable: false,
    });
    const both = { code: 'INVALID_INPUT', field: 'onlyForProductCategories' };
    await expect(creditTypes.update(id, { onlyForProductCategories: ['drinks'] })).rejects.toMatchObject(both);
    const sides = { onlyForProducts: [], onlyForProductCategories: ['drinks'] };
    expect(await creditTypes.update(id, sides)).toMatchObject(sides);
    await expect(creditTypes.update(id, { onlyForProducts: ['tea'] })).rejects.toMatchObject(both);
    await expect(creditTypes.update(id, { refundable: true, nothing: 1 } as never)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      field: 'nothing',
    });
    expect(await creditTypes.get(id)).toMatchObject({ ...sides, refundable: false });
  });

  // If undefined meant "none", credit that is limited to some products could be spent on everything.
  test('keep what an update leaves undefined', async () => {
    const all = { product: 'p', refundable: true, onlyForProducts: ['tea'] };
    const made = await host.referrals.creditTypes.create({ name: 'left', ...all });
    const nothing = { product: undefined, refundable: undefined, onlyForProducts: undefined } as never;
    expect(await made.update(nothing)).toMatchObject(all);
  });

  test('refuse both lists also when each is given at once', async () => {
    const { creditTypes } = host.referrals;
    const { id } = await creditTypes.create({ name: 'both sides' });
    const second = await meanwhile(
      (manager) => creditTypes.update(id, { onlyForProducts: ['tea'] }, { manager }),
      () => creditTypes.update(id, { onlyForProductCategories: ['drinks'] }),
    );
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_INPUT', field: 'onlyForProductCategories' } }); // prettier-ignore
  });

  test('are deleted as long as nothing depends on them, and else say what does', async () => {
    const { creditTypes, programs, referralCodes, credits, signups } = host.referrals;
    const spare = await creditTypes.create({ name: 'spare' });
    await creditTypes.delete(spare);
    expect(await creditTypes.get(spare.id, { optional: true })).toBeNull();
    await creditTypes.create({ name: 'spare' });

    const [a, b, c] = await creditTypes.createMany(['a', 'b', 'c'].map((name) => ({ name })));
    await credits.create({ user: 'u', creditType: a!, initialBalance: 1, durationDays: 1 });
    const terms = { amount: 1, durationDays: 1 };
    const program = await programs.create({
      ...{ name: 'uses', referralCredit: { ...terms, type: b! }, rewardCredit: { ...terms, type: c! } },
      beforeRewardUsageThreshold: 1,
    });
    const refusal = (reason: string): object => ({
      code: 'IN_USE',
      status: 409,
      message: expect.stringContaining(reason),
    });
    const before = await count();
    await expect(a!.delete()).rejects.toMatchObject(refusal('there are credits of this type'));
    await expect(b!.delete()).rejects.toMatchObject(refusal('to referees'));
    await host.dataSource.transaction(async (manager) => {
      await expect(c!.delete({ manager })).rejects.toMatchObject(refusal('to referrers'));
      await creditTypes.create({ name: 'after a refusal' }, { manager });
    });
    await referralCodes.create({ code: 'uses', user: 'u', program });
    await signups.create({ user: 'v', code: 'uses' });
    await program.update({ referralCredit: null, rewardCredit: null });
    await expect(c!.delete()).rejects.toMatchObject(refusal('sign-ups were promised'));
    await expect(b!.delete()).rejects.toMatchObject({ code: 'IN_USE' });
    expect(await count()).toBe(before + 1);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  // The type is found before the row is written, and another transaction can delete it in between.
  test.each<[string, (creditType: number) => Promise<unknown>]>([
    ['creditType', (creditType) => host.referrals.credits.create({ user: 'u', creditType, initialBalance: 1, durationDays: 1 })],
    ['referralCredit.type', (type) => host.referrals.programs.create({ name: 'late', referralCredit: { type, amount: 1, durationDays: 1 } })],
  ])('that are deleted meanwhile are no %s', async (field, call) => {
    const { creditTypes } = host.referrals;
    const { id } = await creditTypes.create({ name: `gone as ${field}` });
    const second = await meanwhile((manager) => creditTypes.delete(id, { manager }), () => call(id));
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_INPUT', field } });
  }); // prettier-ignore
});
