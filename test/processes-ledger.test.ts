import { randomInt } from 'node:crypto';
import { IsNull, Not } from 'typeorm';
import { Referral, ReferralUsage, type SpendInput } from '../lib';
import { closeAll } from './support/host';
import { inProcesses, killAfter, startWorker, type Worker } from './support/processes';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

interface Task {
  call: 'signUp' | 'use' | 'spend' | 'hold' | 'capture' | 'release' | 'refund';
  user: string;
  options: object;
  inTransaction?: boolean;
}

interface Answer {
  index: number;
  isDone?: boolean;
  error?: string;
}

const schemaOf = ({ dataSource }: RewardsHost): string => (dataSource.options as { schema: string }).schema;

/** Starts a process on the built package, that takes `{ tasks, atOnce }`. */
const starterOf = (host: RewardsHost) => (): Promise<Worker<Answer>> =>
  startWorker('ledger-worker.js', { SCHEMA: schemaOf(host) });

/** The same clock as the processes have, the database's, and a code with these terms. */
async function start(allowedUses: number): Promise<RewardsHost & { code: string }> {
  const host = await startRewards({ clock: undefined });
  const { manager } = host.dataSource;
  const given = { user: 'anna', redirectTo: '/', program: host.program, allowedUses };
  return { ...host, code: (await Referral.create(given, { manager })).code };
}

test('400 sign-ups at once from 8 processes, on a code for 100, are exactly 100', async () => {
  const host = await start(100);
  const { referrals, code } = host;
  const tasks = (process: number): Task[] =>
    Array.from({ length: 50 }, (_, n) => ({
      ...{ call: 'signUp', user: `user ${process}-${n}`, options: { code }, inTransaction: n % 2 === 0 },
    }));
  const answers = await inProcesses(8, starterOf(host), (workers) =>
    Promise.all(workers.map((worker, process) => worker.ask({ tasks: tasks(process), atOnce: 50 }))),
  );
  expect(answers.flat().filter(({ error }) => error !== undefined)).toEqual([]);
  expect(answers.flat().filter(({ isDone }) => isDone)).toHaveLength(100);
  expect(await referrals.referralCodes.getByCode(code)).toMatchObject({ uses: 100, allowedUses: 100 });
  expect(await referrals.signups.count()).toBe(100);
  expect((await referrals.explainSignup(await someRefused(host))).reason).toBe('used-up');
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

async function someRefused(host: RewardsHost): Promise<string> {
  const [row] = await host.dataSource.query<{ user_id: string }[]>(
    `SELECT user_id FROM "${schemaOf(host)}".referral_signup_refusals LIMIT 1`,
  );
  return row!.user_id;
}

test('one user who signs up, is used up and rewarded from 8 processes at once', async () => {
  const host = await start(-1);
  const { referrals, code } = host;
  const tasks: Task[] = [
    { call: 'signUp', user: 'carl', options: { code } },
    ...Array.from({ length: 20 }, (_, n): Task => {
      const options = { amount: '2.50', reference: `usage ${n}` };
      return { call: 'use', user: 'carl', options, inTransaction: n % 2 === 0 };
    }),
  ];
  const answers = await inProcesses(8, starterOf(host), (workers) =>
    Promise.all(
      workers.map(async (worker) => [
        ...(await worker.ask({ tasks: tasks.slice(0, 1), atOnce: 1 })),
        ...(await worker.ask({ tasks: tasks.slice(1), atOnce: 10 })),
      ]),
    ),
  );
  expect(answers.flat().filter(({ isDone }) => !isDone)).toEqual([]);
  expect(await referrals.signups.search()).toMatchObject([{ userId: 'carl', recordedUsage: '50.00' }]);
  expect([await referrals.credits.balance('carl'), await referrals.credits.balance('anna')]).toEqual([
    '25.00',
    '40.00',
  ]);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('50 spenders in 8 processes: exactly what there is', async () => {
  const host = await start(-1);
  const { referrals } = host;
  const creditType = (await referrals.creditTypes.getByName('compute')).id;
  for (const initialBalance of ['50', '30', '20'])
    await referrals.credits.create({ user: 'hot', creditType, initialBalance, durationDays: 10 });
  const tasks = (process: number): Task[] =>
    Array.from({ length: 25 }, (_, n) => ({
      ...{ call: n % 3 === 0 ? 'hold' : 'spend', user: 'hot', inTransaction: n % 4 === 0 },
      options: { amount: '1', reference: `${process}-${n}` } satisfies SpendInput,
    }));
  const answers = (
    await inProcesses(8, starterOf(host), (workers) =>
      Promise.all(workers.map((worker, process) => worker.ask({ tasks: tasks(process), atOnce: 7 }))),
    )
  ).flat();
  expect(answers.filter(({ isDone }) => isDone)).toHaveLength(100);
  expect(new Set(answers.map(({ error }) => error))).toEqual(new Set([undefined, 'INSUFFICIENT_CREDIT']));
  expect(await referrals.credits.balance('hot')).toBe('0.00');
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('processes killed at any moment leave nothing half done, and what is done again is done once', async () => {
  const host = await start(-1);
  const { referrals, code, dataSource } = host;
  const { manager } = dataSource;
  const users = Array.from({ length: 12 }, (_, n) => `user ${n}`);
  const perUser = 30;
  // Each user signs up, then uses, spends, and holds to capture or release; by several processes with the same
  // references.
  const tasks: Task[] = Array.from({ length: perUser }, (_, n) => n).flatMap((n) =>
    users.flatMap((user): Task[] => {
      const reference = `n ${n}`;
      const inTransaction = n % 2 === 0;
      const task = (call: Task['call'], options: object): Task => ({ call, user, options, inTransaction });
      return [
        task('use', { amount: '2', reference }),
        ...(n % 3 === 0
          ? [task('spend', { amount: '0.5', reference })]
          : [
              task('hold', { amount: '0.5', reference }),
              n % 3 === 1 ? task('capture', { reference, amount: '0.25' }) : task('release', { reference }),
            ]),
      ];
    }),
  );
  const signUps = users.map((user): Task => ({ call: 'signUp', user, options: { code } }));
  const done = new Set<number>();
  const errors = new Set<string | undefined>();
  for (let round = 0; round < 4; round++) {
    const workers = await Promise.all([0, 1, 2].map(starterOf(host)));
    const from = Math.floor((round * tasks.length) / 5);
    // In the first round, the processes can be killed before all users have signed up.
    const acknowledge = killAfter((round === 0 ? 1 : 20) + randomInt(100), workers);
    const note = ({ index, isDone, error }: Answer): void => {
      errors.add(error);
      const task = index - signUps.length + (index < signUps.length ? 0 : from); // sign-ups are below 0
      if (!isDone || done.has(task)) return;
      done.add(task);
      acknowledge();
    };
    const given = { tasks: [...signUps, ...tasks.slice(from)], atOnce: 4 };
    await Promise.all(workers.map((worker) => worker.ask(given, note)));
    for (const { child } of workers) expect(child.signalCode).toBe('SIGKILL');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  }
  // A capture can run before its hold, which another process runs, or which was killed. Other errors must not occur.
  errors.delete(undefined);
  for (const error of errors) expect(['NOT_FOUND', 'INSUFFICIENT_CREDIT']).toContain(error);
  expect(done.size).toBeGreaterThan(50);

  // A process that is not killed repeats all calls. The references make them idempotent.
  const calls: Record<Task['call'], (user: string, options: never) => Promise<unknown>> = {
    signUp: (user, options: object) => Referral.recordSignup(null, user, { ...options, manager }),
    use: (user, options) => referrals.recordUsage(user, options),
    spend: (user, options) => referrals.credits.spend(user, options),
    hold: (user, options) => referrals.credits.hold(user, options),
    capture: (user, options: object) => referrals.credits.capture({ user, ...options } as never),
    release: (user, options: object) => referrals.credits.release({ user, ...options } as never),
    refund: (user, options: object) => referrals.credits.refund({ user, ...options } as never),
  };
  for (const { call, user, options } of [...signUps, ...tasks]) await calls[call](user, options as never);
  for (const user of users) {
    // Of 30: 10 spends of 0.50, 10 captures of 0.25.
    expect(await referrals.credits.balance(user)).toBe('17.50');
    expect(await referrals.signups.search({ where: { userId: user } })).toHaveLength(1);
    // Usage that a process recorded before another process made the sign-up is stored, but does not count.
    expect(await dataSource.getRepository(ReferralUsage).countBy({ userId: user })).toBe(perUser);
  }
  const rewarded = await referrals.signups.search({ where: { thresholdReachedAt: Not(IsNull()) } });
  expect(rewarded.length).toBeGreaterThan(users.length / 2);
  expect(await referrals.credits.balance('anna')).toBe(`${rewarded.length * 40}.00`);
  expect(await referrals.referralCodes.getByCode(code)).toMatchObject({ uses: users.length });
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
