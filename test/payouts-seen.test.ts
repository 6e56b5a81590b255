import { type Payout, PayoutRefused, type ReferralError, type ReferralsOptions } from '../lib';
import { Backup } from './support/backup';
import { type EarningsHost, refer, seedCommissions, startEarnings } from './support/earnings';
import { closeAll, openDataSource, waitFor } from './support/host';
import { type Manner, PaymentProvider } from './support/payment-provider';

const opened: PaymentProvider[] = [];
afterAll(async () => {
  for (const provider of opened) await provider.destroy();
  await closeAll();
});

const minute = 60_000;
const hour = 60 * minute;

/** What the guide of payouts says: each answer of the provider's has one meaning, and any other means that nobody knows. */
const payoutBy =
  (address: () => string): Payout =>
  async ({ idempotencyKey: key, userId: user, amount }) => {
    const response = await fetch(address(), { method: 'POST', body: JSON.stringify({ key, user, amount }) });
    const { reference, reason } = (await response.json()) as { reference: string; reason: string };
    if (response.status === 200) return { reference };
    if (response.status === 202) return { status: 'submitted', reference };
    if (response.status === 402) throw new PayoutRefused(reason);
    throw new Error(`The provider answers ${response.status}: ${reason}.`);
  };

interface Trial {
  host: EarningsHost;
  provider: PaymentProvider;
  earn(amount: number, reference: string, at?: Date): Promise<unknown>;
  /** What was sent to users, by all keys together. */
  sent(): number;
  /** The status, amount and key of each earn-out, oldest first. */
  shown(): Promise<string[]>;
}

/** A host with a provider of that manner, and a user who is paid out. */
async function start(manner: Manner, earnOuts: ReferralsOptions['earnOuts'] = {}): Promise<Trial> {
  const host: EarningsHost = await startEarnings({
    commission: { pendingDays: 0 },
    earnOuts: { payout: payoutBy(() => provider.address), ...earnOuts },
  });
  const provider = new PaymentProvider({ clock: host.clock.read, manner: () => manner });
  opened.push(provider);
  await provider.open();
  const { referrals } = host;
  await refer(host, 'anna', 'boris');
  await referrals.accounts.update(await referrals.accounts.of('anna'), {
    ...{ mode: 'payout', payoutEmail: 'anna@bank.example' },
  });
  return {
    ...{ host, provider },
    earn: (amount, reference, at = host.clock.read()) =>
      referrals.recordPurchase('boris', { amount: amount * 4, reference, at }),
    sent: () => [...provider.book.values()].reduce((sum, { sent, amount }) => sum + sent * Number(amount), 0),
    shown: async () =>
      (await referrals.earnOuts.search({ take: 10_000 })).map(
        (one) => `${one.status} ${one.amount} ${one.idempotencyKey}`,
      ),
  };
}

const codesOf = ({ errors }: EarningsHost): unknown[] => errors.map((error) => (error as ReferralError).code);
const addsUp = async ({ host: { referrals } }: Trial): Promise<void> =>
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });

test.each<[Manner, number]>([
  ['pays, then is silent', 50],
  ['pays, then drops', 60_000],
])('a provider that %s is asked again under the same key, and pays once', async (manner, payoutTimeoutMs) => {
  const trial = await start(manner, { payoutTimeoutMs });
  const { host, provider } = trial;
  await trial.earn(100, 'a');
  host.clock.advanceDays(7);
  expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 0, failed: 0, amount: '0.00' });
  const [key] = provider.book.keys();
  expect(await trial.shown()).toEqual([`processing 100.00 ${key}`]);
  expect(codesOf(host)).toEqual(['PAYOUT_UNCLEAR']);
  // Not before a minute has passed, by whichever run.
  host.clock.advance(minute - 1);
  await host.referrals.runEarnOuts();
  expect(provider.asked).toBe(1);
  host.clock.advance(1);
  expect(await host.referrals.runEarnOuts()).toEqual({ bound: 0, completed: 1, failed: 0, amount: '100.00' });
  expect(await trial.shown()).toEqual([`completed 100.00 ${key}`]);
  expect([provider.asked, provider.book.size, trial.sent()]).toEqual([2, 1, 100]);
  await addsUp(trial);
});

test('a second process that meets the key in flight leaves it in progress, and the payment is made once', async () => {
  const trial = await start('pays');
  const { host, provider } = trial;
  const { schema } = host.dataSource.options as { schema: string };
  await trial.earn(100, 'a');
  const second = await startEarnings({
    ...{ dataSource: await openDataSource({ schema, migrate: false }), clock: host.clock.read },
    earnOuts: { payout: payoutBy(() => provider.address) },
  });
  host.clock.advanceDays(7);
  let open = (): void => undefined;
  provider.gate = new Promise((resolve) => (open = resolve));
  const first = host.referrals.runEarnOuts();
  await waitFor(() => Promise.resolve(provider.book.size === 1));
  // The lease holds for the time-out and five minutes more.
  host.clock.advance(6 * minute - 1);
  await second.referrals.runEarnOuts();
  expect(provider.conflicts).toBe(0);
  host.clock.advance(1);
  expect(await second.referrals.runEarnOuts()).toMatchObject({ completed: 0, failed: 0 });
  expect(provider.conflicts).toBe(1);
  expect(codesOf(second)).toEqual(['PAYOUT_UNCLEAR']);
  const [key] = provider.book.keys();
  open();
  // The first process has lost its lease, but it knows that the payment was made.
  expect(await first).toMatchObject({ completed: 1, amount: '100.00' });
  host.clock.advance(5 * minute);
  expect(await second.referrals.runEarnOuts()).toMatchObject({ completed: 0, failed: 0 });
  expect(await trial.shown()).toEqual([`completed 100.00 ${key}`]);
  expect([provider.book.size, trial.sent(), codesOf(host)]).toEqual([1, 100, []]);
  await addsUp(trial);
});

describe('after the database was restored to an older state', () => {
  test('a run that binds the same asks under the same key', async () => {
    const trial = await start('pays');
    const { host, provider } = trial;
    await trial.earn(100, 'a');
    await trial.earn(30, 'b');
    await host.referrals.recordRefund('boris', { purchase: 'b', reference: 're', amount: 40 });
    const backup = await Backup.take(host.dataSource);
    host.clock.advanceDays(7);
    await host.referrals.runEarnOuts();
    const paid = await trial.shown();
    await backup.restore();
    expect(await trial.shown()).toEqual([]);
    await host.referrals.runEarnOuts();
    expect(await trial.shown()).toEqual(paid);
    expect([provider.asked, provider.book.size, trial.sent()]).toEqual([2, 1, 120]);
    await addsUp(trial);
  });

  test('also after a refusal, and when the purchases are recorded again', async () => {
    const trial = await start('refuses');
    const { host, provider } = trial;
    const backup = await Backup.take(host.dataSource);
    const at = host.clock.time;
    const live = async (): Promise<string[]> => {
      await trial.earn(100, 'a', at);
      await trial.earn(30, 'b', at);
      host.clock.time = new Date(at.getTime() + 7 * 24 * hour);
      provider.become({ manner: () => 'refuses' });
      await host.referrals.runEarnOuts();
      host.clock.advance(hour);
      provider.become({ manner: () => 'pays' });
      await host.referrals.runEarnOuts();
      return trial.shown();
    };
    const first = await live();
    await backup.restore();
    expect(await live()).toEqual(first);
    expect([provider.asked, provider.book.size, trial.sent()]).toEqual([4, 2, 130]);
    await addsUp(trial);
  });

  test.each(['before', 'after'])(
    'reconcile books what is forgotten; purchases are recorded again %s it',
    async (when) => {
      const trial = await start('pays');
      const { host, provider } = trial;
      const { referrals, clock } = host;
      const backup = await Backup.take(host.dataSource);
      const at = clock.time;
      await trial.earn(100, 'a', at);
      clock.advanceDays(7);
      await referrals.runEarnOuts();
      await backup.restore();
      const again = (): Promise<unknown> => trial.earn(100, 'a', at);
      if (when === 'before') await again();
      await trial.earn(20, 'b');
      const list = provider.list();
      const payments = list.map(({ key, reference, amount, user, at }) => ({ key, reference, amount, user, at }));
      const debt = when === 'before' ? '0.00' : '80.00';
      expect(await referrals.earnOuts.reconcile(payments)).toEqual({ known: 0, completed: 0, booked: 1, debt });
      expect(await referrals.earnOuts.reconcile(payments)).toEqual({ known: 1, completed: 0, booked: 0, debt: '0.00' });
      if (when === 'after') await again();
      clock.advanceDays(7);
      expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '20.00' });
      expect([provider.book.size, trial.sent()]).toEqual([2, 120]);
      await addsUp(trial);
    },
  );

  test('a payment that was booked over other commissions does not keep its own from being paid', async () => {
    const trial = await start('pays');
    const { host, provider } = trial;
    const { referrals, clock } = host;
    const backup = await Backup.take(host.dataSource);
    clock.advanceDays(1);
    const at = clock.time;
    await trial.earn(100, 'a', at);
    clock.advanceDays(7);
    await referrals.runEarnOuts();
    await backup.restore();
    await trial.earn(100, 'a', at);
    await trial.earn(100, 'older, and told late', new Date(at.getTime() - hour));
    const [{ key, reference, amount, user, at: paidAt }] = provider.list() as [ReturnType<typeof provider.list>[0]];
    await referrals.earnOuts.reconcile([{ key, reference, amount, user, at: paidAt }]);
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '100.00' });
    expect([provider.book.size, trial.sent()]).toEqual([2, 200]);
    await addsUp(trial);
  });
});

test('a payout that is always refused is asked for five times, then waits for staff or a new address', async () => {
  const trial = await start('refuses');
  const { host, provider } = trial;
  const { referrals, clock } = host;
  await trial.earn(100, 'a');
  clock.advanceDays(7);
  const from = clock.time.getTime();
  const askedAt: number[] = [];
  for (let run = 0; run < 50; run++) {
    const before = provider.asked;
    await referrals.runEarnOuts();
    if (provider.asked > before) askedAt.push((clock.time.getTime() - from) / hour);
    clock.advance(4 * hour);
  }
  expect(askedAt).toEqual([0, 4, 12, 36, 108]); // the next run after 1, 6, 24 and 72 hours
  const rows = await referrals.earnOuts.search({ take: 10_000 });
  expect(rows.map(({ status, refusals }) => [status, refusals])).toEqual([1, 2, 3, 4, 5].map((n) => ['failed', n]));
  expect([provider.asked, provider.book.size]).toEqual([5, 5]); // a key of its own for each attempt
  expect(await referrals.accounts.totals('anna')).toMatchObject({ payoutsEarned: '100.00' });

  await referrals.earnOuts.retry(rows.at(-1)!);
  for (let run = 0; run < 3; run++) await referrals.runEarnOuts();
  expect([provider.asked, await referrals.earnOuts.count()]).toEqual([6, 6]);
  const account = await referrals.accounts.of('anna');
  await account.update({ payoutEmail: 'anna@bank.example' }); // the same one ends no wait
  await referrals.runEarnOuts();
  expect(provider.asked).toBe(6);
  await account.update({ payoutEmail: 'anna@other.example' });
  clock.advanceDays(3); // the address is held
  provider.become({ manner: () => 'pays' });
  expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1, amount: '100.00' });
  expect([provider.asked, trial.sent(), codesOf(host)]).toEqual([7, 100, []]);
  await addsUp(trial);
});

test.each([1, 2, 4])('a payout may use the DataSource of the package, of a pool of %d', async (poolSize) => {
  const dataSource = await openDataSource({ poolSize });
  const { schema } = dataSource.options as { schema: string };
  await dataSource.query(`CREATE TABLE "${schema}".transfers (key text PRIMARY KEY, amount numeric)`);
  const payout: Payout = async ({ idempotencyKey, amount }) => {
    await dataSource.transaction((manager) =>
      manager.query(`INSERT INTO "${schema}".transfers VALUES ($1, $2)`, [idempotencyKey, amount]),
    );
    await dataSource.query(`SELECT FROM "${schema}".transfers`);
  };
  const host = await startEarnings({ dataSource, earnOuts: { payout } });
  await seedCommissions(host, { prefix: 'p', referrers: 6, each: 1, mode: 'payout' });
  host.clock.advanceDays(30);
  expect(await host.referrals.runEarnOuts()).toEqual({ bound: 6, completed: 6, failed: 0, amount: '6.00' });
  expect(await dataSource.query(`SELECT count(*)::int AS count FROM "${schema}".transfers`)).toEqual([{ count: 6 }]);
  expect(await host.referrals.earnOuts.count({ where: { status: 'completed' } })).toBe(6);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('a payout may last longer than the limits that the host sets for its transactions', async () => {
  const first = await startEarnings();
  const { schema } = first.dataSource.options as { schema: string };
  const [{ version }] = await first.dataSource.query<[{ version: number }]>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  const limits = ['statement_timeout', 'idle_in_transaction_session_timeout'];
  if (version >= 170_000) limits.push('transaction_timeout'); // there is none before
  const options = limits.map((name) => `-c ${name}=1000`).join(' ');
  let asked = 0;
  const payout: Payout = () => {
    asked++;
    return new Promise((resolve) => setTimeout(resolve, 1600));
  };
  const host = await startEarnings({
    ...{ dataSource: await openDataSource({ schema, migrate: false, extra: { options } }), earnOuts: { payout } },
    clock: first.clock.read,
  });
  await seedCommissions(first, { prefix: 'p', referrers: 1, each: 1, mode: 'payout' });
  first.clock.advanceDays(30);
  expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 1, failed: 0, amount: '1.00' });
  await host.referrals.runEarnOuts();
  expect([asked, host.errors]).toEqual([1, []]);
  expect(await first.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test.each([
  [5, {}],
  [2, { concurrency: 2 }],
  [12, { concurrency: 12 }],
])('%d payouts are made at once, and never more: %j', async (most, given) => {
  let now = 0;
  let seen = 0;
  const payout: Payout = async () => {
    seen = Math.max(seen, ++now);
    await waitFor(() => Promise.resolve(seen >= most));
    await new Promise(setImmediate);
    now--;
  };
  const host = await startEarnings({ earnOuts: { payout, ...given } });
  await seedCommissions(host, { prefix: 'p', referrers: 40, each: 1, mode: 'payout' });
  host.clock.advanceDays(30);
  expect(await host.referrals.runEarnOuts()).toMatchObject({ bound: 40, completed: 40 });
  expect(seen).toBe(most);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
