import type { EntityManager } from 'typeorm';
import { migrations, Referral, type ReferralChannel, runMigrations } from '../lib';
import { startApi } from './support/api';
import {
  couponOf,
  expectRefusals,
  fresh,
  refer,
  refusalOf,
  type EarningsHost,
  startEarnings,
} from './support/earnings';
import { closeAll, openDataSource, waitFor } from './support/host';
import { inProcesses, killAfter, startWorker, type Worker } from './support/processes';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});

const buy = (buyer: string, reference = 'first', manager?: EntityManager) =>
  host.referrals.recordPurchase(buyer, { reference, amount: 10, manager });

/** So many buyers who have applied a coupon, and have not redeemed it. */
async function applicants({ code }: ReferralChannel, count: number): Promise<string[]> {
  const buyers = Array.from({ length: count }, () => fresh('buyer'));
  for (const buyer of buyers) await host.referrals.coupons.apply(buyer, code);
  return buyers;
}

async function redemptionsOf({ id }: ReferralChannel): Promise<{ counted: number; rows: number }> {
  const [row] = await host.dataSource.query<{ counted: number; rows: number }[]>(
    `SELECT redemptions AS counted, (SELECT count(*)::integer FROM ${host.schema}.referral_redemptions WHERE channel_id = $1) AS rows
     FROM ${host.schema}.referrals WHERE id = $1`,
    [id],
  );
  return row!;
}

describe('allowedUses of a coupon', () => {
  test('is taken when it is created, shown, searched by and changed; by default it is unlimited', async () => {
    const { channels, referralCodes } = host.referrals;
    const channel = await couponOf(host, 'anna', { allowedUses: 3 });
    expect(channel.allowedUses).toBe(3);
    expect((await couponOf(host, 'anna')).allowedUses).toBe(-1);
    expect(await channels.search({ where: { allowedUses: 3 }, fields: ['code', 'allowedUses'], plain: true })).toEqual([
      { code: channel.code, allowedUses: 3 },
    ]);
    await channel.update({ allowedUses: 0 });
    expect(channel.allowedUses).toBe(0);
    await channel.update({ allowedUses: 7, code: fresh('RENAMED'), description: 'both' });
    expect(channel).toMatchObject({ allowedUses: 7, code: expect.stringContaining('RENAMED'), description: 'both' });
    expect(await referralCodes.get(channel.id)).toMatchObject({
      allowedUses: 7,
      code: channel.code,
      label: channel.code,
    });
    await referralCodes.update(channel.id, { allowedUses: -1 });
    expect((await channel.refresh()).allowedUses).toBe(-1);
    const known = { user: 'anna', code: channel.code, promoType: 'value_off', promoValue: 1, allowedUses: 1 } as const;
    expect(await refusalOf(channels.create(known))).toBe('CODE_TAKEN');
  });

  test('is refused if it is no number of uses, or below the sign-ups so far', async () => {
    const { channels } = host.referrals;
    const wrong: unknown[] = [-2, 1.5, '3', null, NaN, 2_147_483_648, 5n, {}];
    const inputs = wrong.map((allowedUses) => ['allowedUses', { allowedUses }] as const);
    const full = () => ({ user: 'anna', code: fresh('C'), promoType: 'value_off' as const, promoValue: 1 });
    await expectRefusals(host, inputs, (input, options) => channels.create({ ...full(), ...input } as never, options));
    const channel = await couponOf(host, 'anna');
    for (const user of [fresh('u'), fresh('u')]) await host.referrals.signups.create({ user, code: channel.code });
    const below = [...inputs, ['allowedUses', { allowedUses: 1 }] as const];
    await expectRefusals(host, below, (input, options) => channels.update(channel, input as never, options));
    await channel.update({ allowedUses: 2 });
  });

  test('redeemed so often, it is refused, off and in no offer; the buyer’s purchase is credited otherwise', async () => {
    const { coupons, quote } = { coupons: host.referrals.coupons, quote: host.referrals.quote.bind(host.referrals) };
    const channel = await couponOf(host, 'anna', { allowedUses: 2 });
    const [one, two, late, referred] = (await applicants(channel, 4)) as [string, string, string, string];
    await refer(host, 'otto', referred);
    for (const buyer of [one, two]) expect((await buy(buyer)).purchase).toMatchObject({ source: 'coupon' });
    expect(await refusalOf(coupons.apply(fresh(), channel.code))).toBe('COUPON_USED_UP');
    expect(await refusalOf(coupons.apply(late, channel.code))).toBe('COUPON_USED_UP');
    expect(await refusalOf(coupons.apply(one, channel.code))).toBe('COUPON_REDEEMED');
    expect(await refusalOf(coupons.apply('anna', channel.code))).toBe('COUPON_OWN');
    expect(await coupons.of(late)).toBeNull();
    expect(await quote(late, 100)).toMatchObject({ total: '100.00', code: null });
    expect((await buy(late)).purchase).toMatchObject({ source: null, channelId: null, noCommission: 'no-referrer' });
    expect((await buy(referred)).purchase).toMatchObject({ source: 'sign-up', referrerId: 'otto', channelId: null });
    expect(await redemptionsOf(channel)).toEqual({ counted: 2, rows: 2 });
    expect((await channel.refresh()).totalUses).toBe(2);

    await channel.update({ allowedUses: 3 }); // the coupon is still applied
    expect(await quote(late, 100)).toMatchObject({ total: '80.00', code: channel.code });
    expect((await buy(late, 'second')).purchase).toMatchObject({ source: 'coupon', channelId: channel.id });
    expect((await buy(referred, 'second')).purchase).toMatchObject({ source: 'sign-up' });
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('counts each buyer once: a recurring coupon goes on, and a later limit counts what was redeemed before', async () => {
    const channel = await couponOf(host, 'anna', { isRecurring: true });
    const [one, two, three] = (await applicants(channel, 3)) as [string, string, string];
    for (const reference of ['1', '2', '3']) await buy(one, reference);
    await buy(two);
    await channel.update({ allowedUses: 2 });
    expect(await redemptionsOf(channel)).toEqual({ counted: 2, rows: 2 });
    expect((await buy(three)).purchase.source).toBeNull();
    expect((await buy(one, '4')).purchase).toMatchObject({ source: 'coupon', channelId: channel.id });
    expect(await host.referrals.coupons.of(two)).toMatchObject({ channelId: channel.id });
    await channel.update({ allowedUses: 1 }); // below the redemptions: those who have redeemed it keep it
    expect((await buy(two, '2')).purchase).toMatchObject({ source: 'coupon' });
    await host.referrals.recordRefund(two, { purchase: '2', reference: 'back' });
    expect(await redemptionsOf(channel)).toEqual({ counted: 2, rows: 2 }); // a refund gives no place back
  });

  test('is counted apart from sign-ups', async () => {
    const channel = await couponOf(host, 'anna', { allowedUses: 2 });
    const { code } = channel;
    const [one, two] = (await applicants(channel, 2)) as [string, string];
    for (const user of ['s1', 's2']) expect(await Referral.recordSignup(null, fresh(user), { code })).not.toBeNull();
    expect(await Referral.recordSignup(null, fresh('s3'), { code })).toBeNull();
    for (const buyer of [one, two]) expect((await buy(buyer)).purchase.source).toBe('coupon');
    expect(await host.referrals.referralCodes.getByCode(code)).toMatchObject({ uses: 2, allowedUses: 2 });
    const none = await couponOf(host, 'anna', { allowedUses: 0 });
    expect(await refusalOf(host.referrals.coupons.apply(fresh(), none.code))).toBe('COUPON_USED_UP');
  });

  test('in the JSON API: code_used_up, and no discount in the offer', async () => {
    const api = await startApi();
    const { channels, coupons } = api.referrals;
    const made = { user: 'anna', code: 'FEW', promoType: 'value_off', promoValue: 5, allowedUses: 1 } as const;
    await channels.create(made, { manager: api.dataSource.manager });
    const apply = () => api.ask('POST', '/coupon-code/', { as: 'late', send: { code: 'few' } });
    const info = () => api.ask('GET', '/code/info/?referral_code=few');
    const before = await info();
    expect((await apply()).status).toBe(200);
    await coupons.apply('buyer', 'FEW');
    await api.referrals.recordPurchase('buyer', { reference: '1', amount: 10 });
    const { status, body } = await apply();
    expect([status, body.code]).toEqual([400, 'code_used_up']);
    const after = await info();
    expect([before.body.promo_value, after.body.promo_value]).toEqual([5, null]);
  });
});

describe('under a race', () => {
  const sources = async (calls: Promise<Awaited<ReturnType<typeof buy>>>[]): Promise<(string | null)[]> =>
    (await Promise.all(calls)).map(({ purchase }) => purchase.source);

  test('exactly so many of thirty purchases at once redeem it, in transactions and not', async () => {
    const channel = await couponOf(host, 'anna', { allowedUses: 7 });
    const buyers = await applicants(channel, 30);
    const made = await sources(
      buyers.map((buyer, index) =>
        index % 2 === 0 ? buy(buyer) : host.dataSource.transaction((manager) => buy(buyer, 'first', manager)),
      ),
    );
    expect(made.filter((source) => source === 'coupon')).toHaveLength(7);
    expect(await redemptionsOf(channel)).toEqual({ counted: 7, rows: 7 });
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  /** Waits until a call waits for a lock of another. */
  const untilOneWaits = (): Promise<void> =>
    waitFor(async () => {
      const waiting = await host.dataSource.query<object[]>(
        `SELECT FROM pg_stat_activity WHERE query LIKE $1 AND wait_event_type = 'Lock'`,
        [`%${host.schema}%`],
      );
      return waiting.length > 0;
    });

  /** Runs the second call while the first one's transaction is open, and ends that when the second waits for it. */
  async function whileOpen<T>(
    first: (manager: EntityManager) => Promise<unknown>,
    second: () => Promise<T>,
    end: 'commit' | 'rollback',
  ): Promise<T> {
    const runner = host.dataSource.createQueryRunner();
    await runner.startTransaction();
    await first(runner.manager);
    const waiting = second();
    await untilOneWaits();
    await (end === 'commit' ? runner.commitTransaction() : runner.rollbackTransaction());
    await runner.release();
    return waiting;
  }

  test.each([
    ['commit', null],
    ['rollback', 'coupon'],
  ] as const)('the last place is open until the transaction of who took it ends: %s', async (end, source) => {
    const channel = await couponOf(host, 'anna', { allowedUses: 1 });
    const [one, two] = (await applicants(channel, 2)) as [string, string];
    const { purchase } = await whileOpen(
      (manager) => buy(one, 'first', manager),
      () => buy(two),
      end,
    );
    expect(purchase.source).toBe(source);
    expect(await redemptionsOf(channel)).toEqual({ counted: 1, rows: 1 });
    const other = (await buy(one, 'again')).purchase.source;
    expect(other).toBe(end === 'commit' ? 'earlier-coupon' : null);
  });

  test('a quote in a transaction keeps the place that it has promised', async () => {
    const channel = await couponOf(host, 'anna', { allowedUses: 1 });
    const [one, two] = (await applicants(channel, 2)) as [string, string];
    const { first, second } = await host.dataSource.transaction(async (manager) => {
      expect(await host.referrals.quote(one, 100, { manager })).toMatchObject({ total: '80.00' });
      const other = buy(two);
      await Promise.race([other, untilOneWaits()]);
      return { first: await buy(one, 'first', manager), second: { other } };
    });
    expect(first.purchase.source).toBe('coupon');
    expect((await second.other).purchase.source).toBeNull();
    expect(await redemptionsOf(channel)).toEqual({ counted: 1, rows: 1 });
  });

  test('a limit that is set meanwhile counts a redemption that is under way', async () => {
    const channel = await couponOf(host, 'anna');
    const [one, two] = (await applicants(channel, 2)) as [string, string];
    await whileOpen(
      (manager) => buy(one, 'first', manager),
      () => channel.update({ allowedUses: 1 }),
      'commit',
    );
    expect((await buy(two)).purchase.source).toBeNull();
    expect(await redemptionsOf(channel)).toEqual({ counted: 1, rows: 1 });
    // And a purchase that waits for a lower limit keeps to it.
    const lowered = await couponOf(host, 'anna', { allowedUses: 5 });
    const [three] = (await applicants(lowered, 1)) as [string];
    const { purchase } = await whileOpen(
      (manager) => host.referrals.channels.update(lowered, { allowedUses: 0 }, { manager }),
      () => buy(three),
      'commit',
    );
    expect(purchase.source).toBeNull();
  });

  test('sign-ups and redemptions of one code at once end without a deadlock', async () => {
    const channel = await couponOf(host, 'anna', { allowedUses: 20 });
    const buyers = await applicants(channel, 25);
    const failures: unknown[] = [];
    const within = (work: (manager: EntityManager) => Promise<unknown>) =>
      host.dataSource.transaction(work).catch((error: unknown) => failures.push(error));
    await Promise.all(
      buyers.flatMap((buyer) => [
        within((manager) => buy(buyer, 'first', manager)),
        within((manager) => Referral.recordSignup(null, fresh('new'), { code: channel.code, manager })),
        within((manager) => Referral.recordSignup(null, buyer, { code: channel.code, manager })),
      ]),
    );
    expect(failures).toEqual([]);
    expect(await redemptionsOf(channel)).toEqual({ counted: 20, rows: 20 });
    expect((await host.referrals.referralCodes.get(channel.id)).uses).toBe(20);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('of processes that are killed at any statement', async () => {
    interface Answer {
      isDone?: boolean;
      error?: string;
    }
    const channel = await couponOf(host, 'anna', { allowedUses: 30 });
    const buyers = await applicants(channel, 80);
    const tasks = buyers.map((user, index) => ({
      ...{ call: 'purchase', user, inTransaction: index % 2 === 0 },
      input: { amount: '10', reference: 'first' },
    }));
    const env = { SCHEMA: JSON.parse(host.schema) as string, NOW: host.clock.time.toJSON() };
    const start = (): Promise<Worker<Answer>> => startWorker<Answer>('earnings-worker.js', env);
    const orders = { tasks, atOnce: 4, now: host.clock.time };
    const killed = await Promise.all([start(), start(), start(), start()]);
    await Promise.all(killed.map((worker, index) => worker.ask(orders, killAfter(5 + 4 * index, [worker]))));
    const { counted, rows } = await redemptionsOf(channel);
    expect(counted).toBe(rows);
    expect(rows).toBeLessThanOrEqual(30);
    const answers = await inProcesses(4, start, (workers) => Promise.all(workers.map(({ ask }) => ask(orders))));
    expect(answers.flat().filter(({ isDone }) => !isDone)).toEqual([]);
    expect(await redemptionsOf(channel)).toEqual({ counted: 30, rows: 30 });
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

test('verify finds a count that is wrong', async () => {
  const channel = await couponOf(host, 'anna');
  const [buyer] = (await applicants(channel, 1)) as [string];
  await buy(buyer);
  const set = (count: number): Promise<unknown> =>
    host.dataSource.query(`UPDATE ${host.schema}.referrals SET redemptions = ${count} WHERE id = ${channel.id}`);
  await set(0);
  const { problems } = await host.referrals.verify();
  expect(problems).toMatchObject([
    { invariant: 'redemptions of a code = redeemed coupons', id: channel.id, expected: '1', found: '0' },
  ]);
  await set(1);
});

test('the migration counts what was redeemed before, also where that is more than the code allows', async () => {
  const before = migrations.slice(
    0,
    migrations.findIndex(({ name }) => name.startsWith('LimitCouponRedemptions')),
  );
  const old = await openDataSource({ migrations: before, migrate: false });
  await runMigrations(old);
  const { schema } = old.options as { schema: string };
  await old.query(`INSERT INTO "${schema}".referrals (code, label, redirect_to, allowed_uses, uses)
    VALUES ('A', 'a', '/', 1, 1), ('B', 'b', '/', -1, 0), ('C', 'c', '/', 5, 0)`);
  await old.query(`INSERT INTO "${schema}".referral_channels
    (id, promo_type, promo_value, start_date, initial_rate, ongoing_rate, initial_rate_period_days)
    SELECT id, 'value_off', 1, now(), 0, 0, 0 FROM "${schema}".referrals WHERE code < 'C'`);
  await old.query(`INSERT INTO "${schema}".referral_redemptions (user_id, channel_id, reference)
    SELECT 'buyer ' || n, id, '1' FROM "${schema}".referral_channels, generate_series(1, 3 - id) n`);
  await runMigrations(await openDataSource({ schema, migrate: false }));
  expect(await old.query(`SELECT code, redemptions FROM "${schema}".referrals ORDER BY id`)).toEqual([
    { code: 'A', redemptions: 2 },
    { code: 'B', redemptions: 1 },
    { code: 'C', redemptions: 0 },
  ]);
  // A sign-up, or its removal, does not meet the count.
  await old.query(`UPDATE "${schema}".referrals SET uses = 0`);
});
