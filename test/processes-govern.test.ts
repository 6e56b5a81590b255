import { type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, startWorker, type Worker } from './support/processes';

afterAll(closeAll);

interface Task {
  call: 'undo' | 'refund' | 'hold' | 'release' | 'reject' | 'adjust' | 'earnOut';
  user?: string | number;
  input?: object;
}

interface Answer {
  isDone?: boolean;
  error?: string;
}

const pairs = 24;
const reason = 'looks wrong';

let host: EarningsHost;
const ids: number[] = [];
const name = (n: number): string => `referrer ${n}`;
const buyer = (n: number): string => `buyer ${n}`;

/** Each referrer has earned 25.00 on one purchase, available now: half of them as credit, half as money. */
beforeEach(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
  ids.length = 0;
  await host.dataSource.query(`CREATE TABLE ${host.schema}.payouts
    (idempotency_key varchar PRIMARY KEY, user_id varchar NOT NULL, amount numeric NOT NULL, calls integer NOT NULL)`);
  for (let n = 0; n < pairs; n++) {
    const account = await host.referrals.accounts.of(name(n));
    if (n % 2 === 0) await account.update({ mode: 'payout', payoutEmail: `r${n}@example.org` });
    await refer(host, name(n), buyer(n));
    const { commission } = await host.referrals.recordPurchase(buyer(n), { amount: 100, reference: 'inv' });
    ids.push(commission!.id);
  }
  host.clock.advanceDays(40);
}, 120_000);

/** Does the tasks of each list in a process of its own, four at once. Returns the errors. */
async function inThree(...lists: Task[][]): Promise<string[]> {
  const env = { SCHEMA: JSON.parse(host.schema) as string, NOW: host.clock.time.toJSON() };
  const start = (): Promise<Worker<Answer>> => startWorker<Answer>('earnings-worker.js', env);
  const now = host.clock.time;
  const answers = await inProcesses(lists.length, start, (workers) =>
    Promise.all(workers.map(({ ask }, n) => ask({ tasks: lists[n]!, atOnce: 4, now }))),
  );
  return answers.flat().flatMap(({ error }) => (error === undefined ? [] : [error]));
}

const runs: Task[] = Array.from({ length: 4 }, () => ({ call: 'earnOut' }));
const ofEach = (call: Task['call']): Task[] => ids.map((id) => ({ call, user: id, input: { reason } }));

test('hold and release against earn-outs: each commission is held, or paid once', async () => {
  const errors = await inThree(runs, ofEach('hold'), [...ofEach('release'), ...ofEach('hold')].reverse());
  expect(errors.filter((error) => error !== 'COMMISSION_BOUND')).toEqual([]);
  const commissions = await host.referrals.commissions.list(ids);
  for (const { status, earnOutId } of commissions) {
    if (status === 'held') expect(earnOutId).toBeNull();
    else expect(status).toBe('available');
  }
  expect((await host.referrals.verify()).problems).toEqual([]);
  for (const id of ids) await host.referrals.commissions.release(id);
  await host.referrals.runEarnOuts();
  const earnOuts = await host.referrals.earnOuts.search();
  expect(earnOuts.map(({ amount, status }) => `${amount} ${status}`)).toEqual(Array(pairs).fill('25.00 completed'));
}, 300_000);

test('reject against earn-outs and refunds: nothing is left, and what was paid is owed', async () => {
  const refunds = ids.map((_, n): Task => {
    return { call: 'refund', user: buyer(n), input: { purchase: 'inv', reference: 're', amount: 40 } };
  });
  expect(await inThree(runs, ofEach('reject'), [...refunds, ...ofEach('reject')])).toEqual([]);
  for (const { status, amount } of await host.referrals.commissions.list(ids))
    expect([status, amount]).toEqual(['rejected', '0.00']);
  expect((await host.referrals.verify()).problems).toEqual([]);
  for (const n of ids.keys()) {
    const { creditsEarned, payoutsEarned, totalCreditsEarned } = await host.referrals.accounts.totals(name(n));
    const balance = Number(await host.referrals.credits.balance(name(n)));
    const [earnOut] = await host.referrals.earnOuts.search({ where: { userId: name(n), mode: 'payout' } });
    // What was paid of nothing is owed, or still there as credit that a debt of the same amount faces.
    expect(Number(creditsEarned) + balance).toBe(0);
    expect(Number(payoutsEarned) + Number(earnOut?.amount ?? 0)).toBe(0);
    expect(totalCreditsEarned).toBe('0.00');
  }
}, 300_000);

test('undoing against refunds and earn-outs: all is back, whatever came first', async () => {
  const refund =
    (reference: string) =>
    (_: unknown, n: number): Task => {
      return { call: 'refund', user: buyer(n), input: { purchase: 'inv', reference, amount: '33.33' } };
    };
  const undo =
    (reference: string) =>
    (_: unknown, n: number): Task => {
      return { call: 'undo', user: buyer(n), input: { reference, reason } };
    };
  await inThree(ids.map(refund('first')));
  const errors = await inThree(
    [...ids.map(undo('first')), ...ids.map(refund('second'))],
    [...ids.map(refund('second')), ...ids.map(undo('first'))],
    runs,
  );
  expect(errors).toEqual([]);
  expect(await inThree(ids.map(undo('second')), ids.map(undo('second')), runs)).toEqual([]);
  for (const { amount, status } of await host.referrals.commissions.list(ids))
    expect([amount, status]).toEqual(['25.00', 'available']);
  expect((await host.referrals.verify()).problems).toEqual([]);
}, 300_000);
