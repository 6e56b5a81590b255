import type { EntityManager } from 'typeorm';
import type { PurchaseInput, ReferralChannel } from '../lib';
import { unguarded } from './support/damage';
import {
  couponOf,
  type EarningsHost,
  expectRefusals,
  fresh,
  refer,
  refusalOf,
  startEarnings,
} from './support/earnings';
import { closeAll } from './support/host';
import { inProcesses, startWorker, type Worker } from './support/processes';

afterAll(closeAll);

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings();
});

const buy = (buyer: string, amount: string | number, input: Partial<PurchaseInput> = {}) =>
  host.referrals.recordPurchase(buyer, { reference: fresh('order'), amount, ...input });
const quote = (buyer: string, amount: string | number, options: { product?: string; manager?: EntityManager } = {}) =>
  host.referrals.quote(buyer, amount, options);

async function applicant({ code }: ReferralChannel): Promise<string> {
  const buyer = fresh('buyer');
  await host.referrals.coupons.apply(buyer, code);
  return buyer;
}

const isSound = async (): Promise<void> => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
};

describe('maxRedemptions', () => {
  test('limits redemptions and no sign-ups; null leaves it to allowedUses', async () => {
    const channel = await couponOf(host, 'anna', { maxRedemptions: 1 });
    expect([channel.maxRedemptions, channel.allowedUses]).toEqual([1, -1]);
    for (const user of [fresh(), fresh()]) await host.referrals.signups.create({ user, code: channel.code });
    const [one, two] = [await applicant(channel), await applicant(channel)];
    expect((await buy(one, 10)).purchase.source).toBe('coupon');
    expect(await quote(two, 10)).toMatchObject({ total: '10.00', code: null, noDiscount: { code: 'COUPON_USED_UP' } });
    expect((await buy(two, 10)).purchase.source).toBeNull();
    expect(await refusalOf(host.referrals.coupons.apply(fresh(), channel.code))).toBe('COUPON_USED_UP');
    const { channels } = host.referrals;
    expect(
      (await channels.search({ where: { maxRedemptions: 1 }, fields: ['maxRedemptions', 'code'] }))[0],
    ).toMatchObject({
      ...{ maxRedemptions: 1, code: channel.code },
    });
    await channel.update({ maxRedemptions: null });
    expect(channel.maxRedemptions).toBeNull();
    expect(await quote(two, 10)).toMatchObject({ total: '8.00', code: channel.code });
    await channel.update({ allowedUses: 2 });
    expect((await buy(two, 10)).purchase.source).toBe('coupon');
    expect(await refusalOf(host.referrals.coupons.apply(fresh(), channel.code))).toBe('COUPON_USED_UP');
    await channel.update({ maxRedemptions: 0 });
    expect((await channels.get(channel.id)).maxRedemptions).toBe(0);
    await isSound();
  });

  test('exactly so many of forty buyers in four processes redeem it', async () => {
    const channel = await couponOf(host, 'anna', { maxRedemptions: 1 });
    const buyers: string[] = [];
    for (let n = 0; n < 40; n++) buyers.push(await applicant(channel));
    const tasks = buyers.map((user, index) => ({
      ...{ call: 'purchase', user, inTransaction: index % 2 === 0, input: { amount: '10', reference: 'first' } },
    }));
    const env = { SCHEMA: JSON.parse(host.schema) as string, NOW: host.clock.time.toJSON() };
    const start = (): Promise<Worker<{ isDone?: boolean }>> => startWorker('earnings-worker.js', env);
    const answers = await inProcesses(4, start, (workers) =>
      Promise.all(
        workers.map(({ ask }, n) =>
          ask({ tasks: tasks.filter((_, index) => index % 4 === n), atOnce: 5, now: host.clock.time }),
        ),
      ),
    );
    expect(answers.flat().filter(({ isDone }) => !isDone)).toEqual([]);
    expect((await channel.refresh()).totalUses).toBe(1);
    await isSound();
  });
});

describe('minimumAmount', () => {
  test('below it there is no discount, and the coupon stays applied', async () => {
    const channel = await couponOf(host, 'anna', { minimumAmount: '50' });
    expect(channel.minimumAmount).toBe('50.00');
    const buyer = await applicant(channel);
    await refer(host, 'otto', buyer);
    expect(await quote(buyer, '49.99')).toEqual({
      ...{ amount: '49.99', discount: '0.00', total: '49.99', code: null },
      noDiscount: { code: 'COUPON_BELOW_MINIMUM', message: expect.stringContaining(channel.code) },
    });
    expect((await buy(buyer, '39.99')).purchase).toMatchObject({ source: 'sign-up', referrerId: 'otto' });
    // The price is known: 49.99 is no discounted price of 50.00 or more.
    expect((await buy(buyer, '49.99', { price: '49.99' })).purchase.source).toBe('sign-up');
    expect(await quote(buyer, '50')).toMatchObject({ total: '40.00', code: channel.code });
    expect((await buy(buyer, '40.00')).purchase).toMatchObject({ source: 'coupon', channelId: channel.id });
    await isSound();
  });

  test.each([
    [{ promoType: 'value_off', promoValue: '10' }, '50', '39.99', '40.00'],
    [{ promoType: 'value_off', promoValue: '60' }, '50', null, '0'],
    [{ promoType: 'percent_off', promoValue: '0.333' }, '10', '6.66', '6.67'],
  ] as const)('%j from %s on: %s does not redeem it, %s does', async (promo, minimumAmount, below, enough) => {
    const channel = await couponOf(host, 'anna', { ...promo, minimumAmount });
    const buyer = await applicant(channel);
    if (below !== null) expect((await buy(buyer, below)).purchase.source).toBeNull();
    const { total } = await quote(buyer, minimumAmount);
    expect(Number(total)).toBe(Number(enough));
    expect((await buy(buyer, total)).purchase.source).toBe('coupon');
  });

  test('of a recurring coupon applies to each purchase', async () => {
    const channel = await couponOf(host, 'anna', { minimumAmount: '50', isRecurring: true });
    const buyer = await applicant(channel);
    await buy(buyer, '40', { price: '50' });
    expect(await quote(buyer, 20)).toMatchObject({ code: null, noDiscount: { code: 'COUPON_BELOW_MINIMUM' } });
    expect((await buy(buyer, '20')).purchase.source).toBe('earlier-coupon');
    expect((await buy(buyer, '48', { price: '60' })).purchase.source).toBe('coupon');
    await isSound();
  });
});

describe('firstPurchaseOnly', () => {
  test('is refused to a buyer who has paid before, when it is applied and afterwards', async () => {
    const channel = await couponOf(host, 'anna', { firstPurchaseOnly: true });
    const [early, late] = [await applicant(channel), fresh('buyer')];
    await buy(late, 0); // nothing was paid
    await host.referrals.coupons.apply(late, channel.code);
    await buy(late, '10');
    const { purchase } = await buy(late, '10');
    expect(purchase.source).toBe('earlier-coupon'); // the first one redeemed it
    const old = fresh('buyer');
    await buy(old, 10);
    expect(await refusalOf(host.referrals.coupons.apply(old, channel.code))).toBe('COUPON_FIRST_PURCHASE_ONLY');
    expect((await buy(early, 10)).purchase.source).toBe('coupon');
  });

  test('a coupon that is applied is off once something was bought without it', async () => {
    const channel = await couponOf(host, 'anna', { firstPurchaseOnly: true, minimumAmount: 50 });
    const buyer = await applicant(channel);
    await buy(buyer, 10);
    expect(await quote(buyer, 100)).toMatchObject({ code: null, noDiscount: { code: 'COUPON_FIRST_PURCHASE_ONLY' } });
    expect((await buy(buyer, 80)).purchase.source).toBeNull();
    expect(await host.referrals.coupons.of(buyer)).toBeNull();
    await isSound();
  });
});

describe('products', () => {
  test('only these get the discount and redeem the coupon', async () => {
    const channel = await couponOf(host, 'anna', { products: ['vps', 'dns'] });
    expect(channel.products).toEqual(['vps', 'dns']);
    const buyer = await applicant(channel);
    for (const options of [{}, { product: 'mail' }])
      expect(await quote(buyer, 10, options)).toMatchObject({
        ...{ total: '10.00', code: null, noDiscount: { code: 'COUPON_OTHER_PRODUCT' } },
      });
    for (const input of [{}, { product: 'mail' }]) expect((await buy(buyer, 10, input)).purchase.source).toBeNull();
    expect(await quote(buyer, 10, { product: 'dns' })).toMatchObject({ total: '8.00', code: channel.code });
    expect((await buy(buyer, 8, { product: 'dns' })).purchase.source).toBe('coupon');
    const all = await applicant(await couponOf(host, 'anna'));
    expect(await quote(all, 10, { product: 'anything' })).toMatchObject({ total: '8.00' });
    await isSound();
  });
});

describe('restoreOnRefund', () => {
  const refund = (buyer: string, purchase: string, amount?: string) =>
    host.referrals.recordRefund(buyer, { purchase, reference: fresh('refund'), ...(amount && { amount }) });

  test('a purchase refunded as a whole, also in parts, gives the coupon and its place back', async () => {
    const channel = await couponOf(host, 'anna', { restoreOnRefund: true, maxRedemptions: 1 });
    const [buyer, other] = [await applicant(channel), await applicant(channel)];
    await buy(buyer, 10, { reference: 'with coupon' });
    await refund(buyer, 'with coupon', '4');
    expect(await refusalOf(host.referrals.coupons.apply(buyer, channel.code))).toBe('COUPON_REDEEMED');
    await refund(buyer, 'with coupon', '6');
    expect((await channel.refresh()).totalUses).toBe(0);
    await isSound();
    expect(await host.referrals.coupons.of(buyer)).toBeNull(); // it is the buyer's choice to apply it again
    await host.referrals.coupons.apply(buyer, channel.code);
    expect((await buy(buyer, 8, { reference: 'once more' })).purchase.source).toBe('coupon');
    expect((await buy(other, 8)).purchase.source).toBeNull();
    expect((await channel.refresh()).totalUses).toBe(1);
    await isSound();
    await refund(buyer, 'once more');
    expect((await buy(other, 8)).purchase.source).toBe('coupon');
    await isSound();
  });

  test('is off by default; a recurring one is taken off, and applies again when applied again', async () => {
    const kept = await couponOf(host, 'anna');
    const one = await applicant(kept);
    await buy(one, 10, { reference: 'first' });
    await refund(one, 'first');
    expect(await refusalOf(host.referrals.coupons.apply(one, kept.code))).toBe('COUPON_REDEEMED');

    const channel = await couponOf(host, 'anna', { restoreOnRefund: true, isRecurring: true });
    const buyer = await applicant(channel);
    for (const reference of ['first', 'second']) await buy(buyer, 10, { reference });
    await refund(buyer, 'second'); // it has not redeemed the coupon
    expect(await quote(buyer, 10)).toMatchObject({ code: channel.code });
    await refund(buyer, 'first');
    expect(await quote(buyer, 10)).toMatchObject({ code: null });
    await isSound();
    await host.referrals.coupons.apply(buyer, channel.code);
    for (const _ of [1, 2]) expect((await buy(buyer, 10)).purchase.source).toBe('coupon');
    await isSound();
  });

  const undo = (buyer: string, reference: string) => host.referrals.undoRefund(buyer, { reference });
  const refused = (buyer: string, { code }: { code: string }) => refusalOf(host.referrals.coupons.apply(buyer, code));

  test('a refund that is undone takes it again, if it is unused, also where it is applied anew', async () => {
    for (const isApplied of [false, true]) {
      const channel = await couponOf(host, 'anna', { restoreOnRefund: true, maxRedemptions: 1 });
      const buyer = await applicant(channel);
      await buy(buyer, 10, { reference: 'order' });
      const parts = [(await refund(buyer, 'order', '4')).refund, (await refund(buyer, 'order', '6')).refund];
      if (isApplied) await host.referrals.coupons.apply(buyer, channel.code);
      await undo(buyer, parts[0]!.reference);
      await isSound();
      expect((await channel.refresh()).totalUses).toBe(1);
      expect(await host.referrals.coupons.of(buyer)).toBeNull();
      expect(await refused(buyer, channel)).toBe('COUPON_REDEEMED');
      await undo(buyer, parts[0]!.reference);
      await undo(buyer, parts[1]!.reference);
      expect((await channel.refresh()).totalUses).toBe(1);
      await refund(buyer, 'order'); // gives it back once more
      expect((await channel.refresh()).totalUses).toBe(0);
      await isSound();
    }
  });

  test('a refund that is undone leaves what staff gave back, and what was used since', async () => {
    const why = { reason: 'a present', by: 'staff-1' };
    const channel = await couponOf(host, 'anna', { restoreOnRefund: true });
    const buyer = await applicant(channel);
    await buy(buyer, 10, { reference: 'order' });
    await host.referrals.coupons.giveBack(buyer, why);
    await undo(buyer, (await refund(buyer, 'order')).refund.reference);
    expect((await channel.refresh()).totalUses).toBe(0);
    await host.referrals.coupons.apply(buyer, channel.code);
    await buy(buyer, 10, { reference: 'second' });
    const { reference } = (await refund(buyer, 'second')).refund;
    await host.referrals.coupons.apply(buyer, channel.code);
    expect((await buy(buyer, 10, { reference: 'third' })).purchase.source).toBe('coupon');
    await undo(buyer, reference);
    expect((await channel.refresh()).totalUses).toBe(1);
    await isSound();

    const last = await couponOf(host, 'anna', { restoreOnRefund: true, maxRedemptions: 1 });
    const [one, other] = [await applicant(last), await applicant(last)];
    await buy(one, 10, { reference: 'order' });
    const back = await refund(one, 'order');
    await buy(other, 10);
    await undo(one, back.refund.reference);
    expect((await last.refresh()).totalUses).toBe(1);
    expect(await refused(one, last)).toBe('COUPON_USED_UP');
    await isSound();
  });

  test('a refund that is undone puts a recurring one on again, unless the buyer has another one on', async () => {
    const [channel, other] = [
      await couponOf(host, 'anna', { restoreOnRefund: true, isRecurring: true }),
      await couponOf(host, 'anna'),
    ];
    for (const replaced of [null, other, channel]) {
      const buyer = await applicant(channel);
      await buy(buyer, 10, { reference: 'order' });
      const back = await refund(buyer, 'order');
      if (replaced) await host.referrals.coupons.apply(buyer, replaced.code);
      await undo(buyer, back.refund.reference);
      await isSound();
      expect(await quote(buyer, 10)).toMatchObject({ code: (replaced ?? channel).code });
      expect((await buy(buyer, 8)).purchase).toMatchObject({ source: 'coupon', channelId: (replaced ?? channel).id });
      await isSound();
    }
  });

  test('refunds and redemptions of one coupon at once end without a deadlock', async () => {
    const channel = await couponOf(host, 'anna', { restoreOnRefund: true, maxRedemptions: 10 });
    const buyers: string[] = [];
    for (let n = 0; n < 20; n++) buyers.push(await applicant(channel));
    for (const buyer of buyers.slice(0, 10)) await buy(buyer, 10, { reference: 'first' });
    const failures: unknown[] = [];
    const within = (work: (manager: EntityManager) => Promise<unknown>) =>
      host.dataSource.transaction(work).catch((error: unknown) => failures.push(error));
    await Promise.all(
      buyers.map((buyer, n) =>
        within((manager) =>
          n < 10
            ? host.referrals.recordRefund(buyer, { purchase: 'first', reference: 'back', manager })
            : buy(buyer, 10, { manager }),
        ),
      ),
    );
    expect(failures).toEqual([]);
    await isSound();
  });
});

describe('coupons.giveBack', () => {
  const why = { reason: 'the parcel was lost', by: 'staff-1' };

  test('gives back the coupon that was redeemed last, once, and keeps who did it', async () => {
    const { coupons, audit } = host.referrals;
    const [first, last] = [await couponOf(host, 'anna'), await couponOf(host, 'anna')];
    const buyer = await applicant(first);
    await buy(buyer, 10);
    await coupons.apply(buyer, last.code);
    await buy(buyer, 10, { reference: 'the last' });
    expect(await coupons.giveBack(buyer, why)).toBe(true);
    expect(await coupons.giveBack(buyer, why)).toBe(false);
    expect(await refusalOf(coupons.apply(buyer, first.code))).toBe('COUPON_REDEEMED');
    expect(await coupons.apply(buyer, last.code)).toMatchObject({ code: last.code });
    expect(await coupons.giveBack(buyer, { ...why, code: first.code.toLowerCase() })).toBe(true);
    expect(await coupons.apply(buyer, first.code)).toMatchObject({ code: first.code });
    const rows = await audit.search({ where: { userId: buyer } });
    expect(rows).toMatchObject([
      { call: 'coupons.giveBack', subject: 'channel', subjectId: `${last.id}`, actor: 'staff', ...why },
      { subjectId: `${first.id}` },
    ]);
    expect(rows[0]!.before).toEqual({ redeemedBy: 'the last' });
    await isSound();
  });

  test('is refused for what was never redeemed, and without a reason', async () => {
    const { coupons } = host.referrals;
    const channel = await couponOf(host, 'anna');
    const buyer = await applicant(channel);
    expect(await refusalOf(coupons.giveBack(buyer, why))).toBe('NOT_FOUND');
    expect(await refusalOf(coupons.giveBack(buyer, { ...why, code: channel.code }))).toBe('NOT_FOUND');
    expect(await refusalOf(coupons.giveBack(fresh(), { ...why, code: 'no-such-code' }))).toBe('NOT_FOUND');
    await buy(buyer, 10);
    await expectRefusals(
      host,
      [
        ['reason', { by: '1' }],
        ['reason', { reason: '' }],
        ['code', { ...why, code: 5 }],
        ['by', { ...why, by: '' }],
      ],
      (input, options) => coupons.giveBack(buyer, { ...input, ...options } as never),
    );
  });
});

test('wrong terms, prices and products are refused', async () => {
  const { channels } = host.referrals;
  const wrong = {
    maxRedemptions: [-1, 1.5, '3', NaN, 2_147_483_648],
    minimumAmount: [0, '-1', 'x', NaN, '1.00001'],
    firstPurchaseOnly: [null, 1, 'yes'],
    restoreOnRefund: [null, 0],
    products: [null, 'vps', {}],
  };
  const inputs = Object.entries(wrong).flatMap(([field, values]) =>
    values.map((value) => [field, { [field]: value }] as const),
  );
  const named = [['products[1]', { products: ['a', ''] }] as const, ['products[0]', { products: [5] }] as const];
  const full = () => ({ user: 'anna', code: fresh('C'), promoType: 'value_off' as const, promoValue: 1 });
  await expectRefusals(host, [...inputs, ...named], (input, options) =>
    channels.create({ ...full(), ...input }, options),
  );
  const channel = await couponOf(host, 'anna');
  await expectRefusals(host, [...inputs, ...named], (input, options) =>
    channels.update(channel, input as never, options),
  );
  await expectRefusals(
    host,
    [
      ['price', { price: '-1' }],
      ['price', { price: 'x' }],
      ['product', { product: '' }],
      ['product', { product: 5 }],
    ],
    (input, options) => buy(fresh(), 1, { ...input, ...options } as never),
  );
  expect(await refusalOf(quote(fresh(), 1, { product: '' }))).toBe('INVALID_INPUT product');
});

test('verify finds a coupon that is given back without its place, its totals, or that stays on', async () => {
  const channel = await couponOf(host, 'anna', { isRecurring: true });
  const buyer = await applicant(channel);
  await buy(buyer, 10);
  await isSound();
  const where = `WHERE user_id = '${buyer}'`;
  const damages: [string, string[]][] = [
    [`given_back_at = now()`, ['redemptions of a code = redeemed coupons', 'totals = sums']],
    [`given_back_at = now(), is_kept = true`, ['a coupon that was given back is off']],
    [`given_back_at = created_at - interval '1 day', is_kept = false`, ['a coupon that was given back is off']],
  ];
  await unguarded(host, async (manager) => {
    for (const [set, names] of damages) {
      const undone = new Error('undone');
      const damaged = manager.transaction(async (within) => {
        await within.query(`UPDATE ${host.schema}.referral_redemptions SET ${set} ${where}`);
        const { problems } = await host.referrals.verify({ manager: within });
        expect(problems.map(({ invariant }) => invariant)).toEqual(expect.arrayContaining(names));
        throw undone;
      });
      await expect(damaged).rejects.toBe(undone);
    }
  });
});
