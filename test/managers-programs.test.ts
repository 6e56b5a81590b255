import { In } from 'typeorm';
import { ReferralProgram, type ReferralCreditType } from '../lib';
import { closeAll, type Host, startHost, waitFor } from './support/host';

afterAll(closeAll);

let host: Host;
let type: ReferralCreditType;
let other: ReferralCreditType;
beforeAll(async () => {
  host = await startHost();
  [type, other] = (await host.referrals.creditTypes.createMany([{ name: 'type' }, { name: 'other' }])) as [
    ReferralCreditType,
    ReferralCreditType,
  ];
});
const count = (): Promise<number> => host.dataSource.getRepository(ReferralProgram).count();

const none = { referralCreditAmount: null, referralCreditDuration: null, referralCreditTypeId: null };
const noReward = { rewardCreditAmount: null, rewardCreditDuration: null, rewardCreditTypeId: null };

describe('programs', () => {
  test('are made with no credit, one, or both', async () => {
    const { programs } = host.referrals;
    expect(await programs.create({ name: 'none' })).toMatchObject({
      ...{ name: 'none', ...none, ...noReward, beforeRewardUsageThreshold: '0.00' },
    });
    expect(await programs.create({ name: 'nulls', referralCredit: null, rewardCredit: null })).toMatchObject(none);
    const made = await programs.create({
      name: '漢'.repeat(100),
      referralCredit: { amount: 5, durationDays: 1, type },
      rewardCredit: { amount: '10.125', durationDays: 36_500, type: other.id },
      beforeRewardUsageThreshold: '99.9999',
    });
    const whole = {
      ...{ referralCreditAmount: '5.00', referralCreditDuration: 1, referralCreditTypeId: type.id },
      ...{ rewardCreditAmount: '10.125', rewardCreditDuration: 36_500, rewardCreditTypeId: other.id },
      ...{ name: '漢'.repeat(100), beforeRewardUsageThreshold: '99.9999' },
    };
    expect(made).toMatchObject(whole);
    expect(await programs.get(made.id)).toMatchObject(whole);
    expect(await made.referralCreditType()).toMatchObject({ name: 'type' });
    expect(await made.rewardCreditType()).toMatchObject({ name: 'other' });
  });

  test('have names of their own, also when made at once, and are found by them', async () => {
    const { programs } = host.referrals;
    const before = await count();
    const made = await Promise.allSettled(Array.from({ length: 10 }, () => programs.create({ name: 'crowd' })));
    const refused = made.filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(9);
    for (const { reason } of refused)
      expect(reason).toMatchObject({
        code: 'NAME_TAKEN',
        message: expect.stringContaining('program with the name "crowd"'),
      });
    expect(await count()).toBe(before + 1);
    const { id } = await programs.getByName('crowd');
    expect(await programs.getByName('crowd', { fields: ['id'], plain: true })).toEqual({ id });
    await expect(programs.getByName('Crowd')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await programs.getByName('Crowd', { optional: true })).toBeNull();
    await expect(programs.update((await programs.getByName('none')).id, { name: 'crowd' })).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
  });

  test('are made many at a time, all or none, and leave nothing of a rollback', async () => {
    const { programs } = host.referrals;
    const before = await count();
    const wrong = { name: 'b', referralCredit: { amount: 1, durationDays: 1, type: 900_000 } };
    await expect(programs.createMany([{ name: 'a' }, wrong])).rejects.toMatchObject({ field: 'referralCredit.type' });
    await host.dataSource.transaction(async (manager) => {
      await expect(programs.createMany([{ name: 'a' }, wrong], { manager })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
      });
      expect(await programs.getByName('a', { optional: true, manager })).toBeNull();
    });
    const rolledBack = host.dataSource.transaction(async (manager) => {
      expect(await programs.createMany([{ name: 'a' }, { name: 'b' }], { manager })).toHaveLength(2);
      await programs.update((await programs.getByName('a', { manager })).id, { name: 'c' }, { manager });
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    expect(await count()).toBe(before);
  });

  test('are changed by the field, a credit as a whole or in parts', async () => {
    const { programs } = host.referrals;
    const { id } = await programs.create({ name: 'changing', referralCredit: { amount: 5, durationDays: 30, type } });
    const first = {
      referralCreditAmount: '5.00',
      referralCreditDuration: 30,
      referralCreditTypeId: type.id,
      ...noReward,
    };
    expect(await programs.update(id, {})).toMatchObject({ name: 'changing', ...first });
    expect(await programs.update(id, { name: undefined, referralCredit: undefined })).toMatchObject(first);
    expect(await programs.update(id, { referralCredit: { amount: '7.5' } })).toMatchObject({
      ...first,
      referralCreditAmount: '7.50',
    });
    expect(await programs.update(id, { referralCredit: { durationDays: 9 } })).toMatchObject({
      referralCreditAmount: '7.50',
      referralCreditDuration: 9,
    });
    expect(await programs.update(id, { referralCredit: { type: other } })).toMatchObject({
      referralCreditTypeId: other.id,
    });
    for (const [part, field] of [
      [{ amount: 1 }, 'rewardCredit.durationDays'],
      [{ durationDays: 1 }, 'rewardCredit.amount'],
      [{ amount: 1, durationDays: 1 }, 'rewardCredit.type'],
    ] as const)
      await expect(programs.update(id, { rewardCredit: part })).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
    const rewarded = { rewardCredit: { amount: 1, durationDays: 1, type }, referralCredit: null, name: 'changed' };
    expect(await programs.update(id, rewarded)).toMatchObject({ ...none, rewardCreditAmount: '1.00', name: 'changed' });
    expect(await programs.update(id, { rewardCredit: null, beforeRewardUsageThreshold: 3 })).toMatchObject({
      ...{ ...none, ...noReward, beforeRewardUsageThreshold: '3.00' },
    });
  });

  // Who waits must see what the one before has written.
  test('keep both of two changes at once to different parts of a credit', async () => {
    const { programs } = host.referrals;
    const { id } = await programs.create({ name: 'both', referralCredit: { amount: 10, durationDays: 30, type } });
    let second!: Promise<unknown>;
    await host.dataSource.transaction(async (manager) => {
      await programs.update(id, { referralCredit: { amount: 20 } }, { manager });
      second = programs.update(id, { referralCredit: { durationDays: 5 } });
      const { schema } = host.dataSource.options as { schema: string };
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`;
      await waitFor(async () => (await host.dataSource.query(waiting)).length > 0);
    });
    await second;
    expect(await programs.get(id)).toMatchObject({ referralCreditAmount: '20.00', referralCreditDuration: 5 });
  });

  test('change for those to come only: sign-ups keep their terms, and credits stay as they were given', async () => {
    const { programs, referralCodes, signups, credits } = host.referrals;
    const program = await programs.create({
      ...{ name: 'then', referralCredit: { amount: 5, durationDays: 30, type }, beforeRewardUsageThreshold: 100 },
      rewardCredit: { amount: 10, durationDays: 60, type },
    });
    await referralCodes.create({ code: 'THEN', user: 'anna', program });
    const early = await signups.create({ user: 'early', code: 'THEN' });
    const [given] = await early.credits();
    const before = [{ ...early }, { ...given }];

    await program.update({
      ...{ name: 'now', referralCredit: { amount: 6, durationDays: 1, type: other }, beforeRewardUsageThreshold: 1 },
      rewardCredit: { amount: 99, durationDays: 1, type: other },
    });
    expect([{ ...(await early.refresh()) }, { ...(await given!.refresh()) }]).toEqual(before);

    const late = await signups.create({ user: 'late', code: 'THEN' });
    expect(late).toMatchObject({
      referralCreditAmount: '6.00',
      rewardCreditAmount: '99.00',
      rewardCreditTypeId: other.id,
    });
    await host.referrals.recordUsage('early', { amount: '99.9999', reference: 'almost' });
    await host.referrals.recordUsage('late', { amount: 1, reference: 'enough' });
    const rewards = { where: { userId: 'anna' } };
    expect(await credits.search(rewards)).toMatchObject([{ refereeId: 'late', initialBalance: '99.00' }]);
    await host.referrals.recordUsage('early', { amount: '0.0001', reference: 'enough' });
    expect(await credits.search(rewards)).toMatchObject([
      { refereeId: 'late' },
      { refereeId: 'early', initialBalance: '10.00', creditTypeId: type.id },
    ]);

    await program.update({ referralCredit: null, rewardCredit: null });
    expect((await early.refresh()).rewardCreditAmount).toBe('10.00');
    expect(await credits.search({ where: { refereeId: In(['early', 'late']) } })).toHaveLength(4);
    expect((await signups.create({ user: 'last', code: 'THEN' })).referralCreditAmount).toBeNull();
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('are deleted as long as nobody uses them, and else say who does', async () => {
    const { programs, referralCodes, signups } = host.referrals;
    const program = await programs.create({ name: 'to go', referralCredit: { amount: 5, durationDays: 30, type } });
    const code = await referralCodes.create({ code: 'GO', user: 'bob', program });
    await expect(program.delete()).rejects.toMatchObject({
      ...{ code: 'IN_USE', status: 409 },
      message: expect.stringMatching(/^The program \d+ can't be deleted: there are referrals with it/),
    });
    await signups.create({ user: 'goer', code: 'GO' });
    await code.update({ program: null });
    await host.dataSource.transaction(async (manager) => {
      await expect(program.delete({ manager })).rejects.toMatchObject({
        ...{ code: 'IN_USE', message: expect.stringContaining('people have signed up under it') },
      });
      expect(await programs.get(program.id, { manager })).toBeDefined();
    });
    const spare = await programs.create({ name: 'spare', referralCredit: { amount: 5, durationDays: 30, type } });
    await spare.delete();
    expect(await programs.getByName('spare', { optional: true })).toBeNull();
    expect(await programs.getByName('to go')).toBeDefined();
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
