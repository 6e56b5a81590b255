import type { ReferralProgram, RewardLimit } from '../lib';
import { expectRefusals, fresh, startEarnings, type EarningsHost } from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, startWorker, type Worker } from './support/processes';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
  await host.referrals.creditTypes.create({ name: 'reward' });
});

const rewardType = async (): Promise<number> => (await host.referrals.creditTypes.getByName('reward')).id;

/** A code of a new referrer, whose sign-ups are rewarded with 10 once they have used the threshold. */
async function start(rewardLimit: RewardLimit | null, threshold = '0') {
  const referrer = fresh('referrer');
  const program = await host.referrals.programs.create({
    ...{ name: fresh('program'), beforeRewardUsageThreshold: threshold, rewardLimit },
    rewardCredit: { amount: 10, durationDays: 1000, type: await rewardType() },
  });
  const { code } = await host.referrals.referralCodes.create({ code: fresh('CODE'), user: referrer, program });
  return { referrer, program, code };
}

const signUp = (code: string, user = fresh()) => host.referrals.signups.create({ user, code });
const use = (user: string, amount: number, reference = fresh()) =>
  host.referrals.recordUsage(user, { amount, reference });
const rewards = async (referrer: string): Promise<number> =>
  host.referrals.credits.count({ where: { userId: referrer } });
const isSound = async (): Promise<void> => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
};

test('in all: what is above it is not granted, and the sign-up says so', async () => {
  const { referrer, program, code } = await start({ count: 2, period: 'all' });
  expect(program).toMatchObject({ rewardLimitCount: 2, rewardLimitPeriod: 'all' });
  const made = [await signUp(code), await signUp(code)];
  host.clock.advanceDays(400);
  made.push(await signUp(code));
  expect(made.map(({ noReward }) => noReward)).toEqual([null, null, 'limit-reached']);
  expect(made[2]!.thresholdReachedAt).not.toBeNull();
  expect(await rewards(referrer)).toBe(2);
  expect((await host.referrals.explainSignup(made[2]!.userId)).signup).toMatchObject({ noReward: 'limit-reached' });
  // Repeated, nothing is granted or counted again.
  await signUp(code, made[0]!.userId);
  await use(made[2]!.userId, 5);
  expect(await rewards(referrer)).toBe(2);
  await isSound();
});

test.each([
  ['month', '2026-07-31T23:59:59.999Z', '2026-08-01T00:00:00.000Z'],
  ['quarter', '2026-09-30T23:59:59.999Z', '2026-10-01T00:00:00.000Z'],
  ['year', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.000Z'],
] as const)(
  'by the calendar %s in UTC, of the moment at which the threshold is reached',
  async (period, last, first) => {
    const before = host.clock.time;
    const { referrer, code } = await start({ count: 1, period }, '50');
    host.clock.time = new Date(last);
    const users = [fresh(), fresh(), fresh()];
    for (const user of users) await signUp(code, user);
    for (const user of users) await use(user, 49);
    expect(await rewards(referrer)).toBe(0);
    await use(users[0]!, 1);
    await use(users[1]!, 1);
    expect(await rewards(referrer)).toBe(1);
    host.clock.time = new Date(first);
    await use(users[1]!, 100); // it was decided
    expect(await rewards(referrer)).toBe(1);
    await use(users[2]!, 1);
    expect(await rewards(referrer)).toBe(2);
    const noReward = (await host.referrals.signups.search({ where: users.map((userId) => ({ userId })) })).map(
      (signup) => signup.noReward,
    );
    expect(noReward).toEqual([null, 'limit-reached', null]);
    await isSound();
    host.clock.time = before;
  },
);

test('a usage that is repeated, or corrected, is counted once', async () => {
  const { referrer, code } = await start({ count: 1, period: 'month' }, '50');
  const [one, two] = [fresh(), fresh()];
  for (const user of [one, two]) await signUp(code, user);
  for (const _ of [1, 2]) await use(one, 60, `${one} once`);
  await use(one, -20);
  await use(one, 20);
  await use(two, 50);
  expect(await rewards(referrer)).toBe(1);
  await isSound();
});

test('a change applies to later sign-ups; a code with terms of its own has a limit too', async () => {
  const { referrer, program, code } = await start({ count: 1, period: 'all' });
  await signUp(code);
  await program.update({ rewardLimit: { count: 2, period: 'all' } });
  await signUp(code);
  expect((await signUp(code)).noReward).toBe('limit-reached');
  await program.update({ rewardLimit: null });
  expect(program).toMatchObject({ rewardLimitCount: null, rewardLimitPeriod: null });
  expect((await signUp(code)).noReward).toBeNull();
  expect(await rewards(referrer)).toBe(3);

  const owner = fresh('owner');
  const own = await host.referrals.referralCodes.create({
    ...{ code: fresh('OWN'), user: owner, rewardCreditAmount: 5, rewardCreditDuration: 9 },
    ...{ rewardCreditType: await rewardType(), rewardLimit: { count: 1, period: 'year' } },
  });
  expect(own).toMatchObject({ rewardLimitCount: 1, rewardLimitPeriod: 'year' });
  for (const _ of [1, 2]) await signUp(own.code);
  expect(await rewards(owner)).toBe(1);
  await isSound();
});

test('limits each referrer by itself, and not the credit of referees', async () => {
  const { program } = await start({ count: 1, period: 'all' });
  await program.update({ referralCredit: { amount: 3, durationDays: 9, type: await rewardType() } });
  for (const user of [fresh('other'), fresh('other')]) {
    const { code } = await host.referrals.referralCodes.create({ code: fresh('CODE'), user, program });
    const referees = [await signUp(code), await signUp(code)];
    expect(await rewards(user)).toBe(1);
    for (const { userId } of referees) expect(await rewards(userId)).toBe(1);
  }
  await isSound();
});

test('a reward whose sign-up has left its referrer stays counted, and one that was not granted makes room', async () => {
  const { referrals, dataSource, schema } = host;
  const { referrer, code } = await start({ count: 2, period: 'all' });
  const [reassigned, merged, other] = [await signUp(code), await signUp(code), fresh()];
  const said = { reason: 'mistyped' };
  const countsOf = async (user: string): Promise<unknown[]> =>
    dataSource.query(`SELECT rewards, departed FROM ${schema}.referral_reward_counts WHERE user_id = $1`, [user]);
  await referrals.signups.reassign(reassigned.userId, { code: null, ...said });
  expect(await countsOf(referrer)).toEqual([{ rewards: 2, departed: 1 }]);
  host.clock.advanceDays(-1);
  const { code: earlier } = await start({ count: 1, period: 'year' });
  await signUp(earlier, other);
  host.clock.advanceDays(1);
  await referrals.mergeUsers(merged.userId, other, said);
  expect(await countsOf(referrer)).toEqual([{ rewards: 2, departed: 2 }]);
  await isSound();
  expect((await signUp(code)).noReward).toBe('limit-reached');
  // A count that was raised is found.
  for (const column of ['rewards', 'departed'])
    await dataSource.transaction(async (manager) => {
      await manager.query(`UPDATE ${schema}.referral_reward_counts SET ${column} = ${column} + 1 WHERE user_id = $1`, [
        referrer,
      ]);
      const { problems } = await referrals.verify({ manager });
      expect(problems).toMatchObject([{ invariant: 'each reward with a limit is counted' }]);
      await manager.query(`UPDATE ${schema}.referral_reward_counts SET ${column} = ${column} - 1 WHERE user_id = $1`, [
        referrer,
      ]);
    });
});

test('a reward that waits for a review leaves no trace when the sign-up is reassigned', async () => {
  const isRobot = (user: string): boolean => user.startsWith('robot');
  const held = await startEarnings({
    fraud: { rule: { do: 'hold', find: ({ referee }) => (isRobot(referee) ? 'a robot' : null) } },
  });
  const { referrals } = held;
  const type = await referrals.creditTypes.create({ name: 'reward' });
  const program = await referrals.programs.create({
    ...{ name: 'limited', rewardLimit: { count: 1, period: 'all' } },
    rewardCredit: { amount: 10, durationDays: 1000, type },
  });
  const { code } = await referrals.referralCodes.create({ code: 'LIMITED', user: 'anna', program });
  const [one, two, three] = [fresh('robot'), fresh(), fresh()];
  await referrals.signups.create({ user: one, code });
  expect((await referrals.signups.create({ user: two, code })).noReward).toBe('limit-reached');
  await referrals.signups.reassign(one, { code: null, reason: 'mistyped' });
  // What the limit has refused meanwhile stays refused.
  expect(await referrals.verify()).toMatchObject({ problems: [] });
  expect((await referrals.signups.create({ user: three, code })).noReward).toBeNull();
  expect(await referrals.verify()).toMatchObject({ problems: [] });
});

test('thresholds reached at once in four processes are exactly so many rewards', async () => {
  const real = await startEarnings({ clock: undefined });
  const { referrals } = real;
  const type = await referrals.creditTypes.create({ name: 'reward' });
  const program: ReferralProgram = await referrals.programs.create({
    ...{ name: 'limited', beforeRewardUsageThreshold: '5', rewardLimit: { count: 7, period: 'all' } },
    rewardCredit: { amount: 10, durationDays: 100, type },
  });
  const { code } = await referrals.referralCodes.create({ code: 'FEW', user: 'anna', program });
  const users = Array.from({ length: 40 }, (_, n) => `user ${n}`);
  const task = (call: string, options: object) => (user: string, n: number) => ({
    ...{ call, user, options, inTransaction: n % 2 === 0 },
  });
  const tasks = [
    ...users.map(task('signUp', { code })),
    ...users.map(task('use', { amount: '5', reference: 'all at once' })),
  ];
  const answers = await inProcesses(
    4,
    (): Promise<Worker<{ isDone?: boolean; error?: string }>> =>
      startWorker('ledger-worker.js', { SCHEMA: JSON.parse(real.schema) as string }),
    async (workers) => {
      const signUps = await workers[0]!.ask({ tasks: tasks.slice(0, 40), atOnce: 10 });
      const uses = await Promise.all(workers.map(({ ask }) => ask({ tasks: tasks.slice(40), atOnce: 10 })));
      return [...signUps, ...uses.flat()];
    },
  );
  expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(await referrals.credits.count({ where: { userId: 'anna' } })).toBe(7);
  expect(await referrals.signups.count({ where: { noReward: 'limit-reached' } })).toBe(33);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('wrong limits are refused', async () => {
  const wrong: [string, unknown][] = [
    ['rewardLimit', 5],
    ['rewardLimit', []],
    ['rewardLimit.count', { count: 0, period: 'all' }],
    ['rewardLimit.count', { count: '3', period: 'all' }],
    ['rewardLimit.period', { count: 3 }],
    ['rewardLimit.period', { count: 3, period: 'week' }],
  ];
  const inputs = wrong.map(([field, rewardLimit]) => [field, { rewardLimit }] as const);
  const { programs, referralCodes } = host.referrals;
  const program = await programs.create({ name: fresh('program') });
  await expectRefusals(host, inputs, (input, options) =>
    programs.create({ name: fresh(), ...input } as never, options),
  );
  await expectRefusals(host, inputs, (input, options) => programs.update(program, input as never, options));
  await expectRefusals(host, inputs, (input, options) =>
    referralCodes.create({ user: '1', ...input } as never, options),
  );
});
