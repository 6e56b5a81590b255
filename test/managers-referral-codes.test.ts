import { Referral, type ReferralCreditType, ReferralProgram, type ReferralProgram as Program } from '../lib';
import { closeAll, type Host, Product, startHost } from './support/host';

afterAll(closeAll);

let host: Host;
let type: ReferralCreditType;
let program: Program;
beforeAll(async () => {
  host = await startHost();
  const { creditTypes, programs } = host.referrals;
  type = await creditTypes.create({ name: 'shop credit' });
  const terms = { durationDays: 30, type };
  program = await programs.create({
    ...{ name: 'launch', referralCredit: { amount: 5, ...terms }, rewardCredit: { amount: '12.3456', ...terms } },
    beforeRewardUsageThreshold: 50,
  });
});
const counts = (): Promise<number[]> =>
  Promise.all([Referral, ReferralProgram].map((entity) => host.dataSource.getRepository<object>(entity).count()));
const ownTerms = (amount = '3'): object => ({
  ...{ referralCreditAmount: amount, referralCreditDuration: 7, referralCreditType: type },
  ...{ rewardCreditAmount: '4', rewardCreditDuration: 8, rewardCreditType: type.id, beforeRewardUsageThreshold: '9' },
});
const noTerms = {
  ...{ programId: null, programName: null, beforeRewardUsageThreshold: null },
  ...{ referralCreditAmount: null, referralCreditDuration: null, referralCreditTypeId: null, referralCreditTypeName: null },
  ...{ rewardCreditAmount: null, rewardCreditDuration: null, rewardCreditTypeId: null, rewardCreditTypeName: null },
  ...{ commissionRatio: null, commissionMaxPerReferee: null },
  ...{ commissionAmount: null, commissionMonths: null, commissionPurchases: null, commissionSignup: null },
  ...{ commissionQualify: null, commissionMaxPerReferrer: null, commissionPeriod: null },
      ...{ rewardLimitCount: null, rewardLimitPeriod: null },
}; // prettier-ignore

describe('referralCodes', () => {
  test('have the fields of their referral and of their program, and who signed up', async () => {
    const { referralCodes, signups } = host.referrals;
    const bare = await referralCodes.create({});
    expect(bare.toJSON()).toEqual({
      ...{ ...noTerms, id: expect.any(Number), code: expect.stringMatching(/^\w{10}$/), name: bare.code, userId: null },
      ...{ label: '', redirectTo: '/', targetType: null, targetId: null, expiredAt: null, allowedUses: -1, uses: 0 },
      ...{ referralIds: [], createdAt: expect.any(Date) },
    });
    const product = await host.dataSource.manager.save(Object.assign(new Product(), { name: 'tea' }));
    const expiredAt = new Date('2040-01-01T00:00:00Z');
    const made = await referralCodes.create({
      ...{ code: 'Anna_1', user: { id: 7n }, label: 'card', redirectTo: '/welcome', target: product },
      ...{ expiredAt, program, allowedUses: 3 },
    });
    for (const user of ['zoe', 'adam']) await signups.create({ user, code: 'ANNA_1' });
    expect((await made.refresh()).toJSON()).toEqual({
      ...{ id: made.id, code: 'Anna_1', name: 'Anna_1 (launch)', userId: '7', label: 'card', redirectTo: '/welcome' },
      ...{ targetType: 'Product', targetId: String(product.id), expiredAt, allowedUses: 3, uses: 2 },
      ...{ programId: program.id, programName: 'launch', beforeRewardUsageThreshold: '50.00' },
      ...{ rewardLimitCount: null, rewardLimitPeriod: null },
      ...{ commissionRatio: null, commissionMaxPerReferee: null },
      ...{ commissionAmount: null, commissionMonths: null, commissionPurchases: null, commissionSignup: null },
      ...{ commissionQualify: null, commissionMaxPerReferrer: null, commissionPeriod: null },
      ...{ referralCreditAmount: '5.00', referralCreditDuration: 30 },
      ...{ referralCreditTypeId: type.id, referralCreditTypeName: 'shop credit' },
      ...{ rewardCreditAmount: '12.3456', rewardCreditDuration: 30 },
      ...{ rewardCreditTypeId: type.id, rewardCreditTypeName: 'shop credit' },
      ...{ referralIds: ['zoe', 'adam'], createdAt: made.createdAt },
    });
    expect((await made.referrals()).map(({ userId }) => userId)).toEqual(made.referralIds);
    expect(await Referral.findByCode('anna_1', { manager: host.dataSource.manager })).toMatchObject({ id: made.id });
  });

  test('are found in any case', async () => {
    const { referralCodes } = host.referrals;
    const { id } = await referralCodes.create({ code: 'CaSe', label: 'case', program });
    for (const code of ['CaSe', 'case', 'CASE']) expect((await referralCodes.getByCode(code)).id).toBe(id);
    const options = { fields: ['code', 'programName'], plain: true } as const;
    expect(await referralCodes.getByCode('case', options)).toEqual({ code: 'CaSe', programName: 'launch' });
    for (const code of ['none', '', 'case ', '%', "' OR 1=1 --", '\u0000', '\ud800', 'x'.repeat(10_000)]) {
      expect(await referralCodes.getByCode(code, { optional: true })).toBeNull();
      await expect(referralCodes.getByCode(code)).rejects.toMatchObject({ code: 'NOT_FOUND', status: 404 });
    }
    for (const code of [undefined, null, 7, ['case']])
      await expect(referralCodes.getByCode(code as never)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        field: 'code',
      });
    await host.dataSource.transaction(async (manager) => {
      await referralCodes.create({ code: 'unseen', label: 'unseen' }, { manager });
      expect(await referralCodes.getByCode('UNSEEN', { manager })).toMatchObject({ code: 'unseen' });
      expect(await referralCodes.getByCode('unseen', { optional: true })).toBeNull();
    });
  });

  test('are new ones: of the same code, or the same user, label and target, there is one', async () => {
    const { referralCodes } = host.referrals;
    await referralCodes.create({ code: 'first', user: 'x' });
    const before = await counts();
    await expect(referralCodes.create({ code: 'FIRST', user: 'y' })).rejects.toMatchObject({
      code: 'CODE_TAKEN',
      status: 409,
    });
    await expect(referralCodes.create({ code: 'first', user: 'x' })).rejects.toMatchObject({ code: 'REFERRAL_EXISTS' });
    await expect(referralCodes.create({ user: 'x', ...ownTerms() })).rejects.toMatchObject({ code: 'REFERRAL_EXISTS' });
    await expect(referralCodes.create({ code: 'first', user: 'y', ...ownTerms() })).rejects.toMatchObject({
      code: 'CODE_TAKEN',
    });
    expect(await counts()).toEqual(before);
    const same = Array.from({ length: 10 }, () => referralCodes.create({ code: 'crowd', user: 'z', ...ownTerms() }));
    const codes = Array.from({ length: 10 }, (_, i) =>
      referralCodes.create({ code: 'race', user: `r${i}`, ...ownTerms() }),
    );
    for (const [attempts, code] of [[same, 'REFERRAL_EXISTS'], [codes, 'CODE_TAKEN']] as const) {
      const refused = (await Promise.allSettled(attempts)).filter((one) => one.status === 'rejected');
      expect(refused.map(({ reason }) => reason.code)).toEqual(Array.from({ length: 9 }, () => code));
    } // prettier-ignore
    expect(await counts()).toEqual(before.map((count) => count + 2));
  });

  test('are made many at a time, all or none, and leave nothing of a rollback', async () => {
    const { referralCodes } = host.referrals;
    const before = await counts();
    const wrong = { code: 'm2', user: 'm2', ...ownTerms('0') };
    await expect(referralCodes.createMany([{ code: 'm1', user: 'm', ...ownTerms() }, wrong])).rejects.toMatchObject({
      ...{ code: 'INVALID_INPUT', field: 'referralCreditAmount' },
    });
    await expect(
      referralCodes.createMany([
        { code: 'm1', user: 'm' },
        { code: 'M1', user: 'n' },
      ]),
    ).rejects.toMatchObject({
      code: 'CODE_TAKEN',
    });
    const rolledBack = host.dataSource.transaction(async (manager) => {
      await expect(referralCodes.createMany([{ code: 'm1', user: 'm' }, wrong], { manager })).rejects.toThrow(
        'above 0',
      );
      const [made] = await referralCodes.createMany([{ code: 'm1', user: 'm', ...ownTerms() }], { manager });
      await made!.update({ code: 'm9' }, { manager });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    expect(await counts()).toEqual(before);
    expect(await referralCodes.getByCode('m9', { optional: true })).toBeNull();
    const made = await referralCodes.createMany(
      Array.from({ length: 50 }, (_, i) => ({ code: `many${i}`, user: `many${i}` })),
    );
    expect(made.map(({ code }) => code)).toEqual(Array.from({ length: 50 }, (_, i) => `many${i}`));
  });

  test('may have terms of their own, which make a program by their name', async () => {
    const { referralCodes, programs } = host.referrals;
    const made = await referralCodes.create({ code: 'own', user: 'own', ...ownTerms() });
    expect(made).toMatchObject({
      ...{ referralCreditAmount: '3.00', referralCreditDuration: 7, referralCreditTypeName: 'shop credit' },
      ...{ rewardCreditAmount: '4.00', rewardCreditDuration: 8, rewardCreditTypeId: type.id },
      ...{ beforeRewardUsageThreshold: '9.00', programName: 'own' },
    });
    expect(await made.program()).toMatchObject({ id: made.programId, name: 'own' });
    expect(await made.update({ rewardCreditAmount: '4.5' })).toMatchObject({
      rewardCreditAmount: '4.50',
      rewardCreditDuration: 8,
    });
    const noReward = { rewardCreditAmount: null, rewardCreditDuration: null, rewardCreditType: null };
    expect(await made.update(noReward)).toMatchObject({ rewardCreditAmount: null, referralCreditAmount: '3.00' });
    const later = await referralCodes.create({ code: 'later', user: 'later' });
    await expect(later.update({ rewardCreditAmount: 1 })).rejects.toMatchObject({ field: 'rewardCreditDuration' });
    expect((await later.refresh()).programId).toBeNull();
    expect(await later.update(ownTerms())).toMatchObject({ programName: 'later', rewardCreditAmount: '4.00' });
    await expect(referralCodes.create({ code: 'launch', user: 'l', ...ownTerms() })).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
    expect(await referralCodes.getByCode('launch', { optional: true })).toBeNull();
    expect((await programs.getByName('launch')).id).toBe(program.id);
  });

  // The program that was created for the code alone is deleted with the code.
  test('take the terms of their own with them when they are deleted', async () => {
    const { referralCodes } = host.referrals;
    const made = await referralCodes.create({ code: 'again', user: 'again', ...ownTerms() });
    await made.delete();
    expect(await host.referrals.programs.getByName('again', { optional: true })).toBeNull();
    const again = { code: 'again-2', user: 'again', ...ownTerms() };
    expect(await referralCodes.create(again)).toMatchObject({ code: again.code });
  });

  test('change no terms that others share', async () => {
    const { referralCodes, programs } = host.referrals;
    const [a, b] = await referralCodes.createMany([
      { code: 's1', user: 's1', program },
      { code: 's2', user: 's2', program },
    ]);
    const before = { ...(await programs.get(program.id)) };
    for (const terms of [
      ownTerms(),
      { rewardCreditAmount: 1 },
      { beforeRewardUsageThreshold: 0 },
      { referralCreditType: null },
    ])
      await expect(a!.update(terms)).rejects.toMatchObject({
        ...{ code: 'NOT_CHANGEABLE', status: 409 },
        message: expect.stringContaining('which other codes share; call programs.update'),
      });
    await expect(a!.update({ label: 'x', rewardCreditAmount: 1 })).rejects.toMatchObject({ code: 'NOT_CHANGEABLE' });
    expect(await programs.get(program.id)).toEqual(before);
    expect((await a!.refresh()).label).toBe('');
    await programs.update(program, { beforeRewardUsageThreshold: 51 });
    expect([await a!.refresh(), await b!.refresh()]).toMatchObject(
      [{}, {}].map(() => ({ beforeRewardUsageThreshold: '51.00' })),
    );
    expect(await a!.update({ program: null })).toMatchObject({ ...noTerms, name: 's1' });
    expect(await a!.update(ownTerms())).toMatchObject({ programName: 's1' });
    expect(await b!.refresh()).toMatchObject({ programName: 'launch', beforeRewardUsageThreshold: '51.00' });
  });

  test('are changed by the field', async () => {
    const { referralCodes, signups } = host.referrals;
    const made = await referralCodes.create({ code: 'alter', user: 'alter', allowedUses: 2, program });
    const whole = { ...made };
    expect({ ...(await referralCodes.update(made.id, {})) }).toEqual(whole);
    const expiredAt = new Date('2041-01-01T00:00:00Z');
    const changes = { code: 'ALTERED', label: 'new', redirectTo: '/new', expiredAt, allowedUses: 5 };
    expect(await made.update(changes)).toMatchObject({ ...changes, programName: 'launch', name: 'ALTERED (launch)' });
    expect(await referralCodes.getByCode('alter')).toMatchObject({ id: made.id, code: 'ALTERED' });
    expect(await made.update({ code: 'altered', expiredAt: null })).toMatchObject({ code: 'altered', expiredAt: null });
    await signups.createMany(['p', 'q'].map((user) => ({ user, code: 'altered' })));
    await expect(made.update({ allowedUses: 1 })).rejects.toMatchObject({
      ...{
        code: 'INVALID_INPUT',
        field: 'allowedUses',
        message: expect.stringContaining('at least the 2 uses so far'),
      },
    });
    expect(await made.update({ allowedUses: 2 })).toMatchObject({ allowedUses: 2, uses: 2 });
    await expect(signups.create({ user: 'r', code: 'altered' })).rejects.toMatchObject({ code: 'SIGNUP_REFUSED' });
    expect(await made.update({ allowedUses: -1 })).toMatchObject({ allowedUses: -1 });
    const other = await referralCodes.create({ code: 'elsewhere', user: 'alter' });
    await host.dataSource.transaction(async (manager) => {
      await expect(other.update({ code: 'Altered' }, { manager })).rejects.toMatchObject({ code: 'CODE_TAKEN' });
      const same = { label: 'new', redirectTo: '/new' };
      await expect(other.update(same, { manager })).rejects.toMatchObject({ code: 'REFERRAL_EXISTS' });
      await other.update({ label: 'after' }, { manager });
    });
    expect(await other.refresh()).toMatchObject({ code: 'elsewhere', label: 'after' });
  });

  test('are deleted as long as nobody has signed up with them', async () => {
    const { referralCodes, signups } = host.referrals;
    const made = await referralCodes.create({ code: 'ending', user: 'ending' });
    const signup = await signups.create({ user: 'late', code: 'ending' });
    await host.dataSource.transaction(async (manager) => {
      await expect(made.delete({ manager })).rejects.toMatchObject({
        ...{ code: 'IN_USE', status: 409, message: expect.stringContaining('people have signed up with it') },
      });
      expect(await referralCodes.get(made.id, { manager })).toBeDefined();
    });
    await signup.delete();
    await made.delete();
    expect(await referralCodes.getByCode('ending', { optional: true })).toBeNull();
    await expect(signups.create({ user: 'later', code: 'ending' })).rejects.toMatchObject({ code: 'SIGNUP_REFUSED' });
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
