import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { EarnOutProgress, ReferralEarnOut } from '../lib';
import { couponOf, type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, killAfter, type Process, startWorker } from './support/processes';

afterAll(closeAll);

/** `SEED=… npx jest test/processes-earnings` for the same kills and amounts again; the machine decides the rest. */
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
console.log(`SEED=${seed}`);

/** A whole number from 0 up to, not including, `below`: always the same ones for a seed. */
let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return Math.floor(((state >>> 8) / 2 ** 23) * below);
}

interface Task {
  call: 'purchase' | 'refund';
  user: string;
  input: object;
  inTransaction: boolean;
}

/** Orders for a process that runs earn-outs: the users whose payouts fail, and the payout at which the process dies. */
interface Orders {
  declined?: string[];
  dies?: { at: number; moment: 'before' | 'after' };
}

interface Answer extends Partial<EarnOutProgress> {
  /** Whether this is only a progress report of a run of earn-outs. */
  isProgress?: boolean;
  index?: number;
  isDone?: boolean;
  error?: string;
}

interface Worker extends Process {
  /** Both return the answers of the process: all of them, or those until it died. */
  work(tasks: Task[], acknowledge?: () => void): Promise<Answer[]>;
  earnOut(orders?: Orders, acknowledge?: () => void): Promise<Answer[]>;
}

/** Starts a process on the built package, at the time of the host's clock. */
const starterOf =
  ({ clock, schema }: EarningsHost) =>
  async (): Promise<Worker> => {
    // A refund of what was paid leaves a debt, so that all earn-outs together are what is earned.
    const env = { SCHEMA: JSON.parse(schema) as string, NOW: clock.time.toJSON(), TAKES_BACK: 'no' };
    const { child, ask } = await startWorker<Answer>('earnings-worker.js', env);
    return {
      child,
      work: (tasks, acknowledge) => ask({ tasks, atOnce: 4, now: clock.time }, acknowledge),
      earnOut: (orders, acknowledge) => ask({ ...orders, now: clock.time }, acknowledge),
    };
  };

const startWorkers = (host: EarningsHost, count: number): Promise<Worker[]> =>
  Promise.all(Array.from({ length: count }, starterOf(host)));

/**
 * Returns a function to call at each step of any worker. It kills each worker after a number of steps that `count`
 * draws.
 */
function killEachAfter(workers: readonly Worker[], count: () => number): () => void {
  const steps = workers.map((worker) => killAfter(count(), [worker]));
  return () => steps.forEach((step) => step());
}

/** Ends those that still live. */
async function kill(workers: readonly Worker[]): Promise<void> {
  await Promise.all(
    workers.map(async ({ child }) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }),
  );
}

/** A host whose payouts are made by the processes alone. */
async function start(): Promise<EarningsHost> {
  const payout = (): never => {
    throw new Error('not here');
  };
  const host = await startEarnings({ earnOuts: { payout, takeBackCredit: false } });
  await host.dataSource.query(
    `CREATE TABLE ${host.schema}.payouts (idempotency_key text PRIMARY KEY, user_id text, amount numeric, calls integer)`,
  );
  return host;
}

async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) await work(item, index);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** Accounts with a referee each; every second one is paid out, the others are given credit. */
class Shop {
  readonly users: readonly string[];
  /** What is left of each user's commissions, by plain arithmetic: in cents. */
  readonly earned: number[];
  readonly #host: EarningsHost;
  /** What is left of each purchase, in whole amounts. */
  readonly #left: number[][];

  constructor(host: EarningsHost, count: number) {
    this.#host = host;
    this.users = Array.from({ length: count }, (_, n) => `user ${n}`);
    this.earned = this.users.map(() => 0);
    this.#left = this.users.map(() => []);
  }

  async open(): Promise<void> {
    const { accounts } = this.#host.referrals;
    await each(this.users, async (user, n) => {
      await refer(this.#host, user, `referee ${n}`);
      if (n % 2 === 0) return;
      const { id } = await accounts.of(user);
      await accounts.update(id, { mode: 'payout', payoutEmail: `${n}@shop.example` });
    });
  }

  /** Every referee pays more than the time before, so that no refund of that is more than what this earns. */
  async sell(round: number): Promise<void> {
    await each(this.users, async (_, n) => {
      const amount = 10 * (round + 1) + random(10);
      await this.#host.referrals.recordPurchase(`referee ${n}`, { amount, reference: `purchase ${round}` });
      this.#left[n]![round] = amount;
      this.earned[n]! += amount * 25;
    });
  }

  /** Refunds purchases at random: nothing, a part, or all that is left. */
  async refund(round: number, reference: string): Promise<void> {
    await each(this.users, async (_, n) => {
      const left = this.#left[n]![round]!;
      const back = [0, 0, 1, 3, left][random(5)]!;
      if (back === 0 || back > left) return;
      const amount = back === left ? null : back;
      await this.#host.referrals.recordRefund(`referee ${n}`, { purchase: `purchase ${round}`, reference, amount });
      this.#left[n]![round]! -= back;
      this.earned[n]! -= back * 25;
    });
  }

  /** Expects that all commissions, net of refunds, are paid once, by the records of the provider and of the ledger. */
  async expectAllPaid(): Promise<void> {
    const { referrals, dataSource, schema } = this.#host;
    const earnOuts = await referrals.earnOuts.search({ take: 10_000 });
    expect(earnOuts.filter(({ status }) => status === 'processing')).toEqual([]);
    const completed = earnOuts.filter(({ status }) => status === 'completed');
    const ids = new Set(completed.map(({ id }) => id));
    const unpaid = (await referrals.commissions.search({ take: 10_000 })).filter(
      ({ earnOutId }) => !ids.has(earnOutId!),
    );
    // Commissions that were refunded in full before an earn-out can stay unpaid.
    expect(unpaid.filter(({ amount }) => amount !== '0.00')).toEqual([]);

    const payouts = await dataSource.query<{ key: string; user: string; amount: string }[]>(
      `SELECT idempotency_key AS key, user_id AS user, amount::text FROM ${schema}.payouts`,
    );
    const paid = payouts.map(({ key, user, amount }) => [key, user, cents(amount)]);
    const due = completed.filter(({ mode }) => mode === 'payout');
    expect(new Set(paid.map(String))).toEqual(new Set(due.map((one) => String(of(one, one.idempotencyKey)))));
    expect(paid).toHaveLength(due.length);

    const credits = await referrals.credits.search({ take: 10_000 });
    const given = credits.map(({ reference, userId, initialBalance }) => [reference, userId, cents(initialBalance)]);
    const granted = completed.filter(({ mode }) => mode === 'credits');
    expect(new Set(given.map(String))).toEqual(new Set(granted.map((one) => String(of(one, one.idempotencyKey)))));
    expect(given).toHaveLength(granted.length);

    const got = new Map<string, number>(this.users.map((user) => [user, 0]));
    for (const [, user, amount] of [...paid, ...given] as [string, string, number][])
      got.set(user, got.get(user)! + amount);
    expect([...got.values()]).toEqual(this.earned);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  }

  /** How often the provider was asked for each payout. */
  async calls(): Promise<number[]> {
    const { dataSource, schema } = this.#host;
    const rows = await dataSource.query<{ calls: number }[]>(`SELECT calls FROM ${schema}.payouts`);
    return rows.map(({ calls }) => calls);
  }
}

const cents = (amount: string): number => Math.round(Number(amount) * 100);
const of = ({ userId, amount }: ReferralEarnOut, key: string): unknown[] => [key, userId, cents(amount)];

/** What the runs of several processes add up to. */
function summed(answers: readonly Answer[]): Omit<EarnOutProgress, 'amount'> & { cents: number } {
  const sum = { bound: 0, completed: 0, failed: 0, cents: 0 };
  for (const { bound = 0, completed = 0, failed = 0, amount = '0', error } of answers) {
    expect(error).toBeUndefined();
    sum.bound += bound;
    sum.completed += completed;
    sum.failed += failed;
    sum.cents += cents(amount);
  }
  return sum;
}

test('eight processes that run earn-outs at once share the work, and pay each commission once', async () => {
  const host = await start();
  const { clock, referrals } = host;
  const shop = new Shop(host, 520);
  await shop.open();
  await shop.sell(0);
  await shop.refund(0, 'before');
  const declined = shop.users.filter((_, n) => n % 10 === 7);

  await inProcesses(8, starterOf(host), async (workers) => {
    const earnOut = async (orders?: Orders) =>
      summed((await Promise.all(workers.map((worker) => worker.earnOut(orders)))).flat());
    expect(await earnOut()).toEqual({ bound: 0, completed: 0, failed: 0, cents: 0 }); // nothing is available yet
    clock.advanceDays(31);
    const first = await earnOut({ declined });
    const due = shop.earned.filter((amount) => amount > 0).length;
    const refused = declined.filter((user) => shop.earned[shop.users.indexOf(user)]! > 0);
    expect(first).toMatchObject({ bound: due, completed: due - refused.length, failed: refused.length });
    // In the same period only those are paid that were refused, once they have waited.
    expect(await earnOut()).toEqual({ bound: 0, completed: 0, failed: 0, cents: 0 });
    clock.advance(3_600_000);
    const second = await earnOut();
    expect(second).toMatchObject({ bound: refused.length, completed: refused.length, failed: 0 });
    expect(first.cents + second.cents).toBe(shop.earned.reduce((sum, amount) => sum + amount, 0));
    await shop.expectAllPaid();

    await shop.refund(0, 'after');
    await shop.sell(1);
    clock.advanceDays(31);
    const third = await earnOut();
    expect(third.completed).toBe(shop.users.length);
    expect(first.cents + second.cents + third.cents).toBe(shop.earned.reduce((sum, amount) => sum + amount, 0));
    await shop.expectAllPaid();
  });
  expect(new Set(await shop.calls())).toEqual(new Set([1]));
  const failed = await referrals.earnOuts.search({ where: { status: 'failed' }, take: 10_000 });
  for (const { userId, errorReason } of failed)
    expect([declined.includes(userId), errorReason]).toEqual([true, 'declined']);
});

test('processes killed at any moment: what they leave behind is paid by the next, once', async () => {
  const host = await start();
  const { clock, referrals } = host;
  const shop = new Shop(host, 400);
  await shop.open();
  const rounds = 3;
  for (let round = 0; round < rounds; round++) {
    await shop.sell(round);
    clock.advanceDays(31);
    const workers = await startWorkers(host, round === 0 ? 1 : 8);
    // Each process dies while it binds accounts, or later. The first process dies after the provider has made a payout,
    // before it is committed.
    const step = killEachAfter(round === 0 ? [] : workers, () => 1 + random(random(2) === 0 ? 10 : 200));
    const runs = workers.map((worker) => {
      const moment = round === 0 || random(2) === 0 ? 'after' : 'before';
      const dies = { at: 1 + random(12), moment } as const;
      return worker.earnOut(round === 0 || random(2) === 0 ? { dies } : {}, step);
    });
    if (round === 0) await Promise.all(runs);
    const refunded = shop.refund(round, `refund ${round}`); // meanwhile
    await Promise.all([...runs, refunded]);
    await kill(workers);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  }

  await shop.sell(rounds); // so that the next earn-outs can subtract refunds of paid commissions
  clock.advanceDays(31);
  await inProcesses(8, starterOf(host), async (workers) => {
    const all = (): Promise<Answer[][]> => Promise.all(workers.map((worker) => worker.earnOut()));
    summed((await all()).flat());
    // Accounts whose earn-out a killed process had left in progress are due for the rest now.
    summed((await all()).flat());
  });
  await shop.expectAllPaid();
  const calls = await shop.calls();
  expect(Math.max(...calls)).toBeGreaterThan(1);
  expect(await referrals.earnOuts.search({ where: { status: 'failed' }, take: 10_000 })).toEqual([]);
});

test('purchases and refunds of eight processes with the same references are counted once, whoever is killed', async () => {
  const host = await start();
  const { referrals, clock, dataSource, schema } = host;
  const buyers = Array.from({ length: 10 }, (_, n) => `buyer ${n}`);
  const perBuyer = 24;
  const { code } = await couponOf(host, 'otto');
  await each(buyers, async (buyer, n) => {
    await refer(host, 'anna', buyer);
    if (n % 2 === 0) await referrals.coupons.apply(buyer, code);
  });
  // Of each 3 purchases one stays, one is refunded in part, and one as a whole.
  const tasks: Task[] = Array.from({ length: perBuyer }, (_, n) => n).flatMap((n) =>
    buyers.flatMap((user): Task[] => {
      const inTransaction = n % 2 === 0;
      const purchase = `purchase ${n}`;
      const amount = n % 3 === 1 ? '2.00' : null;
      return [
        { call: 'purchase', user, input: { amount: '10', reference: purchase }, inTransaction },
        ...(n % 3 === 0
          ? []
          : [{ call: 'refund' as const, user, input: { purchase, reference: `refund ${n}`, amount }, inTransaction }]),
      ];
    }),
  );
  const errors = new Set<string | undefined>();
  let done = 0;
  const rounds = 3;
  for (let round = 0; round < rounds; round++) {
    const workers = await startWorkers(host, 8);
    const from = Math.floor((round * tasks.length) / (rounds + 1));
    const answers = await Promise.all(
      workers.map((worker) => worker.work(tasks.slice(from), killAfter(10 + random(80), [worker]))),
    );
    for (const { isDone, error } of answers.flat()) {
      if (isDone) done++;
      errors.add(error);
    }
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  }
  // A refund can run before its purchase, which another process runs, or which was killed. Other errors must not occur.
  errors.delete(undefined);
  for (const error of errors) expect(error).toBe('NOT_FOUND');
  expect(done).toBeGreaterThan(50);

  // Eight processes that are not killed repeat all calls. The references make them idempotent.
  const purchases = tasks.filter(({ call }) => call === 'purchase');
  const refunds = tasks.filter(({ call }) => call === 'refund');
  const answers = await inProcesses(8, starterOf(host), (workers) =>
    Promise.all(workers.map(async (worker) => [...(await worker.work(purchases)), ...(await worker.work(refunds))])),
  );
  expect(answers.flat().filter(({ isDone }) => !isDone)).toEqual([]);
  expect(answers.flat()).toHaveLength(8 * tasks.length);

  const count = async (table: string): Promise<number> => {
    const [row] = await dataSource.query<{ count: string }[]>(`SELECT count(*) FROM ${schema}.referral_${table}`);
    return Number(row!.count);
  };
  expect(await count('purchases')).toBe(buyers.length * perBuyer);
  expect(await count('commissions')).toBe(buyers.length * perBuyer);
  expect(await count('refunds')).toBe((buyers.length * perBuyer * 2) / 3);
  expect(await count('commission_entries')).toBe((buyers.length * perBuyer * 2) / 3);
  expect(await count('redemptions')).toBe(buyers.length / 2); // by whichever purchase was first
  const earned = new Map<string, number>();
  for (const one of await referrals.commissions.search({ take: 10_000 }))
    earned.set(one.userId, (earned.get(one.userId) ?? 0) + cents(one.earned));
  expect(earned.get('otto')).toBe(300 * (buyers.length / 2));
  expect(earned.get('anna')).toBe(250 * (buyers.length * perBuyer - buyers.length / 2));
  clock.advanceDays(31);
  for (const user of ['anna', 'otto']) {
    const totals = await referrals.accounts.totals(user);
    const left = (await referrals.commissions.search({ where: { userId: user }, take: 10_000 })).map(({ amount }) =>
      cents(amount),
    );
    const sum = left.reduce((all, one) => all + one, 0);
    expect([cents(totals.creditsEarned), cents(totals.totalCreditsEarned)]).toEqual([sum, sum]);
    const referred = user === 'anna' ? buyers.length : buyers.length / 2;
    expect(totals).toMatchObject({ usersReferred: referred, usersUpgraded: referred });
  }
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
