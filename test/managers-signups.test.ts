import type { EntityManager } from 'typeorm';
import { ReferralCredit, type ReferralError, ReferralSignup, ReferralSignupRefusal } from '../lib';
import { closeAll, type Host, startHost, waitFor } from './support/host';

afterAll(closeAll);

let host: Host;
let type: number;
let program: number;
beforeAll(async () => {
  host = await startHost();
  ({ id: type } = await host.referrals.creditTypes.create({ name: 'shop' }));
  const terms = { durationDays: 30, type };
  ({ id: program } = await host.referrals.programs.create({
    ...{ name: 'launch', referralCredit: { amount: 5, ...terms }, rewardCredit: { amount: '10.5', ...terms } },
    beforeRewardUsageThreshold: 100,
  }));
  await host.referrals.referralCodes.createMany([
    { code: 'PAID', user: 'anna', program },
    { code: 'FREE', user: 'bob' },
    { code: 'SITE' },
    { code: 'OVER', user: 'carl', expiredAt: new Date(Date.now() - 1) },
  ]);
});
const counts = (): Promise<number[]> =>
  Promise.all(
    [ReferralSignup, ReferralSignupRefusal, ReferralCredit].map((entity) =>
      host.dataSource.getRepository<object>(entity).count(),
    ),
  );
const uses = async (code: string): Promise<number> => (await host.referrals.referralCodes.getByCode(code)).uses;

describe('signups', () => {
  test('keep the terms of the day, and give the credit', async () => {
    const { signups } = host.referrals;
    const made = await signups.create({ user: { id: 7 }, code: ' paid ' });
    expect(made.toJSON()).toMatchObject({
      ...{
        userId: '7',
        referrerId: 'anna',
        programId: program,
        source: 'code',
        touchedAt: null,
        isSelfReferral: false,
      },
      ...{ referralCreditAmount: '5.00', referralCreditDuration: 30, referralCreditTypeId: type },
      ...{ rewardCreditAmount: '10.50', rewardCreditDuration: 30, rewardCreditTypeId: type },
      ...{ beforeRewardUsageThreshold: '100.00', recordedUsage: '0.00', thresholdReachedAt: null, noReward: null },
      weighed: { rule: 'typed-code', choice: 'PAID', candidates: [{ source: 'code', outcome: 'chosen' }] },
    });
    expect(await made.credits()).toMatchObject([{ userId: '7', kind: 'referral', initialBalance: '5.00' }]);
    expect(await signups.search({ where: { userId: '7' }, fields: ['referrerId'], plain: true })).toEqual([{ referrerId: 'anna' }]); // prettier-ignore
    await expect(signups.search({ where: { weighed: {} } as never })).rejects.toMatchObject({ field: 'where.weighed' });
    await expect(signups.search({ order: { weighed: 'ASC' } as never })).rejects.toMatchObject({
      field: 'order.weighed',
    });
  });

  test('are made once a user: the same code again answers the first, in any case', async () => {
    const { signups } = host.referrals;
    const made = await Promise.all(Array.from({ length: 10 }, () => signups.create({ user: 'crowd', code: 'FREE' })));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await uses('FREE')).toBe(1);
    const before = await counts();
    for (const code of ['free', 'FREE', ' Free '])
      expect((await signups.create({ user: 'crowd', code })).toJSON()).toEqual(made[0]!.toJSON());
    expect(await counts()).toEqual(before);
  });

  test('are refused with another code, which names both, and nothing is written', async () => {
    const { signups } = host.referrals;
    await signups.create({ user: 'settled', code: 'FREE' });
    const [before, paid, free] = [await counts(), await uses('PAID'), await uses('FREE')];
    const refusal = { name: 'ReferralError', code: 'SIGNUP_REFUSED', status: 409 };
    for (const code of ['PAID', 'paid', 'SITE', 'OVER', 'none', '   ', "' OR 1=1 --", '\ud800', 'x'.repeat(100_000)]) {
      await expect(signups.create({ user: 'settled', code })).rejects.toMatchObject(refusal);
      await host.dataSource.transaction(async (manager) => {
        await expect(signups.create({ user: 'settled', code }, { manager })).rejects.toMatchObject(refusal);
      });
    }
    await expect(signups.create({ user: 'settled', code: 'PAID' })).rejects.toThrow(
      /with the code "FREE", not with "PAID"/,
    );
    await host.referrals.referralCodes.create({ code: 'OWN', user: 'owner' });
    await expect(signups.create({ user: 'owner', code: 'PAID' })).resolves.toMatchObject({ userId: 'owner' });
    await expect(signups.create({ user: 'owner', code: 'OWN' })).rejects.toThrow(/"PAID", not with "OWN"/);
    const many = ['new', 'settled'].map((user) => ({ user, code: 'PAID' }));
    await expect(signups.createMany(many)).rejects.toMatchObject(refusal);
    expect([await counts(), await uses('PAID'), await uses('FREE')]).toEqual([
      [before[0]! + 1, before[1]!, before[2]! + 1],
      paid + 1,
      free,
    ]);
    expect(await signups.search({ where: { userId: 'new' } })).toEqual([]);
  });

  test('with two codes at once are made with one, and the other is refused', async () => {
    const { signups } = host.referrals;
    const users = Array.from({ length: 20 }, (_, index) => `both ${index}`);
    const asked = users.flatMap((user) => ['FREE', 'PAID'].map((code) => signups.create({ user, code })));
    const results = await Promise.allSettled(asked);
    const refused = results.filter((one) => one.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as ReferralError).code)).toEqual(users.map(() => 'SIGNUP_REFUSED'));
    expect(await signups.count({ where: { userId: 'both 0' } })).toBe(1);
  });

  test('answer the code of that day after it was changed', async () => {
    const { signups, referralCodes } = host.referrals;
    const code = await referralCodes.create({ code: 'BEFORE', user: 'rena' });
    const made = await signups.create({ user: 'renamed', code: 'BEFORE' });
    await code.update({ code: 'AFTER' });
    for (const same of ['before', 'After'])
      expect((await signups.create({ user: 'renamed', code: same })).id).toBe(made.id);
    await referralCodes.create({ code: 'ANOTHER', user: 'other' });
    await expect(signups.create({ user: 'renamed', code: 'ANOTHER' })).rejects.toThrow(/"AFTER", not with "ANOTHER"/);
  });

  test.each([
    ['unknown', 'none', /code/],
    ['that is none', "' OR 1=1 --", /code/],
    ['with half a surrogate pair', '\ud800', /code/],
    ['too long to be one', 'x'.repeat(100_000), /code/],
    ['expired', 'OVER', /expired/],
    ['of blanks', '   ', /[Nn]o code/],
  ])('are refused with a code %s, and nothing is written', async (_what, code, sentence) => {
    const { signups } = host.referrals;
    const before = await counts();
    await expect(signups.create({ user: 'refused', code })).rejects.toMatchObject({
      ...{ name: 'ReferralError', status: 409 },
      ...{ code: 'SIGNUP_REFUSED', message: expect.stringMatching(sentence) },
    });
    await host.dataSource.transaction(async (manager) => {
      await expect(signups.create({ user: 'refused', code }, { manager })).rejects.toMatchObject({
        code: 'SIGNUP_REFUSED',
      });
      expect(await signups.search({ where: { userId: 'refused' }, manager })).toEqual([]);
    });
    expect(await counts()).toEqual(before);
  });

  test("are refused with one's own code, and beyond the uses that a code allows", async () => {
    const { signups, referralCodes } = host.referrals;
    await expect(signups.create({ user: 'bob', code: 'FREE' })).rejects.toThrow(/refused: .*\bown\b/);
    await referralCodes.create({ code: 'FEW', user: 'dora', allowedUses: 3, program });
    const before = await counts();
    const asked = Array.from({ length: 10 }, (_, index) => signups.create({ user: `few ${index}`, code: 'FEW' }));
    const refused = (await Promise.allSettled(asked)).filter((one) => one.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as ReferralError).code)).toEqual(Array.from({ length: 7 }, () => 'SIGNUP_REFUSED')); // prettier-ignore
    expect(refused[0]!.reason).toMatchObject({ message: expect.stringMatching(/as many sign-ups|uses|used/) });
    expect(await uses('FEW')).toBe(3);
    expect(await counts()).toEqual([before[0]! + 3, before[1]!, before[2]! + 3]);
    expect((await referralCodes.getByCode('FEW')).referralIds).toHaveLength(3);
  });

  test('are made many at a time, all or none, and leave nothing of a rollback', async () => {
    const { signups } = host.referrals;
    const [before, usesBefore] = [await counts(), await uses('PAID')];
    const many = ['m1', 'm2'].map((user) => ({ user, code: 'PAID' }));
    await expect(signups.createMany([...many, { user: 'm3', code: 'none' }])).rejects.toMatchObject({
      code: 'SIGNUP_REFUSED',
    });
    await expect(
      host.dataSource.transaction(async (manager) => {
        await expect(signups.createMany([...many, { user: '', code: 'PAID' }], { manager })).rejects.toMatchObject({
          field: 'user',
        });
        expect(await signups.createMany(many, { manager })).toHaveLength(2);
        expect(await host.referrals.credits.balance('m1', { manager })).toBe('5.00');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await counts()).toEqual(before);
    expect(await uses('PAID')).toBe(usesBefore);
  });

  test('are never changed', async () => {
    const { signups } = host.referrals;
    const made = await signups.create({ user: 'steady', code: 'SITE' });
    const whole = made.toJSON();
    const forGood = { code: 'NOT_CHANGEABLE', status: 409, message: expect.stringContaining('sign-ups are permanent') };
    for (const changes of [{}, { code: 'FREE' }, { referrerId: 'eve' }, { rewardCreditAmount: '99' }])
      await expect(signups.update(made, changes)).rejects.toMatchObject(forGood);
    await host.dataSource.transaction(async (manager) => {
      await expect(signups.update(made, {}, { manager })).rejects.toMatchObject(forGood);
      expect((await signups.get(made.id, { manager })).toJSON()).toEqual(whole);
    });
  });

  test('with money on them, or promised by them, stay', async () => {
    const { signups, programs, referralCodes } = host.referrals;
    const later = await programs.create({
      ...{ name: 'later', rewardCredit: { amount: 1, durationDays: 1, type }, beforeRewardUsageThreshold: 1000 },
    });
    await referralCodes.create({ code: 'LATER', user: 'anna', label: 'later', program: later });
    const inUse = { code: 'IN_USE', status: 409, message: expect.stringContaining('its terms grant credit') };
    for (const code of ['PAID', 'LATER']) {
      const made = await signups.create({ user: `kept ${code}`, code });
      const before = [await counts(), await uses(code)];
      await expect(made.delete()).rejects.toMatchObject(inUse);
      await host.dataSource.transaction(async (manager) => {
        await expect(signups.delete(made, { manager })).rejects.toMatchObject(inUse);
        expect(await signups.get(made.id, { manager })).toBeDefined();
      });
      expect([await counts(), await uses(code)]).toEqual(before);
    }
  });

  test('without money can be taken back: the use is given back, and the usage counts for nobody', async () => {
    const { signups, referralCodes, credits } = host.referrals;
    await referralCodes.create({ code: 'ONE', user: 'erna', allowedUses: 1 });
    const made = await signups.create({ user: 'undecided', code: 'ONE' });
    await host.referrals.recordUsage('undecided', { amount: 150, reference: 'order 1' });
    expect((await made.refresh()).recordedUsage).toBe('150.00');
    await expect(signups.create({ user: 'next', code: 'ONE' })).rejects.toMatchObject({ code: 'SIGNUP_REFUSED' });

    await host.dataSource.transaction(async (manager) => {
      await made.delete({ manager });
      expect(await referralCodes.getByCode('ONE', { manager })).toMatchObject({ uses: 0, referralIds: [] });
      throw new Error('rolled back');
    }).catch((error: Error) => expect(error.message).toBe('rolled back')); // prettier-ignore
    expect((await made.refresh()).recordedUsage).toBe('150.00');

    const deleted = await Promise.allSettled(Array.from({ length: 5 }, () => signups.delete(made.id)));
    expect(deleted.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of deleted) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'NOT_FOUND' });
    expect(await referralCodes.getByCode('ONE')).toMatchObject({ uses: 0, referralIds: [] });
    await signups.create({ user: 'next', code: 'ONE' });
    expect(await uses('ONE')).toBe(1);

    const again = await signups.create({ user: 'undecided', code: 'PAID' });
    expect(again).toMatchObject({ referrerId: 'anna', recordedUsage: '0.00', thresholdReachedAt: null });
    await host.referrals.recordUsage('undecided', { amount: 150, reference: 'order 1' }); // the same again: recorded before this sign-up
    expect((await again.refresh()).recordedUsage).toBe('0.00');
    expect(await credits.search({ where: { userId: 'anna', refereeId: 'undecided' } })).toEqual([]);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  /** Does the second while the first waits to be committed. */
  async function oneAfterTheOther(
    first: (manager: EntityManager) => Promise<unknown>,
    second: () => Promise<unknown>,
  ): Promise<void> {
    const { schema } = host.dataSource.options as { schema: string };
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`;
    let done!: Promise<unknown>;
    await host.dataSource.transaction(async (manager) => {
      await first(manager);
      done = second();
      await waitFor(async () => (await host.dataSource.query(waiting)).length > 0);
    });
    await done;
  }

  test('taken back once usage was recorded leave nothing that is counted', async () => {
    const { signups } = host.referrals;
    const made = await signups.create({ user: 'torn', code: 'SITE' });
    await oneAfterTheOther(
      (manager) => host.referrals.recordUsage('torn', { amount: 1, reference: 'a', manager }),
      () => made.delete(),
    );
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  // The usage waits for the row lock of the sign-up, which is in its snapshot, and then finds the row deleted.
  test('taken back while usage waits for them leave nothing that is counted', async () => {
    const { signups } = host.referrals;
    const made = await signups.create({ user: 'torn again', code: 'SITE' });
    await oneAfterTheOther(
      (manager) => made.delete({ manager }),
      () => host.referrals.recordUsage('torn again', { amount: 1, reference: 'a' }),
    );
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});
