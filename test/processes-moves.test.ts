import { randomInt } from 'node:crypto';
import { type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, killAfter, startWorker, type Worker } from './support/processes';

afterAll(closeAll);

/** `SEED=… npx jest test/processes-moves` for the same kills again; the machine decides the rest. */
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
let state = seed;
const random = (below: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >>> 8) % below;
};

interface Task {
  call: 'purchase' | 'refund' | 'undo' | 'reassign' | 'merge' | 'signup' | 'earnOut';
  user: string;
  input: object;
  inTransaction?: boolean;
}

interface Answer {
  error?: string;
}

const reason = 'mistyped';

/** Does the lists of tasks in a process each, four tasks at once, and kills the last process on its way. */
async function inProcessesOf(host: EarningsHost, lists: readonly Task[][], isKilled: boolean): Promise<string[]> {
  const env = { SCHEMA: JSON.parse(host.schema) as string, NOW: host.clock.time.toJSON() };
  const start = (): Promise<Worker<Answer>> => startWorker<Answer>('earnings-worker.js', env);
  const answers = await inProcesses(lists.length, start, (workers) => {
    const last = workers.at(-1)!;
    const step = killAfter(isKilled ? 1 + random(lists.at(-1)!.length) : Infinity, [last]);
    return Promise.all(
      workers.map((worker, n) =>
        worker.ask({ tasks: lists[n]!, atOnce: 4, now: host.clock.time }, worker === last ? step : undefined),
      ),
    );
  });
  return answers.flat().flatMap(({ error }) => error ?? []);
}

const shuffled = <T>(all: readonly T[]): T[] => {
  const rest = [...all];
  return all.map(() => rest.splice(random(rest.length), 1)[0]!);
};

test('reassignments against purchases, refunds, undone ones and earn-outs: nothing is lost or earned twice', async () => {
  console.log(`SEED=${seed}`);
  const host = await startEarnings({ earnOuts: { payout: () => undefined } });
  const { referrals, clock } = host;
  await host.dataSource.query(`CREATE TABLE ${host.schema}.payouts
    (idempotency_key varchar PRIMARY KEY, user_id varchar NOT NULL, amount numeric NOT NULL, calls integer NOT NULL)`);
  const owners = ['anna', 'otto'];
  const codes = await Promise.all(owners.map((owner) => refer(host, owner, `first of ${owner}`)));
  const buyers = Array.from({ length: 8 }, (_, n) => `buyer ${n}`);
  for (const user of buyers) {
    await referrals.signups.create({ user, code: codes[0]!.code });
    for (const reference of ['old', 'half', 'all']) await referrals.recordPurchase(user, { amount: 100, reference });
    await referrals.recordRefund(user, { purchase: 'all', reference: 'disputed' });
  }
  clock.advanceDays(40);
  const tasks = buyers.flatMap((user): Task[] => [
    { call: 'purchase', user, input: { amount: 20, reference: 'new' } },
    { call: 'refund', user, input: { purchase: 'half', reference: 'r1', amount: 30 } },
    { call: 'refund', user, input: { purchase: 'half', reference: 'r2', amount: 20 }, inTransaction: true },
    { call: 'undo', user, input: { reference: 'disputed', reason } },
    ...[null, 1, 0, 1].map((to, n): Task => {
      const referral = to === null ? null : codes[to]!.id;
      return {
        call: 'reassign',
        user,
        input: { referral, reason, past: n === 3 ? 'keep' : 'move' },
        inTransaction: n > 1,
      };
    }),
  ]);
  const runs: Task[] = Array.from({ length: 3 }, () => ({ call: 'earnOut', user: '', input: {} }));
  for (let round = 0; round < 3; round++) {
    const lists = [tasks, [...tasks, ...(round === 2 ? runs : [])], tasks].map((list) => shuffled(list));
    expect(await inProcessesOf(host, lists, true)).toEqual([]);
    expect((await referrals.verify()).problems).toEqual([]);
  }
  // Whoever has it: a quarter of what is left of the purchases.
  for (const user of buyers) {
    await referrals.signups.reassign(user, { referral: null, reason, past: 'move' });
    const { past } = await referrals.signups.reassign(user, { referral: codes[0]!, reason, past: 'move' });
    const commissions = await referrals.commissions.search({ where: { refereeId: user, movedAt: null }, take: 100 });
    expect(new Set(commissions.map(({ purchase }) => purchase)).size).toBe(commissions.length);
    const of = new Map(commissions.map(({ purchase, amount }) => [purchase, amount]));
    expect(Object.fromEntries(of)).toEqual({ old: '25.00', half: '12.50', all: '25.00', new: '5.00' });
    expect(past).not.toBeNull();
  }
  expect((await referrals.verify()).problems).toEqual([]);
}, 600_000);

test('merges against sign-ups and purchases: the user who goes leaves nothing behind that counts twice', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  const codes = await Promise.all(['anna', 'otto'].map((owner) => refer(host, owner, `first of ${owner}`)));
  for (let round = 0; round < 3; round++) {
    const pairs = Array.from({ length: 4 }, (_, n) => [`${round} goes ${n}`, `${round} stays ${n}`] as const);
    const tasks = pairs.flatMap(([from, into]): Task[] => [
      ...[from, into].flatMap((user, n): Task[] => [
        { call: 'signup', user, input: { code: codes[n]!.code } },
        { call: 'purchase', user, input: { amount: 40, reference: `of ${user}` } },
        { call: 'refund', user, input: { purchase: `of ${user}`, reference: `back of ${user}`, amount: 10 } },
      ]),
      { call: 'merge', user: from, input: { into, reason } },
      { call: 'reassign', user: into, input: { referral: codes[round % 2]!.id, reason, past: 'move' } },
    ]);
    const errors = await inProcessesOf(host, [shuffled(tasks), shuffled(tasks), shuffled(tasks)], true);
    const expected = new Set(['SIGNUP_REFUSED', 'NOT_FOUND', 'REFERENCES_CLASH', 'DATABASE_UNAVAILABLE']);
    expect(errors.filter((error) => !expected.has(error))).toEqual([]);
    expect((await referrals.verify()).problems).toEqual([]);
    for (const [from, into] of pairs) {
      const isClash = (error: { code: string }): void => expect(error.code).toBe('REFERENCES_CLASH');
      await referrals.mergeUsers(from, into, { reason }).catch(isClash);
      const signups = await referrals.signups.search({ where: [{ userId: from }, { userId: into }] });
      expect(signups.length).toBeLessThanOrEqual(2);
    }
    expect((await referrals.verify()).problems).toEqual([]);
  }
}, 600_000);
