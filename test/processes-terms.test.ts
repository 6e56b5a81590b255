import { type EarningsHost, fresh, startEarnings } from './support/earnings';
import { closeAll } from './support/host';
import { killAfter, type Process, startWorker } from './support/processes';

afterAll(closeAll);

interface Task {
  call: 'purchase' | 'qualify';
  user: string;
  input: object;
  inTransaction: boolean;
}

interface Worker extends Process {
  work(tasks: Task[], acknowledge?: () => void): Promise<{ error?: string }[]>;
}

async function start({ clock, schema }: EarningsHost): Promise<Worker> {
  const env = { SCHEMA: JSON.parse(schema) as string, NOW: clock.time.toJSON() };
  const { child, ask } = await startWorker<{ error?: string }>('earnings-worker.js', env);
  return { child, work: (tasks, acknowledge) => ask({ tasks, atOnce: 4, now: clock.time }, acknowledge) };
}

test('processes that record for many buyers of one referrer, one of which is killed, never exceed the limit', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  await host.dataSource.query(
    `CREATE TABLE ${host.schema}.payouts (idempotency_key text PRIMARY KEY, user_id text, amount numeric, calls integer)`,
  );
  const referrer = fresh('referrer');
  await referrals.accounts.update(await referrals.accounts.of(referrer), {
    commission: {
      ...{ ratio: '0.25', maxPerReferee: '7', signup: '3', qualify: true },
      maxPerReferrer: { amount: '100', period: 'month' },
    },
  });
  const { code } = await referrals.referralCodes.create({ user: referrer, code: fresh('code'), label: 'own' });
  const buyers = Array.from({ length: 20 }, () => fresh('buyer'));
  for (const user of buyers) await referrals.signups.create({ user, code });
  const tasks = buyers.flatMap((user, index): Task[] => [
    { call: 'purchase', user, input: { amount: '9.99', reference: 'one' }, inTransaction: index % 2 === 0 },
    { call: 'qualify', user, input: { reference: 'q' }, inTransaction: index % 3 === 0 },
    { call: 'purchase', user, input: { amount: '19', reference: 'two' }, inTransaction: false },
  ]);
  const workers = await Promise.all([start(host), start(host), start(host)]);
  const [victim, ...others] = workers;
  await Promise.all([
    victim.work(tasks, killAfter(15, [victim])),
    ...others.map((worker, index) => worker.work(index === 0 ? [...tasks].reverse() : tasks)),
  ]);
  // Whoever was told nothing repeats the call.
  for (const { error } of await others[0].work(tasks)) expect(error).toBeUndefined();
  const { totalCreditsEarned } = await referrals.accounts.totals(referrer);
  expect(totalCreditsEarned).toBe('100.00');
  expect(await referrals.commissions.count({ where: { kind: 'sign-up', userId: referrer } })).toBeLessThanOrEqual(20);
  expect((await referrals.verify()).problems).toEqual([]);
  for (const { child } of others) child.kill();
});
