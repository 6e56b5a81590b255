import express, { type ErrorRequestHandler } from 'express';
import {
  createReferrals,
  entities,
  migrations,
  Referral,
  type Referrals,
  type ReferralsOptions,
  runMigrations,
} from 'express-referrals';
import request from 'supertest';
import { DataSource } from 'typeorm';
import {
  buy,
  checkoutMetadata,
  disputeWon,
  earnings,
  giveDeal,
  paid as recordPaid,
  payEarnings,
  type Payment,
  paymentReports,
  payoutsForStaff,
  payoutsToApprove,
  type Provider,
  refund,
  sponsor,
  trialEnded,
} from '../examples/commissions/commissions';
import * as staff from '../examples/commissions/staff';
import { browserOf } from './support/browser';
import { databaseUrl, patient, TestClock } from './support/host';

/** A provider that pays once for each key. Each call of `pay` does what the next of `manners` says. */
class FakeProvider implements Provider {
  readonly manners: ('pays' | 'pays and times out' | 'is in flight' | 'decides later' | 'refuses' | 'is new')[] = [];
  readonly asked: string[] = [];
  readonly payments = new Map<string, Payment & { amount: string; to: string; user: string }>();

  pay(order: Parameters<Provider['pay']>[0]): Promise<Payment> {
    return new Promise((resolve) => resolve(this.#answer(order)));
  }

  #answer({ key, ...order }: Parameters<Provider['pay']>[0]): Payment {
    this.asked.push(key);
    const manner = this.manners.shift() ?? 'pays';
    if (manner === 'is in flight') throw new Error('409: a request with this key is in progress');
    const status =
      { 'decides later': 'pending', 'refuses': 'refused', 'is new': 'on hold' }[manner as string] ?? 'paid';
    const known = this.payments.get(key) ?? { key, ...order, id: `po_${this.payments.size + 1}`, status };
    this.payments.set(key, known);
    if (manner === 'pays and times out') throw new Error('no answer within 30 s');
    return status === 'refused' ? { ...known, reason: 'The address is closed.' } : known;
  }

  verify(body: Buffer, signature: string): Payment {
    if (signature !== 'right') throw Object.assign(new Error('The signature is wrong.'), { status: 400 });
    return JSON.parse(body.toString()) as Payment;
  }

  /** What each payment has paid, oldest first. */
  get paid(): object[] {
    return [...this.payments.values()].filter(({ status }) => status === 'paid');
  }
}

interface Example {
  dataSource: DataSource;
  referrals: Referrals;
  clock: TestClock;
  provider: FakeProvider;
  reported: string[];
  run: () => Promise<string>;
  order: (reference: string, price: string) => Promise<string>;
}

const secret = 'a secret of at least thirty-two characters';
const [anna, carl] = [{ id: 1 }, { id: 2 }];
let printed: jest.SpyInstance;
beforeEach(() => (printed = jest.spyOn(console, 'log').mockImplementation(() => undefined)));
afterEach(() => printed.mockRestore());

async function withExample(
  schema: string,
  work: (example: Example) => Promise<void>,
  more: Partial<ReferralsOptions> = {},
): Promise<void> {
  const extra = { options: `-c search_path=${schema}` };
  const options = { type: 'postgres', url: databaseUrl(), schema, extra, poolSize: 2, entities, migrations } as const;
  const dataSource = await new DataSource(options).initialize();
  await dataSource.query(`CREATE SCHEMA "${schema}"`);
  await runMigrations(dataSource);
  await dataSource.query('CREATE TABLE orders (reference text PRIMARY KEY, total numeric, coupon text)');
  const clock = new TestClock();
  const provider = new FakeProvider();
  const reported: string[] = [];
  const referrals = createReferrals({
    ...{ dataSource, baseUrl: 'https://shop.example', secret, clock: clock.read, ...patient() },
    ...earnings(provider),
    ...more,
    user: (req) => req.get('authorization'),
    onError: (error) => reported.push((error as { code: string }).code),
  });
  try {
    await work({
      ...{ dataSource, referrals, clock, provider, reported },
      run: async () => {
        await payEarnings(referrals);
        return printed.mock.calls.at(-1)![0] as string;
      },
      order: (reference, price) =>
        dataSource.transaction((manager) => buy(referrals, carl, { reference, price }, manager)),
    });
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  } finally {
    await referrals.close();
    await dataSource.query(`DROP SCHEMA "${schema}" CASCADE`);
    await dataSource.destroy();
  }
}

test('the example does what it says', () =>
  withExample('commissions_example', async ({ dataSource, referrals, clock, provider, run, order }) => {
    const channel = await sponsor(referrals, anna);
    const app = express();
    app.use(referrals.middleware);
    app.use('/r', referrals.router);
    app.get('/checkout', (req, res) => void res.json(checkoutMetadata(referrals, req, { id: 3 })));
    app.use('/api/v2/referral', referrals.api);
    const as = (user: { id: number }) => ({ authorization: String(user.id) });
    const applied = await request(app).post('/api/v2/referral/coupon-code/').set(as(carl)).send({ code: 'summer20' });
    expect(applied.body).toMatchObject({ code: 'SUMMER20', promo_value: '0.20' });
    expect(await order('inv-1', '49.00')).toBe('39.20');
    expect(await order('inv-2', '49.00')).toBe('49.00');
    expect(await dataSource.query('SELECT coupon FROM orders ORDER BY 1')).toEqual([
      { coupon: 'SUMMER20' },
      { coupon: null },
    ]);
    expect(await refund(referrals, carl, { order: 'inv-1', reference: 're-1', amount: '10.00' })).toBe('8.76');

    await request(app)
      .patch('/api/v2/referral/config/')
      .set(as(anna))
      .send({ mode: 'payout', paypal_payout_email: 'anna@shop.example' })
      .expect(200);
    expect(await order('inv-3', '100.00')).toBe('100.00');
    clock.advanceDays(30);
    expect(await run()).toBe('2 earn-outs completed, 53.46 in total; 0 refused');
    expect(await run()).toBe('0 earn-outs completed, 0.00 in total; 0 refused');
    expect(provider.paid).toEqual([
      expect.objectContaining({ id: 'po_1', to: 'anna@shop.example', amount: '30.00', user: '1' }),
    ]);
    expect(await referrals.credits.balance(anna)).toBe('23.46'); // 8.76 of inv-1, 14.70 of inv-2

    expect(await refund(referrals, carl, { order: 'inv-3', reference: 're-2' })).toBe('0.00');
    expect(await referrals.accounts.totals(anna)).toMatchObject({
      payoutsEarned: '-30.00',
      totalPayoutsEarned: '0.00',
    });
    expect(await channel.refresh()).toMatchObject({ totalUses: 1, totalCommission: '23.46', totalRevenue: '78.20' });

    const browser = browserOf(app);
    await browser.get('/r/SUMMER20').set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
    const { body: metadata } = await browser.get('/checkout');
    expect(metadata).toEqual({ buyer: '3', visitorId: expect.any(String) });
    for (let again = 0; again < 2; again++) await recordPaid(referrals, { id: 'pay-1', amount: '10.00', metadata });
    const [purchase] = await referrals.purchases.search({ where: { userId: '3' } });
    expect(await purchase!.commission()).toMatchObject({ userId: '1', earned: '3.00' });
  }));

/** Lets Carl buy for 100.00, which earns Anna 25.00 that are paid as money. */
async function earnMoney({ dataSource, referrals, order, clock }: Example): Promise<void> {
  const { code } = await Referral.create({ user: anna, redirectTo: '/' }, { manager: dataSource.manager });
  await referrals.signups.create({ user: carl, code });
  await referrals.accounts.update(await referrals.accounts.of(anna), {
    ...{ mode: 'payout', payoutEmail: 'anna@shop.example' },
  });
  await order('inv-1', '100.00');
  clock.advanceDays(30);
}

const completed = '1 earn-outs completed, 25.00 in total; 0 refused';
const nothing = '0 earn-outs completed, 0.00 in total; 0 refused';
const refused = '0 earn-outs completed, 0.00 in total; 1 refused';
const minute = 60_000;
const hour = 60 * minute;

test('a provider that pays and times out, and is in flight then, has paid once', () =>
  withExample('commissions_timeout', async (example) => {
    const { referrals, clock, provider, reported, run } = example;
    await earnMoney(example);
    provider.manners.push('pays and times out', 'is in flight', 'is in flight');
    expect(await run()).toBe(nothing);
    expect(await run()).toBe(nothing); // not before a minute has passed
    for (const wait of [1, 5]) {
      clock.advance(wait * minute - 1);
      await run();
      const asked = provider.asked.length;
      clock.advance(1);
      expect(await run()).toBe(nothing);
      expect(provider.asked).toHaveLength(asked + 1);
    }
    expect(reported).toEqual(['PAYOUT_UNCLEAR', 'PAYOUT_UNCLEAR', 'PAYOUT_UNCLEAR']);
    clock.advance(30 * minute);
    expect(await run()).toBe(completed);
    expect(new Set(provider.asked)).toEqual(new Set(provider.payments.keys()));
    expect(provider.paid).toEqual([expect.objectContaining({ amount: '25.00' })]);
    expect(await referrals.earnOuts.search()).toMatchObject([{ status: 'completed', reference: 'po_1' }]);
  }));

test('a result that nobody knows waits for the staff in the end', () =>
  withExample('commissions_unclear', async (example) => {
    const { referrals, clock, provider, run } = example;
    await earnMoney(example);
    provider.manners.push('is new', ...Array<'is in flight'>(6).fill('is in flight'));
    for (const minutes of [0, 1, 5, 30, 120, 720, 1440]) {
      expect(await payoutsForStaff(referrals)).toEqual([]);
      clock.advance(minutes * minute);
      expect(await run()).toBe(nothing);
    }
    const [waiting] = await payoutsForStaff(referrals);
    expect(waiting).toMatchObject({ status: 'processing', attempts: 7 });
    clock.advanceDays(365);
    expect(await run()).toBe(nothing);
    expect(provider.asked).toHaveLength(7);
    provider.payments.get(waiting!.idempotencyKey)!.status = 'paid';
    await referrals.earnOuts.retry(waiting!);
    expect(await run()).toBe(completed);
    expect(new Set(provider.asked)).toEqual(new Set([waiting!.idempotencyKey]));
  }));

test('a payment that the provider decides later is settled by its webhook, and what comes back is paid again', () =>
  withExample('commissions_webhook', async (example) => {
    const { referrals, clock, provider, reported, run } = example;
    const app = express();
    app.post('/payments', express.raw({ type: 'application/json' }), paymentReports(referrals, provider));
    app.use(((error, _req, res, _next) => res.sendStatus(error.status ?? 500)) as ErrorRequestHandler);
    const report = async (payment: Partial<Payment>, signature = 'right'): Promise<number> =>
      (await request(app).post('/payments').set('Signature', signature).send(payment)).status;
    const statuses = async (): Promise<string[]> => (await referrals.earnOuts.search()).map(({ status }) => status);

    await earnMoney(example);
    provider.manners.push('decides later');
    expect(await run()).toBe(nothing);
    const [payment] = [...provider.payments.values()];
    clock.advanceDays(2);
    expect(await run()).toBe(nothing);
    expect([await statuses(), await payoutsForStaff(referrals)]).toEqual([['processing'], []]);
    expect(await report({ ...payment, status: 'paid' }, 'forged')).toBe(400);
    expect(await report({ ...payment, status: 'pending' })).toBe(204);
    expect(await report({ ...payment, key: 'another', status: 'paid' })).toBe(404);
    expect(await statuses()).toEqual(['processing']);
    for (let again = 0; again < 2; again++) expect(await report({ ...payment, status: 'paid' })).toBe(204);
    expect(await statuses()).toEqual(['completed']);
    expect(provider.asked).toHaveLength(1);

    expect(await report({ ...payment, status: 'returned', reason: 'account closed' })).toBe(204);
    expect(await referrals.earnOuts.search()).toMatchObject([{ status: 'returned', errorReason: 'account closed' }]);
    provider.manners.push(...Array<'refuses'>(4).fill('refuses'));
    for (const hours of [1, 6, 24, 72]) {
      clock.advance(hours * hour - 1);
      expect(await run()).toBe(nothing);
      clock.advance(1);
      expect(await run()).toBe(refused);
    }
    clock.advanceDays(365);
    expect(await run()).toBe(nothing);
    const [waiting] = await payoutsForStaff(referrals);
    expect(waiting).toMatchObject({ status: 'failed', errorReason: 'The address is closed.', refusals: 5 });
    await referrals.accounts.update(await referrals.accounts.of(anna), { payoutEmail: 'new@shop.example' });
    expect(await payoutsForStaff(referrals)).toEqual([]);
    expect(await run()).toBe(nothing); // the address is held
    clock.advanceDays(3);
    expect(await run()).toBe(completed);
    expect(provider.paid).toEqual([expect.objectContaining({ to: 'new@shop.example', amount: '25.00' })]);
    expect(new Set(provider.asked).size).toBe(6);
    expect(reported).toEqual([]);
  }));

test("the staff's example does what it says", () =>
  withExample(
    'commissions_staff',
    async ({ referrals, clock, run, dataSource }) => {
      const why = { by: 9, reason: 'seen by the staff' };
      const { manager } = dataSource;
      const [zoe, buyer] = [{ id: 5 }, { id: 6 }];
      const { code } = await Referral.create({ user: anna, redirectTo: '/' }, { manager });
      const other = await Referral.create({ user: zoe, redirectTo: '/' }, { manager });
      await referrals.signups.create({ user: carl, code });
      await giveDeal(referrals, anna);
      expect(await trialEnded(referrals, carl, 'trial-2')).toBe('5.00');
      const abroad = { reference: 'inv-1', amount: '100', currency: 'GBP' };
      expect(await staff.buyAbroad(referrals, carl, abroad)).toBe('100.00 GBP at 1.17 is 117.00');
      await referrals.recordPurchase(carl, { amount: '6000', reference: 'inv-2' });
      const [review] = await staff.openReviews(referrals);
      expect(review).toMatchObject({ rule: 'rule', evidence: { sentence: 'An unusually large purchase.' } });
      expect(await staff.closeReview(referrals, review!.id, true, why)).toMatchObject({ status: 'allowed' });
      expect(await staff.adjust(referrals, anna, { amount: '50', reference: 'bonus' }, why)).toBe('50.00');

      const { id } = await referrals.accounts.of(anna);
      await referrals.accounts.update(id, { mode: 'payout', payoutEmail: 'anna@shop.example' });
      await staff.adjust(referrals, anna, { amount: '20', reference: 'more' }, why);
      clock.advanceDays(30);
      await referrals.runEarnOuts({ approve: 'all' });
      const [waiting] = await payoutsToApprove(referrals);
      expect(await staff.refusePayout(referrals, waiting!.id, why)).toBe('seen by the staff');
      expect(await run()).toBe('0 earn-outs completed, 0.00 in total; 0 refused');

      await staff.stop(referrals, anna, why);
      expect((await staff.answer(referrals, carl)).length).toBeGreaterThan(1);
      await staff.conclude(referrals, anna, false, why);
      await staff.correct(referrals, carl, other.code, why);
      expect((await referrals.signups.search({ where: { userId: '2' } }))[0]).toMatchObject({ referrerId: '5' });
      await staff.stop(referrals, anna, why);
      await staff.conclude(referrals, anna, true, why);
      expect(await referrals.accounts.totals(anna)).toMatchObject({ payoutsEarned: '0.00' });

      await staff.sponsorWithTerms(referrals, zoe);
      await referrals.coupons.apply(buyer, 'WELCOME');
      expect((await referrals.quote(buyer, '30', { product: 'hosting' })).noDiscount).toMatchObject({
        code: 'COUPON_BELOW_MINIMUM',
      });
      expect((await referrals.quote(buyer, '50', { product: 'hosting' })).total).toBe('40.00');
      await referrals.recordPurchase(buyer, { amount: '40', price: '50', product: 'hosting', reference: 'inv-1' });
      await referrals.recordRefund(buyer, { purchase: 'inv-1', reference: 're-1' });
      await disputeWon(referrals, buyer, { refund: 're-1' });
      await expect(referrals.coupons.apply(buyer, 'WELCOME')).rejects.toMatchObject({ code: 'COUPON_REDEEMED' });
      expect(await staff.printCards(referrals, zoe, 3)).toHaveLength(5); // a header, WELCOME and three cards
      expect((await staff.history(referrals, anna))[0]).toMatchObject({ call: 'accounts.ban', by: '9' });
    },
    staff.governance,
  ));
