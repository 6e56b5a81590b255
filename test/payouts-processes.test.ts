import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EarnOutProgress, EarnOutReport, ReferralEarnOut, ReferralError } from '../lib';
import { Backup } from './support/backup';
import { type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll, waitFor } from './support/host';
import { drawn, isOnItsWay, type Manner, PaymentProvider, type Report } from './support/payment-provider';
import { type Process, startWorker } from './support/processes';

/** `PAYOUT_KILLS=1000 SEED=… npx jest test/payouts-processes` kills so many processes in all; the machine decides the rest. */
const kills = Number(process.env['PAYOUT_KILLS'] ?? 48);
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
console.log(`SEED=${seed} PAYOUT_KILLS=${kills}`);

const folder = mkdtempSync(path.join(tmpdir(), 'payouts-'));
afterAll(async () => {
  await closeAll();
  rmSync(folder, { recursive: true });
});

const minute = 60_000;
const day = 1440 * minute;
const earnOuts = { every: { days: 1 }, minimum: '1', payoutTimeoutMs: 700 };

/** Each await of a process on its way from what is due to what is settled. */
const places = [
  ...['the binding', 'the claim', 'the settling'].flatMap((step) => [
    ...[`before ${step}`, `during ${step}`, `before the COMMIT of ${step}`, `during the COMMIT of ${step}`],
  ]),
  ...[
    'before the provider is asked',
    'while the provider is working',
    'while the provider is paid',
    'after the answer',
  ],
];

interface Orders {
  dies?: { place: string; at: number };
  report?: Report;
}

interface Answer extends Partial<EarnOutProgress> {
  error?: string;
  told?: string;
}

interface Worker extends Process {
  /** Whether it has done its work; not if it has died. */
  does(orders: Orders): Promise<boolean>;
  isAlive(): boolean;
}

/** A report, and its place in the order in which the provider made them. */
interface Reported {
  report: Report;
  place: number;
}

interface Scenario {
  name: string;
  /** What the provider does with a new key, each as often as it is here. */
  manners: readonly Manner[];
  /** The shares of accepted payments that fail, of paid ones that bounce, and of reports that contradict each other. */
  fails?: number;
  bounces?: number;
  lies?: number;
  /** Whether the database is restored to an older state in between. */
  isRestored?: boolean;
  /** Whether something can have been paid beyond what was available, which later earn-outs subtract. */
  hasDebts?: boolean;
}

const manners: Manner[] = [
  ...(['pays', 'pays', 'refuses', 'drops', 'pays, then drops'] as const),
  ...(['pays, then is silent', 'is silent, then pays'] as const),
];
const scenarios: Scenario[] = [
  { name: 'kills', manners },
  { name: 'kills, late results', manners: [...manners, 'accepts', 'accepts', 'accepts'], fails: 0.3, bounces: 0.2 },
  {
    name: 'kills, contradictory webhooks',
    ...{ manners: [...manners, 'accepts', 'accepts', 'accepts'], fails: 0.3, bounces: 0.2, lies: 0.5, hasDebts: true },
  },
  {
    name: 'kills, restored backups',
    ...{ manners: [...manners, 'accepts', 'accepts'], fails: 0.3, bounces: 0.2, isRestored: true, hasDebts: true },
  },
];

const cents = (amount: string): number => Math.round(Number(amount) * 100);

/** A host, its users, processes that run its earn-outs, and the provider. */
class Trial {
  killed = 0;
  restored = 0;
  readonly #scenario: Scenario;
  readonly #host: EarningsHost;
  readonly #provider: PaymentProvider;
  readonly #clockFile: string;
  readonly #users: readonly string[];
  /** What each user has earned, net of refunds, by plain arithmetic: in cents. */
  readonly #earned = new Map<string, number>();
  /** All that was recorded, to record it again after a backup was restored. */
  readonly #recorded: (readonly (() => Promise<unknown>)[])[] = [];
  readonly #left = new Map<string, { user: number; amount: number }>();
  /** The place in the order of a key's reports of the latest that was passed on. */
  readonly #reported = new Map<string, number>();
  readonly #reports: Reported[] = [];
  readonly told: string[] = [];
  #places = 0;
  #draws = 0;
  #backup: Backup | null = null;
  #workers: Worker[] = [];

  private constructor(scenario: Scenario, host: EarningsHost, provider: PaymentProvider) {
    this.#scenario = scenario;
    this.#host = host;
    this.#provider = provider;
    this.#clockFile = path.join(folder, scenario.name);
    this.#users = Array.from({ length: 24 }, (_, n) => `user ${n}`);
  }

  static async open(scenario: Scenario): Promise<Trial> {
    const payout = (): never => {
      throw new Error('not here');
    };
    const host = await startEarnings({ commission: { pendingDays: 0 }, earnOuts: { ...earnOuts, payout } });
    const of =
      (share = 0, what: string) =>
      (key: string) =>
        drawn(seed, `${what} ${key}`) < share;
    const provider = new PaymentProvider({
      clock: host.clock.read,
      manner: (key, n) => scenario.manners[Math.floor(drawn(seed, `${key} ${n}`) * scenario.manners.length)]!,
      ...{
        fails: of(scenario.fails, 'fails'),
        bounces: of(scenario.bounces, 'bounces'),
        lies: of(scenario.lies, 'lies'),
      },
    });
    await provider.open();
    const trial = new Trial(scenario, host, provider);
    trial.#advance(0);
    for (const [n, user] of trial.#users.entries()) {
      await refer(host, user, `referee ${n}`);
      trial.#earned.set(user, 0);
      const { id } = await host.referrals.accounts.of(user);
      if (n % 4 > 0) await host.referrals.accounts.update(id, { mode: 'payout', payoutEmail: `${n}@bank.example` });
    }
    return trial;
  }

  /** Lets the processes work and die until so many of them are dead. */
  async suffer(count: number): Promise<void> {
    const isMissing = (): boolean => this.#scenario.isRestored === true && this.restored === 0;
    for (let round = 0; this.killed < count || isMissing(); round++) {
      await this.#sell();
      this.#advance([minute, 7 * minute, 70 * minute, day, day, 2 * day][this.#random(6)]!);
      await this.#fill();
      const ordersOf = (): Orders =>
        this.#random(8) === 0
          ? {}
          : { dies: { place: places[this.#random(places.length)]!, at: 1 + Math.floor(this.#random(6) / 3) } };
      const meanwhile = this.#refund();
      if (this.#random(3) === 0) await this.#takeOver(ordersOf);
      else await Promise.all(this.#workers.map((worker) => worker.does(ordersOf())));
      await meanwhile;
      if (round % 2 === 0) await this.#passOn(true);
      if (this.#random(3) === 0) await this.#askStaff();
      if (this.#scenario.isRestored && round % 3 === 0) this.#backup ??= await Backup.take(this.#host.dataSource);
      if (this.#scenario.isRestored && round % 3 === 2) await this.#restore();
      await this.#expectSound();
    }
  }

  /** Lets everything come to its end: nothing goes wrong any more, and time passes. */
  async settle(): Promise<void> {
    const none = (): boolean => false;
    this.#provider.become({ manner: () => 'pays', fails: none, bounces: none, lies: none });
    for (let days = 0; days < 8; days++) {
      this.#advance(day);
      await this.#passOn(false);
    }
    await this.#askStaff();
    await this.#clearUp();
    for (let days = 0; days < 8; days++) {
      // New earnings, from which debts can be subtracted.
      if (days < 4) await this.#sell(1000);
      this.#advance(day);
      await this.#fill();
      await Promise.all(this.#workers.map((worker) => worker.does({})));
      await this.#passOn(false);
      await this.#askStaff();
    }
    for (const { child } of this.#workers) if (child.connected) child.disconnect();
    await this.#provider.destroy();
  }

  /** Expects that everybody was paid what they have earned, once. */
  async expectPaid(): Promise<Record<string, unknown>> {
    const { referrals, dataSource, schema } = this.#host;
    const all = await referrals.earnOuts.search({ take: 10_000 });
    expect(all.filter(({ status }) => status === 'processing')).toEqual([]);
    const payouts = all.filter(({ mode }) => mode === 'payout');
    const completed = new Map(payouts.filter(isCompleted).map((one) => [one.idempotencyKey, one]));
    const book = [...this.#provider.book.values()];
    const paid = book.filter(({ state }) => state === 'paid');
    const shown = ({ key, user, amount }: { key: string; user: string; amount: string }) =>
      `${key} ${user} ${cents(amount)}`;
    const known = [...completed.values()].map((one) =>
      shown({ key: one.idempotencyKey, user: one.userId, amount: one.amount }),
    );
    expect(known.sort()).toEqual(paid.map(shown).sort());
    const twice = book.filter(({ sent }) => sent > 1).length;

    const got = new Map(this.#users.map((user) => [user, 0]));
    for (const { user, amount } of paid) got.set(user, got.get(user)! + cents(amount));
    let given = 0;
    // Nobody spends: what is less than was given was taken back after a refund.
    for (const { userId, currentBalance } of await referrals.credits.search({ take: 10_000 })) {
      got.set(userId, got.get(userId)! + cents(currentBalance));
      given += cents(currentBalance);
    }
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(this.#earned));
    expect(twice).toBe(0);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    const [row] = await dataSource.query<{ debts: string }[]>(
      `SELECT count(*) AS debts FROM ${schema}.referral_earn_out_entries WHERE amount < 0`,
    );
    if (!this.#scenario.hasDebts) expect(row!.debts).toBe('0');
    const money = (sum: number): string => (sum / 100).toFixed(2);
    const sum = (sums: Iterable<number>): number => [...sums].reduce((all, one) => all + one, 0);
    return {
      'scenario': this.#scenario.name,
      'kills': this.killed,
      'restored': this.restored,
      'keys': this.#provider.book.size,
      'asked': this.#provider.asked,
      'in flight (409)': this.#provider.conflicts,
      'refused': book.filter(({ state }) => state === 'refused' || state === 'failed').length,
      'returned': book.filter(({ state }) => state === 'returned').length,
      'contradicted': this.#provider.contradicted.size,
      'debts': Number(row!.debts),
      'paid + credit': `${money(sum(paid.map(({ amount }) => cents(amount))))} + ${money(given)}`,
      'earned': money(sum(this.#earned.values())),
      'twice-paid': twice + known.length - new Set(known).size,
    };
  }

  async #sell(whole?: number): Promise<void> {
    const sales = this.#users.flatMap((user, n) => (whole === undefined && this.#random(2) === 0 ? [] : [{ user, n }]));
    await this.#record(
      sales.map(({ user, n }) => {
        const amount = whole ?? 4 * (1 + this.#random(50));
        const reference = `purchase ${++this.#draws}`;
        this.#left.set(reference, { user: n, amount });
        this.#earned.set(user, this.#earned.get(user)! + amount * 25);
        const at = this.#host.clock.read();
        return () => this.#host.referrals.recordPurchase(`referee ${n}`, { amount, reference, at });
      }),
    );
  }

  async #refund(): Promise<void> {
    const refunds = [...this.#left].filter(() => this.#random(20) === 0);
    await this.#record(
      refunds.map(([purchase, { user, amount }]) => {
        const back = this.#random(2) === 0 || amount === 4 ? amount : 4;
        if (back === amount) this.#left.delete(purchase);
        else this.#left.set(purchase, { user, amount: amount - back });
        const name = this.#users[user]!;
        this.#earned.set(name, this.#earned.get(name)! - back * 25);
        const given = { purchase, amount: back, reference: `refund ${++this.#draws}` };
        return () => this.#host.referrals.recordRefund(`referee ${user}`, given);
      }),
    );
  }

  async #record(calls: readonly (() => Promise<unknown>)[]): Promise<void> {
    this.#recorded.push(calls);
    await Promise.all(calls.map((call) => call()));
  }

  /**
   * A second group of processes takes over what the first is waiting for, because the leases have ended while the
   * provider works.
   */
  async #takeOver(ordersOf: () => Orders): Promise<void> {
    let open = (): void => undefined;
    this.#provider.gate = new Promise((resolve) => (open = resolve));
    const [first, second] = [this.#workers.slice(0, 2), this.#workers.slice(2)];
    let isOver = false;
    const runs = Promise.all(first.map((worker) => worker.does({}))).then(() => (isOver = true));
    await waitFor(() =>
      Promise.resolve(isOver || [...this.#provider.book.values()].some(({ state }) => state === 'in flight')),
    );
    this.#provider.gate = null;
    this.#advance(7 * minute);
    await Promise.all(second.map((worker) => worker.does(ordersOf())));
    open();
    await runs;
  }

  /**
   * Passes on what the provider has reported: all of it in its order; or else late, twice, and by processes that die of
   * it; and in any order, if the provider is one that contradicts itself.
   */
  async #passOn(isCareless: boolean): Promise<void> {
    this.#collect();
    const isInOrder = !isCareless || this.#scenario.lies === undefined;
    const taken = this.#reports.splice(0);
    if (!isInOrder) taken.sort(() => this.#random(3) - 1);
    const held = new Set<string>();
    for (const one of taken) {
      const { key } = one.report;
      const isLate = (isInOrder && held.has(key)) || (isCareless && this.#random(3) === 0);
      const isDone = !isLate && (await this.#pass(one, isCareless));
      if (isDone && isCareless && this.#random(3) === 0) {
        if (isInOrder) await this.#pass(one, false);
        else this.#reports.push(one);
      }
      if (isDone) continue;
      held.add(key);
      this.#reports.push(one);
    }
  }

  #collect(): void {
    for (const report of this.#provider.takeReports()) this.#reports.push({ report, place: ++this.#places });
  }

  /** @returns whether it was acknowledged. Else it comes again. */
  async #pass({ report, place }: Reported, isCareless: boolean): Promise<boolean> {
    const { earnOuts } = this.#host.referrals;
    const { key, reference, status } = report;
    const latest = this.#reported.get(key) ?? 0;
    if (place < latest) this.#provider.contradicted.add(key);
    this.#reported.set(key, Math.max(place, latest));
    const worker = this.#workers.find((one) => one.isAlive());
    if (isCareless && worker && this.#random(2) === 0) {
      const moment = ['before', 'during', 'before the COMMIT of', 'during the COMMIT of'][this.#random(4)]!;
      return worker.does({ report, dies: { place: `${moment} the settling`, at: 1 } });
    }
    const isKnown = (given: EarnOutReport): Promise<boolean> =>
      earnOuts.settle(given).then(
        () => true,
        (error: ReferralError) => {
          if (error.code === 'NOT_FOUND') return false;
          throw error;
        },
      );
    // The database does not know the reference of a payment whose answer it has not got.
    if (this.#random(2) === 0 && (await isKnown({ reference, status }))) return true;
    // It does not know the key only of a payment that it has forgotten, and that was not on the list after the restore.
    if (!(await isKnown(report)))
      expect([this.restored > 0, isOnItsWay(this.#provider.book.get(key)!.state)]).toEqual([true, false]);
    return true;
  }

  /**
   * What waits for staff: they look the payment up, and report it or have it tried again. If reports of the provider are on
   * their way, staff wait for them: if they said 'returned' before a 'completed' arrives, that would be a contradiction.
   */
  async #askStaff(): Promise<void> {
    const { earnOuts } = this.#host.referrals;
    this.#collect();
    const isReported = new Set(this.#reports.map(({ report }) => report.key));
    for (const one of await earnOuts.search({ where: { mode: 'payout', nextAttemptAt: null }, take: 10_000 })) {
      if (one.status === 'failed' || one.status === 'returned') await earnOuts.retry(one);
      if (one.status !== 'processing' || isReported.has(one.idempotencyKey)) continue;
      const known = this.#provider.lookUp(one.idempotencyKey);
      if (known) await earnOuts.settle(known);
      else if (one.submittedAt === null) await earnOuts.retry(one);
    }
  }

  /** After reports that contradict each other, staff were told to look at the payment, and say what is true. */
  async #clearUp(): Promise<void> {
    for (const key of this.#provider.contradicted) {
      const truth = this.#provider.lookUp(key);
      if (truth) await this.#host.referrals.earnOuts.settle(truth);
    }
  }

  /** As `examples/hosting` says: nothing runs; purchases are recorded again; then the provider's list is compared. */
  async #restore(): Promise<void> {
    const { earnOuts } = this.#host.referrals;
    await Promise.all(
      this.#workers.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      }),
    );
    await this.#provider.untilQuiet();
    await this.#backup!.restore();
    this.#backup = null;
    this.restored++;
    for (const calls of this.#recorded) await Promise.all(calls.map((call) => call()));
    await earnOuts.reconcile(
      this.#provider.list().map(({ key, reference, amount, user, at }) => ({ key, reference, amount, user, at })),
    );
    for (const { key } of this.#provider.book.values()) {
      const known = this.#provider.lookUp(key);
      if (!known || known.status === 'completed') continue;
      await earnOuts.settle(known).catch((error: ReferralError) => expect(error.code).toBe('NOT_FOUND'));
    }
    // What was reported before is known now.
    this.#reports.length = 0;
    this.#collect();
  }

  /** What the provider has paid, nobody calls unpaid, unless the provider itself did. */
  async #expectSound(): Promise<void> {
    const { referrals } = this.#host;
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    for (const { idempotencyKey: key, status } of await referrals.earnOuts.search({
      where: { mode: 'payout' },
      take: 10_000,
    })) {
      const payment = this.#provider.book.get(key);
      if (!payment || this.#provider.contradicted.has(key)) continue;
      const { state } = payment;
      if (status === 'failed') expect(['refused', 'failed']).toContain(state);
      if (status === 'completed' && !this.restored) expect(['paid', 'returned']).toContain(state);
    }
  }

  #advance(ms: number): void {
    this.#host.clock.advance(ms);
    writeFileSync(`${this.#clockFile}.new`, this.#host.clock.time.toJSON());
    renameSync(`${this.#clockFile}.new`, this.#clockFile);
    this.#provider.tick();
  }

  /** A process for each that has died. */
  async #fill(): Promise<void> {
    const alive = this.#workers.filter((worker) => worker.isAlive());
    const missing = Array.from({ length: 4 - alive.length }, () => this.#start());
    this.#workers = [...alive, ...(await Promise.all(missing))];
  }

  async #start(): Promise<Worker> {
    const env = {
      ...{ SCHEMA: JSON.parse(this.#host.schema) as string, CLOCK: this.#clockFile, PROVIDER: this.#provider.address },
      EARN_OUTS: JSON.stringify(earnOuts),
    };
    const { child, ask } = await startWorker<Answer>('payout-worker.js', env);
    child.setMaxListeners(0);
    const isAlive = (): boolean => child.exitCode === null && child.signalCode === null && child.connected;
    const does = async (orders: Orders): Promise<boolean> => {
      const answers = await ask(orders);
      for (const { error, told } of answers) {
        if (told !== undefined) this.told.push(told);
        if (error !== undefined && !(error === 'NOT_FOUND' && this.restored)) throw new Error(error);
      }
      if (!isAlive()) this.killed++;
      return isAlive();
    };
    return { child, does, isAlive };
  }

  /** A whole number from 0 up to, not including, `below`: always the same ones for a seed. */
  #random(below: number): number {
    return Math.floor(drawn(seed, `${this.#scenario.name} ${++this.#draws}`) * below);
  }
}

const isCompleted = ({ status }: ReferralEarnOut): boolean => status === 'completed';

const table: Record<string, unknown>[] = [];
afterAll(() => console.table(table));

test.each(scenarios)('whoever dies, paid = earned, and each key is paid once: $name', async (scenario) => {
  const trial = await Trial.open(scenario);
  await trial.suffer(kills / scenarios.length);
  await trial.settle();
  const line = await trial.expectPaid();
  if (scenario.name === 'kills') expect(new Set(trial.told)).not.toContain('PAYOUT_CONTRADICTED');
  table.push(line);
});
