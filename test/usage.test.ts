import { Referral } from '../lib';
import { closeAll } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

/** A program's threshold is 50, its reward 40. */
async function startWithReferee(referee = 'carl'): Promise<RewardsHost & { code: string }> {
  const host = await startRewards();
  const { manager } = host.dataSource;
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program: host.program }, { manager });
  await Referral.recordSignup(null, referee, { code, manager });
  host.told.length = 0;
  return { ...host, code };
}

const schemaOf = ({ dataSource }: RewardsHost): string => `"${(dataSource.options as { schema: string }).schema}"`;

test('the referrer is rewarded once the sum reaches the threshold, for as long as the program says', async () => {
  const { referrals, told, clock } = await startWithReferee();
  const use = (amount: string | number, reference: string) => referrals.recordUsage('carl', { amount, reference });
  await use('12.50', 'one');
  await use(37.4999, 'two');
  expect(told).toEqual([]);
  clock.advanceDays(1);
  await use('0.0001', 'three');
  expect(told).toEqual(['granted anna 40.00']);
  await use('500', 'four');
  await use('-540', 'a correction');
  expect(told).toEqual(['granted anna 40.00']);
  expect(await referrals.credits.balance('anna')).toBe('40.00');
  const [reward] = await referrals.credits.search({ where: { userId: 'anna' } });
  const days = (reward!.expiryDate.getTime() - reward!.startDate.getTime()) / 86_400_000;
  expect([reward!.startDate, days, reward!.kind, reward!.refereeId]).toEqual([clock.time, 180, 'reward', 'carl']);
  expect(reward!.name).toMatch(/^launch: reward for sign-up \d+ with \w+$/);
  expect(await reward!.signup()).toMatchObject({ userId: 'carl', recordedUsage: '10.00' });
  expect(await referrals.verify()).toMatchObject({ ok: true });
});

test('the same again answers the first; another amount for the reference is an error', async () => {
  const { referrals } = await startWithReferee();
  const first = await referrals.recordUsage('carl', { amount: '10', reference: 'one' });
  expect(first).toMatchObject({ userId: 'carl', reference: 'one', amount: '10.00', isCounted: true });
  expect(await referrals.recordUsage('carl', { amount: 10, reference: 'one' })).toEqual(first);
  await expect(referrals.recordUsage('carl', { amount: '11', reference: 'one' })).rejects.toMatchObject({
    ...{ code: 'REFERENCE_REUSED', status: 409 },
    message: expect.stringMatching(/"one".*10\.00.*11/),
  });
  await referrals.recordUsage('dora', { amount: '11', reference: 'one' }); // another user's
  const [signup] = await referrals.signups.search({ where: { userId: 'carl' } });
  expect(signup!.recordedUsage).toBe('10.00');
});

test('usage from before the sign-up does not count, nor that of somebody without one', async () => {
  const { referrals, code, dataSource } = await startWithReferee();
  expect(await referrals.recordUsage('dora', { amount: 1000, reference: 'early' })).toMatchObject({ isCounted: false });
  const signup = await Referral.recordSignup(null, 'dora', { code, manager: dataSource.manager });
  await referrals.recordUsage('dora', { amount: 1000, reference: 'early' });
  expect(await signup!.refresh()).toMatchObject({ recordedUsage: '0.00', thresholdReachedAt: null });
  await referrals.recordUsage('dora', { amount: 49, reference: 'late' });
  expect(await referrals.credits.balance('anna')).toBe('0.00');
  expect(await referrals.verify()).toMatchObject({ ok: true });
});

test('once, whatever the order, repetition or concurrency', async () => {
  const { referrals, told } = await startWithReferee();
  const calls = Array.from({ length: 60 }, (_, n) =>
    referrals.recordUsage('carl', { amount: '5', reference: `usage ${n % 12}` }),
  );
  await Promise.all(calls);
  expect(told).toEqual(['granted anna 40.00']);
  const [signup] = await referrals.signups.search({ where: { userId: 'carl' } });
  expect(signup!.recordedUsage).toBe('60.00');
  expect(await referrals.verify()).toMatchObject({ ok: true });
});

test('at the sign-up, where the threshold is 0', async () => {
  const { referrals, dataSource, told, program } = await startRewards();
  const { manager } = dataSource;
  await program.update({ beforeRewardUsageThreshold: '0' });
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager });
  await Referral.recordSignup(null, 'carl', { code, manager });
  expect(told).toEqual(['signup carl', 'granted carl 25.00', 'granted anna 40.00']);
  expect(await referrals.verify()).toMatchObject({ ok: true });
});

test('a sign-up keeps the terms of its day', async () => {
  const { referrals, program, code, dataSource } = await startWithReferee();
  const { manager } = dataSource;
  await program.update({
    ...{ beforeRewardUsageThreshold: '5000', referralCredit: { amount: '1' }, rewardCredit: null },
  });
  await referrals.recordUsage('carl', { amount: 50, reference: 'all' });
  expect(await referrals.credits.balance('anna')).toBe('40.00');
  expect(await referrals.credits.balance('carl')).toBe('25.00');
  await Referral.recordSignup(null, 'dora', { code, manager });
  await referrals.recordUsage('dora', { amount: 5000, reference: 'all' });
  expect(await referrals.credits.balance('dora')).toBe('1.00');
  expect(await referrals.credits.balance('anna')).toBe('40.00');
  expect(await referrals.verify()).toMatchObject({ ok: true });
});

test('commits and rolls back with the host, and leaves a failing call behind', async () => {
  const { referrals, dataSource, told } = await startWithReferee();
  const rolledBack = dataSource.transaction(async (manager) => {
    await referrals.recordUsage('carl', { amount: 60, reference: 'one', manager });
    throw new Error('no');
  });
  await expect(rolledBack).rejects.toThrow('no');
  expect(told).toEqual([]);
  await dataSource.transaction(async (manager) => {
    await referrals.recordUsage('carl', { amount: 10, reference: 'one', manager });
    await expect(referrals.recordUsage('carl', { amount: 11, reference: 'one', manager })).rejects.toThrow(
      'stands for',
    );
    await referrals.recordUsage('carl', { amount: 40, reference: 'two', manager });
  });
  expect(told).toEqual(['granted anna 40.00']);
});

test.each<[string, unknown]>([
  ['amount', NaN],
  ['amount', Infinity],
  ['amount', '1e3'],
  ['amount', 1e21],
  ['amount', '1.00001'],
  ['amount', 0.1 + 0.2],
  ['amount', '12345678901234567'],
  ['amount', ' 1'],
  ['amount', '1,5'],
  ['amount', ''],
  ['amount', null],
  ['amount', 10n ** 200n],
  ['amount', ['5']],
  ['reference', ''],
  ['reference', 'x'.repeat(256)],
  ['reference', 'a\u0000'],
  ['reference', 5],
  ['ammount', '5'],
])('%s %p is refused, and nothing written', async (field, value) => {
  const { referrals } = (shared ??= await startWithReferee());
  const call = referrals.recordUsage('carl', { amount: '1', reference: 'one', [field]: value });
  await expect(call).rejects.toMatchObject({ code: 'INVALID_INPUT', status: 400, field });
  const [signup] = await referrals.signups.search({ where: { userId: 'carl' } });
  expect(signup!.recordedUsage).toBe('0.00');
});
let shared: Awaited<ReturnType<typeof startWithReferee>> | undefined;

describe('one side’s failure neither blocks nor repeats the other', () => {
  test.each([
    ['referral', 'reward'],
    ['reward', 'referral'],
  ])('%s', async (failing, other) => {
    const host = await startRewards();
    const { referrals, dataSource, program, errors, told } = host;
    const { manager } = dataSource;
    const table = `${schemaOf(host)}.referral_credits`;
    await program.update({ beforeRewardUsageThreshold: 0 });
    const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program }, { manager });
    await dataSource.query(`ALTER TABLE ${table} ADD CONSTRAINT of_host CHECK (kind <> '${failing}')`);
    const kinds = async (): Promise<string[]> => (await referrals.credits.search()).map(({ kind }) => kind);

    await dataSource.transaction(async (within) => {
      expect(await Referral.recordSignup(null, 'carl', { code, manager: within })).toMatchObject({ userId: 'carl' });
    });
    expect(await kinds()).toEqual([other]);
    expect(errors).toMatchObject([{ constraint: 'of_host' }]);
    expect((await referrals.verify()).problems).toMatchObject([{ table: 'referral_signups', found: null }]);

    await dataSource.query(`ALTER TABLE ${table} DROP CONSTRAINT of_host`);
    for (let again = 0; again < 2; again++) await Referral.recordSignup(null, 'carl', { code, manager });
    expect((await kinds()).sort()).toEqual(['referral', 'reward']);
    expect(told.filter((event) => event.startsWith('granted'))).toHaveLength(2);
    expect(await referrals.verify()).toMatchObject({ ok: true });
  });

  test('a reward that fails is made up for by the next call, also by a repeated one', async () => {
    const host = await startWithReferee();
    const { referrals, dataSource, errors } = host;
    const table = `${schemaOf(host)}.referral_credits`;
    await dataSource.query(`ALTER TABLE ${table} ADD CONSTRAINT of_host CHECK (kind <> 'reward')`);
    const use = () => referrals.recordUsage('carl', { amount: 50, reference: 'all' });
    const first = await use();
    expect(errors).toHaveLength(1);
    expect(await referrals.credits.balance('anna')).toBe('0.00');
    await dataSource.query(`ALTER TABLE ${table} DROP CONSTRAINT of_host`);
    expect(await use()).toEqual(first);
    expect(await referrals.credits.balance('anna')).toBe('40.00');
    expect(await referrals.verify()).toMatchObject({ ok: true });
  });
});
