import { once } from 'node:events';
import request from 'supertest';
import type { EntityManager } from 'typeorm';
import {
  type PurchaseInput,
  Referral,
  type ReferralCode,
  ReferralLateAttribution,
  type ReferralPurchase,
  ReferralResponse,
  type Referrals,
} from '../lib';
import {
  couponOf,
  type EarningsHost,
  everyRow,
  expectRefusals,
  fresh,
  refer,
  refusalOf,
  startEarnings,
} from './support/earnings';
import { closeAll, cookieOf, openDataSource, patient, startHost, StatementLog, visitorOf } from './support/host';
import { startProcess } from './support/processes';

afterAll(closeAll);

const userAgent = 'Mozilla/5.0 Firefox/140.0';
let host: EarningsHost;

beforeAll(async () => {
  host = await startEarnings(
    { isSamePerson: (referrer, referee) => `${referrer}+2` === referee },
    (app) => void app.get('/visitor', (req, res) => void res.json({ id: host.referrals.visitorId(req) })),
  );
});

/** Shops with options of their own. They are closed after each test, so that static calls find the only instance. */
const others: EarningsHost[] = [];
async function otherShop(options: Parameters<typeof startEarnings>[0]): Promise<EarningsHost> {
  const shop = await startEarnings(options);
  others.push(shop);
  return shop;
}

afterEach(async () => {
  for (const { referrals, errors } of [host, ...others]) {
    expect(errors).toEqual([]);
    expect((await referrals.verify()).problems).toEqual([]);
  }
  for (const { referrals } of others.splice(0)) await referrals.close();
});

type Given = Partial<PurchaseInput>;

const buy = (buyer: string, given: Given = {}, of = host) =>
  of.referrals.recordPurchase(buyer, { amount: 100, reference: 'order', ...given });

const linkOf = (user: string | null, terms: object = {}, of = host): Promise<ReferralCode> =>
  of.referrals.referralCodes.create({ code: fresh('Link'), label: fresh(), user, ...terms });

/** A browser that has clicked on a link, and its visitor id. */
async function clicked(code: string, of = host) {
  const browser = of.browser();
  const response = await browser.get(`/r/${code}`).set('user-agent', userAgent).expect(302);
  return { browser, visitorId: visitorOf(response), cookie: cookieOf(response)! };
}

/** The first page of a user after sign-in. */
async function signIn(browser: ReturnType<typeof host.browser>, user: string): Promise<void> {
  await browser.post(`/login/${user}`);
  await browser.get('/whose').expect(200);
}

/** Who earned what by a user's purchases, oldest first: as it is found from the purchase. */
async function earnings(buyer: string, of = host): Promise<(string | null)[]> {
  const purchases = await of.referrals.purchases.search({ where: { userId: buyer } });
  const commissions = await Promise.all(purchases.map((purchase) => purchase.commission()));
  return commissions.map((one) => one && `${one.userId} ${one.earned} ${one.amount}`);
}

const waiting = async (buyer: string, given: Given = {}, of = host): Promise<ReferralPurchase> => {
  const { purchase, commission } = await buy(buyer, given, of);
  expect([purchase.noCommission, commission]).toEqual(['no-referrer', null]);
  return purchase;
};

describe('a purchase that names its referral', () => {
  test('by the record, its id, its code in any case, or the visitor, earns the owner', async () => {
    const owner = fresh('owner');
    const code = await linkOf(owner);
    const { visitorId } = await clicked(code.code);
    const referral = (await Referral.findByCode(code.code))!;
    const names: Given[] = [
      ...[
        { referral },
        { referral: code },
        { referral: code.id },
        { visitorId },
        { visitorId: visitorId.toUpperCase() },
      ],
      ...[code.code, code.code.toUpperCase(), code.code.toLowerCase(), ` ${code.code} `].map((one) => ({ code: one })),
      { code: code.code, referral: null, visitorId: undefined },
    ];
    for (const naming of names) {
      const buyer = fresh('buyer');
      const { purchase, commission } = await buy(buyer, naming);
      const facts = { source: 'attribution', referralId: code.id, referrerId: owner, noCommission: null };
      expect(purchase).toMatchObject(facts);
      expect(commission).toMatchObject({ userId: owner, refereeId: buyer, earned: '25.00' });
    }
    const totals = await host.referrals.accounts.totals(owner);
    expect(totals).toMatchObject({ usersReferred: names.length, usersUpgraded: names.length });
    const made = await host.referrals.purchases.create({ user: fresh(), amount: 4, reference: 'a', code: code.code });
    expect(made).toMatchObject({ referrerId: owner, source: 'attribution' });
    await host.dataSource.transaction(async (manager) => {
      expect((await buy(fresh(), { visitorId, manager })).commission).toMatchObject({ userId: owner });
    });
  });

  test('takes the place of the attribution: after a coupon and a sign-up, before an earlier coupon', async () => {
    const [owner, other, buyer] = [fresh('owner'), fresh('other'), fresh('buyer')];
    const { code } = await linkOf(owner);
    const { browser } = await clicked((await linkOf(other)).code);
    await signIn(browser, buyer);
    expect((await buy(buyer, { code })).purchase).toMatchObject({ source: 'attribution', referrerId: owner });
    expect((await buy(buyer, { reference: '2' })).purchase).toMatchObject({ referrerId: other });
    const channel = await couponOf(host, fresh('channel'));
    await host.referrals.coupons.apply(buyer, channel.code);
    expect((await buy(buyer, { code, reference: '3' })).purchase).toMatchObject({ source: 'coupon', isRevenue: false });
    const redeemer = fresh('redeemer');
    await host.referrals.coupons.apply(redeemer, channel.code);
    await buy(redeemer);
    expect((await buy(redeemer, { reference: '2' })).purchase.source).toBe('earlier-coupon');
    expect((await buy(redeemer, { reference: '3', code })).purchase.source).toBe('attribution');
    const signedUp = fresh('signed-up');
    await refer(host, other, signedUp);
    expect((await buy(signedUp, { code })).purchase).toMatchObject({ source: 'sign-up', referrerId: other });
    await host.referrals.coupons.apply(signedUp, (await couponOf(host, other)).code);
    expect((await buy(signedUp, { code, reference: '2' })).purchase).toMatchObject({
      source: 'coupon',
      isRevenue: true,
    });
  });

  test('by a visitor without touches is one that names nobody: the buyer’s own attribution counts', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const { browser } = await clicked((await linkOf(owner)).code);
    await signIn(browser, buyer);
    const visitorId = 'aaaaaaaa-0000-4000-a000-000000000001';
    for (const [n, given] of [{}, { visitorId }].entries())
      expect((await buy(buyer, { ...given, reference: String(n) })).purchase).toMatchObject({ referrerId: owner });
    const made = await host.referrals.purchases.create({ user: buyer, amount: 4, reference: 'made', visitorId });
    expect(made).toMatchObject({ referrerId: owner, source: 'attribution' });
  });

  test('of the buyer, or of who is the same person, earns nothing', async () => {
    const owner = fresh('owner');
    const { code, id } = await linkOf(owner);
    const { visitorId } = await clicked(code);
    for (const buyer of [owner, `${owner}+2`])
      for (const [n, naming] of [{ code }, { referral: id }, { visitorId }].entries()) {
        const { purchase, commission } = await buy(buyer, { ...naming, reference: `${n}` });
        expect([purchase.source, purchase.noCommission, commission]).toEqual(['attribution', 'own-referral', null]);
      }
  });

  test('of a referral that nobody owns, or of a visitor without touches, has no referrer, and waits', async () => {
    const site = await linkOf(null);
    const { visitorId } = await clicked(site.code);
    const buyer = fresh('buyer');
    const nobody = '00000000-0000-4000-8000-000000000000';
    const namings: Given[] = [{ referral: site.id }, { code: site.code }, { visitorId }, { visitorId: nobody }];
    for (const [n, naming] of namings.entries()) await waiting(buyer, { ...naming, reference: `${n}` });
    const owner = fresh('owner');
    await refer(host, owner, buyer);
    expect(await earnings(buyer)).toEqual(namings.map(() => `${owner} 25.00 25.00`));
  });

  test('is refused by its field where it names nothing, or two; and unknown ones, before anything is written', async () => {
    const { id, code } = await linkOf(fresh('owner'));
    const visitorId = '00000000-0000-4000-8000-000000000000';
    const wrong: [string, object][] = [
      ...[{ code, referral: id }, { code: 'none', referral: 0 }].map((one): [string, object] => ['code', one]),
      ...[{ visitorId, code }, { visitorId, referral: id }, { visitorId: 'x', referral: id, code }].map(
        (one): [string, object] => ['code' in one && 'referral' in one ? 'code' : 'visitorId', one],
      ),
      ...[0, -1, 1.5, NaN, '1', '', {}, { id: '1' }, [], true].map((one): [string, object] => ['referral', { referral: one }]),
      ...['', 7, {}, [], true].map((one): [string, object] => ['code', { code: one }]),
      ...['', 'x', 7, {}, `${visitorId}0`, visitorId.slice(1)].map((one): [string, object] => ['visitorId', { visitorId: one }]),
    ]; // prettier-ignore
    await expectRefusals(host, wrong, (naming, options) => buy('refused', { ...naming, ...options }));
    const before = await everyRow(host);
    for (const naming of [
      { referral: 999_999_999 },
      { code: 'no-such-code' },
      { code: "' OR 1=1 --" },
      { code: ' ' },
    ]) {
      expect(await refusalOf(buy('refused', naming))).toBe('NOT_FOUND');
      await host.dataSource.transaction(async (manager) => {
        expect(await refusalOf(buy('refused', { ...naming, manager }))).toBe('NOT_FOUND');
      });
      const record = { user: 'refused', amount: 1, reference: 'a', ...naming };
      expect(await refusalOf(host.referrals.purchases.create(record))).toBe('NOT_FOUND');
    }
    expect(await everyRow(host)).toEqual(before);
  });

  test('is recorded once: repeated after the code was renamed, it answers the first', async () => {
    const buyer = fresh('buyer');
    const code = await linkOf(fresh('owner'));
    const first = await buy(buyer, { code: code.code });
    await code.update({ code: fresh('Renamed') });
    expect(await buy(buyer, { code: first.purchase.reference })).toEqual(first); // no referral has this code
    expect(await buy(buyer)).toEqual(first);
  });

  test('by a visitor: the model and the window decide among the touches, those of others do not count', async () => {
    for (const model of ['last-touch', 'first-touch'] as const) {
      const shop = await otherShop({ attribution: { model, windowDays: 10 } });
      const [one, two] = [await linkOf('one', {}, shop), await linkOf('two', {}, shop)];
      const { browser, visitorId } = await clicked(one.code, shop);
      shop.clock.advanceDays(6);
      await browser.get(`/r/${two.code}`).set('user-agent', userAgent).expect(302);
      const [early, late] = model === 'last-touch' ? ['two', 'two'] : ['one', 'two'];
      expect((await buy('carl', { visitorId }, shop)).purchase.referrerId).toBe(early);
      shop.clock.advanceDays(4);
      expect((await buy('carl', { visitorId, reference: '2' }, shop)).purchase.referrerId).toBe(late);
      await signIn(browser, 'dora');
      expect((await buy('dora', { visitorId }, shop)).purchase.referrerId).toBe(late);
      expect((await buy('emma', { visitorId }, shop)).purchase.noCommission).toBe('no-referrer');
      shop.clock.advanceDays(6);
      expect((await buy('dora', { visitorId, reference: '2' }, shop)).purchase.noCommission).toBe('no-referrer');
    }
  });
});

test('visitorId(req) is that of the responses, until the visitor is signed in', async () => {
  const { code, id } = await linkOf(fresh('owner'));
  const stranger = host.browser();
  expect((await stranger.get('/visitor')).body).toEqual({ id: null });
  const { browser, visitorId } = await clicked(code);
  expect((await browser.get('/visitor')).body).toEqual({ id: visitorId });
  const [response] = await host.dataSource.getRepository(ReferralResponse).findBy({ referralId: id });
  expect(response!.visitorId).toBe(visitorId);
  await signIn(browser, fresh());
  expect((await browser.get('/visitor')).body).toEqual({ id: null });
  const bare = {} as Parameters<Referrals['visitorId']>[0];
  expect(() => host.referrals.visitorId(bare)).toThrow(expect.objectContaining({ code: 'MIDDLEWARE_MISSING' }));
});

/** The ways in which the first referrer of a buyer arrives. */
const arrivals: [string, (owner: string, buyer: string, manager?: EntityManager) => Promise<unknown>][] = [
  ['signups.create', (owner, buyer) => refer(host, owner, buyer)],
  ['recordSignup', async (owner, buyer) => Referral.recordSignup(null, buyer, { code: (await linkOf(owner)).code })],
  [
    'recordSignup in the host’s transaction',
    async (owner, buyer) => {
      const { code } = await linkOf(owner);
      await host.dataSource.transaction((manager) => Referral.recordSignup(null, buyer, { code, manager }));
    },
  ],
  ['a sign-in', async (owner, buyer) => signIn((await clicked((await linkOf(owner)).code)).browser, buyer)],
  [
    'a click while signed in',
    async (owner, buyer) => {
      const browser = host.browser();
      await signIn(browser, buyer);
      await browser
        .get(`/r/${(await linkOf(owner)).code}`)
        .set('user-agent', userAgent)
        .expect(302);
    },
  ],
  [
    'linkResponsesToUser',
    async (owner, buyer) => {
      const { code } = await linkOf(owner);
      const { visitorId } = await clicked(code);
      await (await Referral.findByCode(code))!.linkResponsesToUser(buyer, visitorId);
    },
  ],
  [
    'linkResponsesToUser in the host’s transaction',
    async (owner, buyer) => {
      const { code } = await linkOf(owner);
      const { visitorId } = await clicked(code);
      const referral = (await Referral.findByCode(code))!;
      await host.dataSource.transaction((manager) => referral.linkResponsesToUser(buyer, visitorId, { manager }));
    },
  ],
];

describe('a purchase without a referrer is looked at again', () => {
  test.each(arrivals)('after %s', async (_how, arrive) => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const at = host.clock.time;
    const purchase = await waiting(buyer, { reference: 'first' });
    host.clock.advanceDays(29);
    host.told.length = 0;
    await arrive(owner, buyer);
    const late = await purchase.lateAttribution();
    expect(late).toMatchObject({
      ...{ userId: buyer, purchase: 'first', referrerId: owner, channelId: null, mode: 'credits', isRevenue: false },
      ...{ referralId: expect.any(Number), noCommission: null, decidedAt: host.clock.time },
    });
    expect(await purchase.commission()).toMatchObject({
      ...{ userId: owner, refereeId: buyer, purchase: 'first', referralId: late!.referralId, rate: '0.25' },
      ...{ earned: '25.00', amount: '25.00', availableAt: new Date(at.getTime() + 30 * 86_400_000) },
      ...{ createdAt: host.clock.time, earnOutId: null },
    });
    expect(host.told).toEqual([`earned ${owner} 25.00`]);
    // What was decided at first stays readable.
    const facts = { source: null, referralId: null, referrerId: null, mode: null, noCommission: 'no-referrer' };
    expect(await purchase.refresh()).toMatchObject(facts);
    const totals = await host.referrals.accounts.totals(owner);
    expect(totals).toMatchObject({ usersReferred: 1, usersUpgraded: 1, totalCreditsEarned: '25.00' });
    // The same call again has the same purchase, and the commission now.
    const again = await buy(buyer, { reference: 'first' });
    expect([again.purchase.id, again.commission!.earned]).toEqual([purchase.id, '25.00']);
    await arrive(owner, buyer).catch(() => undefined); // a user signs up once
    expect(await earnings(buyer)).toEqual([`${owner} 25.00 25.00`]);
    host.clock.advanceDays(1);
    expect(await host.referrals.accounts.totals(owner)).toMatchObject({ creditsEarned: '25.00' });
  });

  test.each(arrivals)('not after %s that comes too late', async (_how, arrive) => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const purchase = await waiting(buyer);
    host.clock.advanceDays(30);
    await arrive(owner, buyer);
    expect([await purchase.lateAttribution(), await purchase.commission()]).toEqual([null, null]);
    expect((await buy(buyer)).commission).toBeNull();
  });

  test('within attribution.windowDays of the time of the payment', async () => {
    const shop = await otherShop({ attribution: { windowDays: 3 } });
    const ago = (days: number): Date => new Date(shop.clock.time.getTime() - days * 86_400_000);
    await waiting('carl', { reference: 'old', at: ago(3) }, shop);
    await waiting('carl', { reference: 'young', at: ago(2.999) }, shop);
    await refer(shop, 'anna', 'carl');
    expect(await earnings('carl', shop)).toEqual([null, 'anna 25.00 25.00']);
  });

  test('with the oldest first, within the limit for the referee, at the terms of the sign-up', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const at = (days: number): Date => new Date(host.clock.time.getTime() - days * 86_400_000);
    await waiting(buyer, { reference: 'c', at: at(1) });
    await waiting(buyer, { reference: 'b', at: at(2), amount: 10 });
    await waiting(buyer, { reference: 'a', at: at(3) });
    await waiting(buyer, { reference: 'd', at: at(1) });
    await waiting(buyer, { reference: 'e', amount: '0.01' });
    await refer(host, owner, buyer, { commissionRatio: '0.1', commissionMaxPerReferee: 15 });
    expect(await earnings(buyer)).toEqual([`${owner} 4.00 4.00`, `${owner} 1.00 1.00`, `${owner} 10.00 10.00`, null, null]);
    const reasons = await host.dataSource.getRepository(ReferralLateAttribution).findBy({ userId: buyer });
    const byPurchase = Object.fromEntries(reasons.map(({ purchase, noCommission }) => [purchase, noCommission]));
    expect(byPurchase).toEqual({ a: null, b: null, c: null, d: 'limit-reached', e: 'too-small' });
    expect((await host.referrals.accounts.totals(owner)).totalCreditsEarned).toBe('15.00');
  }); // prettier-ignore

  test('each by itself: one that PostgreSQL refuses does not keep the others from their turn', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const shop = await otherShop({});
    for (const reference of ['refused', 'second', 'refused too', 'last']) await waiting(buyer, { reference }, shop);
    const { dataSource, schema, errors } = shop;
    const late = `${schema}.referral_late_attributions`;
    await dataSource.query(`ALTER TABLE ${late} ADD CONSTRAINT no CHECK (purchase NOT LIKE 'refused%')`);
    await refer(shop, owner, buyer);
    const earned = `${owner} 25.00 25.00`;
    expect(await earnings(buyer, shop)).toEqual([null, earned, null, earned]);
    expect(errors.splice(0)).toMatchObject([{ constraint: 'no' }, { constraint: 'no' }]);
    expect(shop.told.filter((told) => told.startsWith('earned'))).toHaveLength(2);
    await dataSource.query(`ALTER TABLE ${late} DROP CONSTRAINT no`);
    await buy(buyer, { reference: 'refused' }, shop); // the next call about the buyer
    expect(await earnings(buyer, shop)).toEqual([earned, earned, earned, earned]);
  });

  test.each([-1000, -1, 1000])('on a machine whose clock is %s ms off, by any call', async (off) => {
    const shop = await otherShop({});
    const { schema } = shop.dataSource.options as { schema: string };
    const there = await startHost({
      dataSource: await openDataSource({ schema, migrate: false }),
      clock: () => new Date(shop.clock.time.getTime() + off),
      commission: { ratio: '0.25' },
    });
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await waiting(buyer, { reference: 'part' }, shop);
    await waiting(buyer, { reference: 'whole' }, shop);
    await there.referrals.recordRefund(buyer, { purchase: 'part', reference: 'a', amount: 10 });
    await shop.referrals.recordRefund(buyer, { purchase: 'part', reference: 'b', amount: 20 });
    await refer(there, owner, buyer);
    expect(await earnings(buyer, shop)).toEqual([`${owner} 25.00 17.50`, `${owner} 25.00 25.00`]);
    for (const { referrals } of [shop, there]) expect((await referrals.verify()).problems).toEqual([]);
    await there.referrals.recordRefund(buyer, { purchase: 'whole', reference: 'c' });
    await shop.referrals.recordRefund(buyer, { purchase: 'part', reference: 'd' });
    expect((await shop.referrals.verify()).problems).toEqual([]);
    await there.referrals.close();
  });

  test('less what was refunded before; what is refunded later is taken back as ever', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const { referrals } = host;
    const refund = async (purchase: string, reference: string, amount?: string) =>
      (await referrals.recordRefund(buyer, { purchase, reference, amount })).commission?.amount;
    await waiting(buyer, { reference: 'part', amount: '10.00' });
    await waiting(buyer, { reference: 'whole' });
    await waiting(buyer, { reference: 'none', amount: 0 });
    await refund('part', 'r1', '3.33');
    await refund('part', 'r2', '3.33');
    await refund('whole', 'r3');
    await refer(host, owner, buyer);
    expect(await earnings(buyer)).toEqual([`${owner} 2.50 0.83`, null, null]); // 2.50 - round(2.50 * 0.666)
    const totals = () => referrals.accounts.totals(owner);
    expect(await totals()).toMatchObject({ totalCreditsEarned: '0.83', usersUpgraded: 1 });
    expect(await refund('part', 'r2', '3.33')).toBe('0.83'); // the same again
    expect(await refund('part', 'r4', '1.00')).toBe('0.58');
    expect(await refund('part', 'r5')).toBe('0.00');
    const [purchase] = await referrals.purchases.search({ where: { userId: buyer } });
    expect(await purchase!.commission()).toMatchObject({ amount: '0.00', revertedAt: host.clock.time });
    expect(await totals()).toMatchObject({ totalCreditsEarned: '0.00' });
    expect(host.told.slice(-2)).toEqual([
      `lowered ${owner} to 0.58 by r4 1.00`,
      `reverted ${owner} to 0.00 by r5 2.34`,
    ]);
    expect(await refund('whole', 'r3')).toBeUndefined();
  });

  test('as revenue of a channel whose link it was, net of refunds', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const channel = await couponOf(host, owner);
    await waiting(buyer);
    await host.referrals.recordRefund(buyer, { purchase: 'order', reference: 'a', amount: 20 });
    await signIn((await clicked(channel.code)).browser, buyer);
    const counted = { totalUses: 0, totalCommission: '24.00', totalRevenue: '80.00' };
    expect(await channel.refresh()).toMatchObject(counted);
    await host.referrals.recordRefund(buyer, { purchase: 'order', reference: 'b', amount: 30 });
    expect(await channel.refresh()).toMatchObject({ totalCommission: '15.00', totalRevenue: '50.00' });
    expect(await host.referrals.commissions.count({ where: { channelId: channel.id } })).toBe(1);
  });

  test('without the coupons that were applied or redeemed after it; those purchases stay as they are', async () => {
    const [owner, other, buyer] = [fresh('owner'), fresh('other'), fresh('buyer')];
    await waiting(buyer, { reference: '1' });
    await host.referrals.coupons.apply(buyer, (await couponOf(host, other)).code);
    await buy(buyer, { reference: '2' });
    await buy(buyer, { reference: '3' }); // by the earlier coupon
    await host.referrals.coupons.apply(buyer, (await couponOf(host, other)).code);
    await refer(host, owner, buyer);
    expect(await earnings(buyer)).toEqual([`${owner} 25.00 25.00`, `${other} 30.00 30.00`, `${other} 30.00 30.00`]);
    expect(await host.dataSource.getRepository(ReferralLateAttribution).countBy({ userId: buyer })).toBe(1);
  });

  test('not by the buyer’s own link: it goes on waiting for somebody else’s', async () => {
    const owner = fresh('owner');
    for (const buyer of [owner, `${owner}+2`]) {
      const purchase = await waiting(buyer);
      await signIn((await clicked((await linkOf(owner)).code)).browser, buyer);
      expect(await purchase.lateAttribution()).toBeNull();
      const other = fresh('other');
      await refer(host, other, buyer);
      expect(await earnings(buyer)).toEqual([`${other} 25.00 25.00`]);
    }
    expect(await host.referrals.accounts.totals(owner)).toMatchObject({ usersReferred: 0, usersUpgraded: 0 });
  });

  test('at the rate 0 without a commission; and then no more', async () => {
    const buyer = fresh('buyer');
    const purchase = await waiting(buyer);
    const free = fresh('free');
    await refer(host, free, buyer, { commissionRatio: 0 });
    expect(await purchase.lateAttribution()).toMatchObject({ source: 'sign-up', noCommission: 'no-rate' });
    expect(await host.referrals.accounts.totals(free)).toMatchObject({ usersReferred: 1, usersUpgraded: 1 });
  });

  test('and is paid by an earn-out like any other', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await waiting(buyer);
    await refer(host, owner, buyer);
    host.clock.advanceDays(30);
    await host.referrals.runEarnOuts();
    expect(await host.referrals.credits.balance(owner)).toBe('25.00');
    await host.referrals.recordRefund(buyer, { purchase: 'order', reference: 'back' });
    // The refund takes the unspent credit back.
    expect((await host.referrals.accounts.totals(owner)).creditsEarned).toBe('0.00');
    expect(await host.referrals.credits.balance(owner)).toBe('0.00');
  });

  test('not by a sign-up of the site itself, nor by one that is refused', async () => {
    const buyer = fresh('buyer');
    await waiting(buyer);
    const used = await linkOf(fresh('owner'), { allowedUses: 0 });
    expect(await Referral.recordSignup(null, buyer, { code: used.code })).toBeNull();
    await Referral.recordSignup(null, buyer, { code: (await linkOf(null)).code });
    expect(await earnings(buyer)).toEqual([null]);
  });

  test('in the transaction of the sign-up: rolled back with it, and told after its commit', async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await waiting(buyer);
    const { code } = await linkOf(owner);
    const before = await everyRow(host);
    host.told.length = 0;
    const rolledBack = host.dataSource.transaction(async (manager) => {
      await Referral.recordSignup(null, buyer, { code, manager });
      expect(await host.referrals.commissions.count({ where: { userId: owner }, manager })).toBe(1);
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
    expect(host.told).toEqual([]);
    await host.dataSource.transaction(async (manager) => {
      await Referral.recordSignup(null, buyer, { code, manager });
      expect(host.told).toEqual([]);
    });
    expect(host.told).toEqual([`earned ${owner} 25.00`]);
  });
});

describe('at the same time', () => {
  const many = Array.from({ length: 25 }, (_, n) => n);

  /** The calls about a buyer that look at what was missed. */
  const nextCalls: [string, (buyer: string, code: string) => Promise<unknown>][] = [
    ['the same purchase again', (buyer) => buy(buyer)],
    ['the next purchase', (buyer) => buy(buyer, { reference: 'next', amount: 4 })],
  ];

  /** Each buyer's purchase and arrival at once: there is one commission, whichever comes first. */
  describe.each(nextCalls)('before %s', (_what, makeNextCall) => {
    test.each(arrivals)('a purchase and %s make one commission', async (_how, arrive) => {
      const owner = fresh('owner');
      const buyers = many.map(() => fresh('buyer'));
      await Promise.all(buyers.flatMap((buyer) => [buy(buyer), arrive(owner, buyer)]));
      const early = many.map(() => fresh('buyer'));
      await Promise.all(early.flatMap((buyer) => [arrive(owner, buyer), buy(buyer)]));
      for (const buyer of [...buyers, ...early]) {
        await makeNextCall(buyer, owner);
        expect((await earnings(buyer))[0]).toBe(`${owner} 25.00 25.00`);
      }
      expect(await host.referrals.commissions.count({ where: { userId: owner, purchase: 'order' } })).toBe(50);
    });
  });

  test('a sign-up, sign-ins, and retries of the purchase make one commission', async () => {
    const owner = fresh('owner');
    const { code } = await linkOf(owner);
    for (const buyer of many.map(() => fresh('buyer'))) {
      await waiting(buyer);
      const browsers = await Promise.all([1, 2].map(async () => (await clicked(code)).browser));
      const signUp = () => Referral.recordSignup(null, buyer, { code });
      await Promise.all([...browsers.map((one) => signIn(one, buyer)), signUp(), signUp(), buy(buyer), buy(buyer)]);
      expect(await earnings(buyer)).toEqual([`${owner} 25.00 25.00`]);
    }
    expect(await host.referrals.commissions.count({ where: { userId: owner } })).toBe(many.length);
  });

  /** A purchase that has missed the referrer is made up for by each of the next calls about the buyer. */
  const madeUpFor = (miss: (owner: string, buyer: string, code: string) => Promise<void>) =>
    test.each<(typeof nextCalls)[number]>([
      ...nextCalls,
      ['a sign-up', (buyer, code) => Referral.recordSignup(null, buyer, { code })],
      ['a click', async (buyer, code) => {
        const browser = host.browser();
        await browser.post(`/login/${buyer}`);
        await browser.get(`/r/${code}`).set('user-agent', userAgent).expect(302);
      }],
    ])('which is made up for by %s', async (_what, makeNextCall) => {
      const [owner, buyer] = [fresh('owner'), fresh('buyer')];
      const { code } = await linkOf(owner);
      await miss(owner, buyer, code);
      expect(await earnings(buyer)).toEqual([null]);
      await makeNextCall(buyer, code);
      expect((await earnings(buyer))[0]).toBe(`${owner} 25.00 25.00`);
    }); // prettier-ignore

  describe('a purchase does not see a sign-up in a transaction that is open', () => {
    madeUpFor((_owner, buyer, code) =>
      host.dataSource.transaction(async (manager) => {
        await Referral.recordSignup(null, buyer, { code, manager });
        await waiting(buyer);
      }),
    );
  });

  describe('a sign-up does not see a purchase in a transaction that is open', () => {
    madeUpFor((_owner, buyer, code) =>
      host.dataSource.transaction(async (manager) => {
        await waiting(buyer, { manager });
        await Referral.recordSignup(null, buyer, { code });
      }),
    );
  });

  describe('a sign-in does not see a purchase in a transaction that is open', () => {
    madeUpFor((_owner, buyer, code) =>
      host.dataSource.transaction(async (manager) => {
        await waiting(buyer, { manager });
        await signIn((await clicked(code)).browser, buyer);
      }),
    );
  });

  test('two looks at once make one commission', async () => {
    const owner = fresh('owner');
    const { code } = await linkOf(owner);
    const buyer = fresh('buyer');
    await host.dataSource.transaction(async (manager) => {
      await waiting(buyer, { manager });
      await signIn((await clicked(code)).browser, buyer);
    });
    const made = await Promise.all(many.slice(0, 5).map(() => buy(buyer)));
    expect(made.map(({ commission }) => commission!.earned)).toEqual(Array(5).fill('25.00'));
    expect(await earnings(buyer)).toEqual([`${owner} 25.00 25.00`]);
  });
});

describe('a process that dies between the link and the second look', () => {
  test.each(['the next page', 'the next purchase', 'a retry of the purchase', 'a sign-up'])('is made up for by %s', async (how) => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    await waiting(buyer);
    const link = await linkOf(owner);
    const { browser, cookie, visitorId } = await clicked(link.code);
    const schema = JSON.parse(host.schema) as string;
    const env = { SCHEMA: schema, NOW: host.clock.time.toJSON() };
    const { child, said } = await startProcess<string>('late-page.js', { env });
    const died = once(child, 'exit');
    await expect(request(said).get('/').set({ cookie, 'x-user': buyer })).rejects.toThrow();
    expect(await died).toEqual([null, 'SIGKILL']);
    const [response] = await host.dataSource.getRepository(ReferralResponse).findBy({ visitorId });
    expect(response!.userId).toBe(buyer);
    expect(await earnings(buyer)).toEqual([null]);

    if (how === 'the next page') await signIn(browser, buyer);
    else if (how === 'a sign-up') await Referral.recordSignup(null, buyer, { code: link.code });
    else await buy(buyer, how === 'the next purchase' ? { reference: 'next' } : {});
    expect((await earnings(buyer))[0]).toBe(`${owner} 25.00 25.00`);
  }); // prettier-ignore
});

test('isSamePerson runs with no connection held: a pool of one is enough, also for what it asks', async () => {
  const dataSource = await openDataSource({ poolSize: 1 });
  const asked: unknown[] = [];
  const shop = await otherShop({
    dataSource,
    isSamePerson: async () => {
      asked.push(await dataSource.query('SELECT 1'));
      return false;
    },
  });
  for (const [n, buyer] of ['carl', 'dora'].entries()) {
    await waiting(buyer, {}, shop);
    const { code } = await linkOf('anna', {}, shop);
    if (n === 0) await signIn((await clicked(code, shop)).browser, buyer);
    else await Referral.recordSignup(null, buyer, { code, manager: dataSource.manager });
    expect(await earnings(buyer, shop)).toEqual(['anna 25.00 25.00']);
    expect(asked).toHaveLength(n + 1);
  }
});

test('a call of isSamePerson that fails leaves the look to the next page', async () => {
  let isAway = true;
  const shop = await otherShop({
    isSamePerson: () => {
      if (isAway) throw new Error('directory away');
      return false;
    },
  });
  await waiting('carl', {}, shop);
  const { browser } = await clicked((await linkOf('anna', {}, shop)).code, shop);
  await signIn(browser, 'carl');
  expect(shop.errors.splice(0)).toMatchObject([{ message: 'directory away' }]);
  expect(await earnings('carl', shop)).toEqual([null]);
  isAway = false;
  await browser.get('/whose');
  expect(await earnings('carl', shop)).toEqual(['anna 25.00 25.00']);
});

test('a purchase that is recorded may have happened, also if its commission can’t be read any more', async () => {
  const log = new StatementLog();
  const dataSource = await openDataSource({ poolSize: 1, logging: true, logger: log });
  const shop = await otherShop({ dataSource, queryTimeoutMs: 5000 });
  const [owner, buyer] = [fresh('owner'), fresh('buyer')];
  await waiting(buyer, { reference: 'long ago', at: new Date(shop.clock.time.getTime() - 40 * 86_400_000) }, shop);
  await refer(shop, owner, buyer);
  // Once it is asked what waits, which is after the commit, somebody else gets the only connection next.
  const somebody = dataSource.createQueryRunner();
  let connected: Promise<unknown> | undefined;
  log.logQuery = (query) => {
    if (query.startsWith('SELECT WHERE EXISTS')) connected ??= somebody.connect();
  };
  const error: unknown = await buy(buyer, { amount: '0.01' }, shop).catch((thrown: unknown) => thrown);
  await connected;
  await somebody.release();
  expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE', outcome: 'unknown' });
  expect(await shop.referrals.purchases.count({ where: { userId: buyer } })).toBe(2);
});

describe('what it costs', () => {
  test('an ordinary purchase and an ordinary sign-up are one statement each, as before', async () => {
    const log = new StatementLog();
    const dataSource = await openDataSource({ logger: log });
    const shop = await otherShop({ dataSource, ...patient() });
    const { code } = await linkOf('anna', {}, shop);
    const { manager } = dataSource;
    await Referral.recordSignup(null, 'warm', { code, manager });
    log.statements = [];
    await Referral.recordSignup(null, 'carl', { code, manager });
    expect(log.statements).toHaveLength(2); // with a manager, the code is looked up each time
    log.statements = [];
    await buy('carl', {}, shop);
    expect(log.statements).toHaveLength(1);
  });

  test('a refund of a waiting purchase adds no entry to an index of purchases', async () => {
    const buyer = fresh('buyer');
    await waiting(buyer);
    const hot = await host.dataSource.transaction(async (manager) => {
      await host.referrals.recordRefund(buyer, { purchase: 'order', reference: 'a', amount: 1, manager });
      const table = `'${host.schema}.referral_purchases'::regclass`;
      const count = `SELECT pg_stat_get_xact_tuples_hot_updated(${table})::int AS hot,
        pg_stat_get_xact_tuples_updated(${table})::int AS updated`;
      return manager.query<object[]>(count);
    });
    expect(hot).toEqual([{ hot: 1, updated: 1 }]);
  });

  test('the waiting purchases of a buyer are found by one index', async () => {
    const plan = await host.dataSource.transaction(async (manager) => {
      await manager.query('SET LOCAL enable_seqscan = off');
      return manager.query<object[]>(
        `EXPLAIN SELECT FROM ${host.schema}.referral_purchases
         WHERE user_id = $1 AND no_commission = 'no-referrer' AND purchased_at > $2`,
        ['buyer', new Date()],
      );
    });
    expect(JSON.stringify(plan)).toContain('ix_referral_purchases_waiting');
  });
});
