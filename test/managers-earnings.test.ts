import { In, IsNull, MoreThan } from 'typeorm';
import type {
  ReferralAccount,
  ReferralChannel,
  ReferralCommission,
  ReferralEarnOut,
  ReferralPurchase,
  Referrals,
} from '../lib';
import { closeAll } from './support/host';
import {
  couponOf,
  type EarningsHost,
  everyRow,
  expectRefusals,
  fresh,
  noAmounts,
  refer,
  refusalOf,
  startEarnings,
} from './support/earnings';

afterAll(closeAll);

let host: EarningsHost;
let referrals: Referrals;
/**
 * Anna's channel. Boris redeemed its coupon with the first of his two purchases. Anna was paid the commission of the
 * first one.
 */
let channel: ReferralChannel;
let account: ReferralAccount;
let purchase: ReferralPurchase;
let commission: ReferralCommission;
let later: ReferralCommission;
let earnOut: ReferralEarnOut;

beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
  ({ referrals } = host);
  account = await referrals.accounts.of('anna');
  channel = await couponOf(host, 'anna', { code: 'Summer20', description: 'A fifth off' });
  await referrals.coupons.apply('boris', 'summer20');
  ({ purchase, commission } = (await referrals.recordPurchase('boris', { amount: '39.20', reference: 'inv-1' })) as {
    purchase: ReferralPurchase;
    commission: ReferralCommission;
  });
  host.clock.advanceDays(30);
  await referrals.runEarnOuts();
  later = (await referrals.recordPurchase('boris', { amount: '100', reference: 'inv-2' })).commission!;
  [earnOut] = (await referrals.earnOuts.search()) as [ReferralEarnOut];
  for (const record of [channel, account, purchase, commission, later]) await record.refresh();
});

const managers = ['channels', 'accounts', 'purchases', 'commissions', 'earnOuts'] as const;
const words = {
  ...{ channels: 'channel', accounts: 'account', purchases: 'purchase', commissions: 'commission' },
  earnOuts: 'earn-out',
};
const known = () => ({
  ...{ channels: channel, accounts: account, purchases: purchase, commissions: commission },
  earnOuts: earnOut,
});
/** The tested methods are the same in all managers, so the type of one of them is used. */
const managerOf = (name: (typeof managers)[number]) => referrals[name] as unknown as Referrals['purchases'];

describe.each(managers)('%s', (name) => {
  test('are found by their id, as records and as plain objects, as a whole and by the field', async () => {
    const record = known()[name];
    const found = await managerOf(name).get(record.id);
    expect(found).toEqual(record);
    expect(found.constructor).toBe(record.constructor);
    const plain = await managerOf(name).get(record.id, { plain: true });
    expect(plain).toEqual(found.toJSON());
    expect(JSON.parse(JSON.stringify(found))).toEqual(JSON.parse(JSON.stringify(plain)));
    expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
    const { id, createdAt, userId } = record as ReferralPurchase;
    const fields = ['createdAt', 'userId'] as const;
    expect(await managerOf(name).get(id, { fields, plain: true })).toEqual({ createdAt, userId });
    expect(await managerOf(name).get(id, { fields: [], plain: true })).toEqual({});
    const part = await managerOf(name).get(id, { fields });
    expect(await part.refresh()).toEqual(record);
  });

  test('that are not there', async () => {
    const manager = managerOf(name);
    const missing = {
      code: 'NOT_FOUND',
      status: 404,
      message: expect.stringContaining(`no ${words[name]} with the id`),
    };
    await expect(manager.get(900_000)).rejects.toMatchObject(missing);
    await expect(manager.list([known()[name].id, 900_000, 900_001])).rejects.toThrow('ids 900000, 900001');
    expect(await manager.get(900_000, { optional: true })).toBeNull();
    expect(await manager.list([900_000, known()[name].id], { optional: true })).toHaveLength(1);
    await expect(manager.update(900_000, {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(manager.delete(900_000)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('are listed in the order asked for, searched and counted', async () => {
    const manager = managerOf(name);
    const { id, userId } = known()[name];
    expect((await manager.list([id, id])).map((one) => one.id)).toEqual([id, id]);
    const all = await manager.search();
    expect(all).toHaveLength(await manager.count());
    expect(all.map((one) => one.id)).toEqual(all.map((one) => one.id).sort((a, b) => a - b));
    const newest = await manager.search({ order: { createdAt: 'DESC', id: 'DESC' }, take: 1 });
    expect(newest).toEqual([all.at(-1)]);
    expect(await manager.search({ skip: all.length })).toEqual([]);
    const where = { userId, id: In([id]) };
    expect((await manager.search({ where })).map((one) => one.id)).toEqual([id]);
    expect(await manager.count({ where })).toBe(1);
    expect(await manager.count({ where: [{ userId: 'nobody' }, { id: MoreThan(0) }] })).toBe(all.length);
    expect(await manager.search({ where: { userId: IsNull() } })).toEqual([]);
  });

  test('refuse what they don’t know, by its name', async () => {
    const manager = managerOf(name) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const { id } = known()[name];
    for (const [field, call] of [
      ['where.color', () => manager['search']!({ where: { color: 'red' } })],
      ['where.id', () => manager['search']!({ where: { id: '1' } })],
      ['order.color', () => manager['search']!({ order: { color: 'ASC' } })],
      ['order.id', () => manager['search']!({ order: { id: 'sideways' } })],
      ['fields', () => manager['search']!({ fields: ['color'] })],
      ['limit', () => manager['search']!({ limit: 1 })],
      ['take', () => manager['search']!({ take: -1 })],
      ['optional', () => manager['search']!({ optional: true })],
      ['order', () => manager['count']!({ order: {} })],
      ['id', () => manager['get']!('1')],
      ['id', () => manager['get']!(0)],
      ['ids', () => manager['list']!(id)],
      ['inputs', () => manager['createMany']!({})],
      ['force', () => manager['delete']!(id, { force: true })],
      ['id', () => manager['update']!({}, {})],
      ['manager', () => manager['get']!(id, { manager: {} })],
      ['manager', () => manager['delete']!(id, { manager: host.dataSource })],
    ] as [string, () => Promise<unknown>][])
      expect([field, await refusalOf(call())]).toEqual([field, `INVALID_INPUT ${field}`]);
  });

  test('can’t be deleted, as money is on them', async () => {
    const before = await everyRow(host);
    const { id } = known()[name];
    const message = expect.stringContaining(`${words[name]} ${id} can't be deleted`);
    const inUse = { code: 'IN_USE', status: 409, message };
    await expect(managerOf(name).delete(id)).rejects.toMatchObject(inUse);
    await expect(known()[name].delete()).rejects.toMatchObject(inUse);
    await host.dataSource.transaction(async (manager) => {
      await expect(managerOf(name).delete(id, { manager })).rejects.toMatchObject(inUse);
      expect(await managerOf(name).count({ where: { id }, manager })).toBe(1);
    });
    expect(await everyRow(host)).toEqual(before);
  });
});

describe.each(['purchases', 'commissions', 'earnOuts'] as const)('%s', (name) => {
  test('can’t be changed', async () => {
    const before = await everyRow(host);
    const record = known()[name];
    for (const changes of [{}, { amount: '1' }])
      await expect(managerOf(name).update(record.id, changes)).rejects.toMatchObject({
        ...{ code: 'NOT_CHANGEABLE', status: 409 },
      });
    await expect((record as ReferralPurchase).update({})).rejects.toMatchObject({ code: 'NOT_CHANGEABLE' });
    expect(await everyRow(host)).toEqual(before);
  });
});

test.each(['commissions', 'earnOuts'] as const)('%s can’t be made by hand', async (name) => {
  const before = await everyRow(host);
  const refusal = { code: 'NOT_CREATABLE', status: 409 };
  await expect(managerOf(name).create({} as never)).rejects.toMatchObject(refusal);
  await expect(managerOf(name).createMany([{} as never])).rejects.toMatchObject(refusal);
  expect(await managerOf(name).createMany([])).toEqual([]);
  expect(await everyRow(host)).toEqual(before);
});

describe('channels', () => {
  test('are made with defaults, and with everything', async () => {
    const plain = await referrals.channels.create({ user: 7, code: 'Plain', promoType: 'value_off', promoValue: 5 });
    expect(plain.toJSON()).toEqual({
      ...{ id: expect.any(Number), userId: '7', code: 'Plain', description: '', promoType: 'value_off' },
      ...{ promoValue: '5.00', isActive: true, isRecurring: false, startDate: host.clock.time, endDate: null },
      ...{ initialRate: '0.25', ongoingRate: '0.25', initialRatePeriodDays: 365, maxEarningsPerReferred: null },
      ...{ maxRedemptions: null, minimumAmount: null, firstPurchaseOnly: false, products: [], restoreOnRefund: false },
      ...{ commissionAmount: null, commissionMonths: null, commissionPurchases: null, commissionSignup: null },
      ...{ commissionQualify: null, commissionMaxPerReferrer: null, commissionPeriod: null },
      ...{ createdAt: host.clock.time, allowedUses: -1, totalUses: 0, totalCommission: '0.00', totalRevenue: '0.00' },
    });
    const all = {
      ...{ code: 'x'.repeat(100), description: '漢'.repeat(500), promoType: 'percent_off' as const, promoValue: '1' },
      ...{ isActive: false, isRecurring: true, startDate: new Date(0), endDate: new Date(1) },
      ...{ initialRate: '0.3333', ongoingRate: 0, initialRatePeriodDays: 36_500, maxEarningsPerReferred: '0.01' },
    } as const;
    expect(await referrals.channels.create({ user: { id: 'full' }, ...all })).toMatchObject({
      ...{ ...all, userId: 'full', promoValue: '1.00', initialRate: '0.3333', ongoingRate: '0.00' },
    });
    const rates = await couponOf(host, fresh(), { initialRate: '0.5', ongoingRate: undefined });
    expect(rates).toMatchObject({ initialRate: '0.50', ongoingRate: '0.50' });
  });

  test('are referrals, with a link of their own', async () => {
    const { id, code } = await couponOf(host, fresh('owner'));
    await host.browser().get(`/r/${code}`).set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
    expect(await referrals.referralCodes.get(id)).toMatchObject({ code, id });
    await expect(referrals.referralCodes.delete(id)).rejects.toMatchObject({ code: 'IN_USE' });
  });

  test('are found by their code in any case, and by their owner', async () => {
    for (const code of ['Summer20', 'summer20', 'SUMMER20'])
      expect((await referrals.channels.getByCode(code))?.id).toBe(channel.id);
    const fields = ['code', 'totalUses'] as const;
    expect(await referrals.channels.getByCode('summer20', { fields, plain: true })).toEqual({
      ...{ code: 'Summer20', totalUses: 1 },
    });
    const { code: link } = await refer(host, fresh(), fresh());
    for (const code of ['Summer2', 'Summer20 ', link, '%', '']) {
      await expect(referrals.channels.getByCode(code)).rejects.toMatchObject({ code: 'NOT_FOUND', status: 404 });
      expect(await referrals.channels.getByCode(code, { optional: true })).toBeNull();
    }
    for (const code of [undefined, null, 7, {}])
      expect(await refusalOf(referrals.channels.getByCode(code as never))).toBe('INVALID_INPUT code');
    const second = await couponOf(host, 'anna');
    const ids = (await referrals.channels.ofUser({ id: 'anna' })).map(({ id }) => id);
    expect(ids).toEqual([channel.id, second.id]);
    expect(await referrals.channels.ofUser('nobody')).toEqual([]);
    expect(await refusalOf(referrals.channels.ofUser(null as never))).toBe('INVALID_INPUT user');
    await second.delete();
  });

  test('are searched by what is the referral’s, too, and counted with only what was asked for', async () => {
    const search = (where: object) => referrals.channels.search({ where, fields: ['code'], plain: true });
    expect(await search({ code: 'Summer20' })).toEqual([{ code: 'Summer20' }]);
    expect(await search({ userId: 'anna', promoType: 'percent_off', isActive: true })).toEqual([{ code: 'Summer20' }]);
    expect(await search({ initialRate: '0.3', userId: 'anna' })).toEqual([{ code: 'Summer20' }]);
    const [total] = await referrals.channels.search({
      ...{ where: { id: channel.id }, fields: ['totalRevenue', 'totalCommission'], plain: true },
    });
    expect(total).toEqual({ totalRevenue: '139.20', totalCommission: '41.76' });
    const sorted = await referrals.channels.search({ order: { code: 'ASC' }, fields: ['code'], plain: true });
    expect(sorted.map(({ code }) => code)).toContain('Summer20');
    expect(await refusalOf(referrals.channels.search({ where: { totalUses: 1 } as never }))).toBe(
      'INVALID_INPUT where.totalUses',
    );
  });

  test('have codes of their own among all referrals', async () => {
    const { code: link } = await refer(host, fresh(), fresh());
    const before = await everyRow(host);
    const taken = { code: 'CODE_TAKEN', status: 409 };
    for (const code of ['SUMMER20', link.toUpperCase()]) {
      await expect(couponOf(host, 'anna', { code })).rejects.toMatchObject(taken);
      await expect(couponOf(host, fresh(), { code })).rejects.toMatchObject(taken);
    }
    const several = ['NEW1', 'NEW2', 'summer20'].map((code) => ({
      ...{ user: 'many', code, promoType: 'percent_off' as const, promoValue: 0.1 },
    }));
    await expect(referrals.channels.createMany(several)).rejects.toMatchObject(taken);
    expect(await everyRow(host)).toEqual(before);
    const made = await referrals.channels.createMany(several.slice(0, 2));
    expect(made.map(({ code, userId }) => `${code} ${userId}`)).toEqual(['NEW1 many', 'NEW2 many']);
    await expect(made[0]!.update({ code: 'new2' })).rejects.toMatchObject(taken);
    expect(await made[0]!.refresh()).toMatchObject({ code: 'NEW1' });
  });

  test('are changed by the field', async () => {
    const made = await couponOf(host, fresh('owner'), { description: 'before' });
    const { id, userId, code, createdAt } = made;
    expect(await referrals.channels.update(id, {})).toEqual(made);
    const changes = {
      ...{ description: '', promoType: 'value_off', promoValue: '3.50', isActive: false, isRecurring: true },
      ...{ startDate: new Date(5), endDate: new Date(6), initialRate: 1, ongoingRate: '0.01' },
      ...{ initialRatePeriodDays: 0, maxEarningsPerReferred: 7 },
    } as const;
    for (const [field, value] of Object.entries({ ...changes, promoType: undefined, promoValue: undefined })) {
      if (value === undefined || field === 'endDate') continue;
      await referrals.channels.update(id, { [field]: value });
    }
    await referrals.channels.update(id, { promoType: 'value_off', promoValue: '3.50', endDate: new Date(6) });
    expect(await made.refresh()).toMatchObject({
      ...{ ...changes, id, userId, code, createdAt, initialRate: '1.00', maxEarningsPerReferred: '7.00' },
    });
    expect(await made.update({ endDate: null, maxEarningsPerReferred: null })).toBe(made);
    expect(made).toMatchObject({ endDate: null, maxEarningsPerReferred: null, promoValue: '3.50' });
    expect(await made.update({ promoValue: 1000 })).toMatchObject({ promoValue: '1000.00' });
  });

  test('can be renamed: the new code counts at once, and the old one goes on working', async () => {
    const { coupons } = referrals;
    const made = await couponOf(host, fresh('owner'), { code: 'BEFORE' });
    await coupons.apply('waiting', 'before');
    expect((await made.update({ code: 'After' })).code).toBe('After');
    expect(await coupons.of('waiting')).toMatchObject({ code: 'After' });
    expect(await coupons.apply('someone', 'BEFORE')).toMatchObject({ code: 'After' });
    expect((await referrals.channels.getByCode('BEFORE')).id).toBe(made.id);
    expect((await referrals.channels.getByCode('after'))?.id).toBe(made.id);
    expect((await made.update({ code: 'AFTER' })).code).toBe('AFTER');
    expect(await refusalOf(couponOf(host, made.userId, { code: 'Before' }))).toBe('CODE_TAKEN');
  });

  test('can’t take a name that another referral of the owner’s has', async () => {
    const owner = fresh('owner');
    const made = await couponOf(host, owner, { code: 'KEPT' });
    await referrals.referralCodes.create({ code: fresh('LINK'), label: 'NEWSLETTER', user: owner });
    const rename = { code: 'NEWSLETTER', description: 'Another' };
    expect(await refusalOf(made.update(rename))).toBe('REFERRAL_EXISTS');
    await host.dataSource.transaction(async (manager) => {
      expect(await refusalOf(referrals.channels.update(made, rename, { manager }))).toBe('REFERRAL_EXISTS');
      await referrals.channels.update(made, { description: 'Still usable' }, { manager });
    });
    expect(await made.refresh()).toMatchObject({ code: 'KEPT', description: 'Still usable' });
  });

  test('that cease to be recurring take their discount off renewals, and put it on again', async () => {
    const buyer = fresh('buyer');
    const made = await couponOf(host, fresh('owner'), { isRecurring: true });
    await referrals.coupons.apply(buyer, made.code);
    await referrals.recordPurchase(buyer, { amount: 100, reference: 'first' });
    const quoted = async () => {
      const { discount, code } = await referrals.quote(buyer, 100);
      return [discount, code, (await referrals.coupons.of(buyer))?.code ?? null];
    };
    expect(await quoted()).toEqual(['20.00', made.code, made.code]);
    await referrals.channels.update(made, { isRecurring: false });
    expect(await quoted()).toEqual(['0.00', null, null]);
    const { purchase: plain } = await referrals.recordPurchase(buyer, { amount: 100, reference: 'second' });
    expect(plain.source).toBe('earlier-coupon');
    await referrals.channels.update(made, { isRecurring: true });
    expect(await quoted()).toEqual(['20.00', made.code, made.code]);
    const { purchase: renewal } = await referrals.recordPurchase(buyer, { amount: 100, reference: 'third' });
    expect(renewal.source).toBe('coupon');
  });

  test('can be deleted while nobody has used them', async () => {
    const made = await couponOf(host, fresh('owner'), { code: 'SHORT' });
    await host.browser().get('/r/SHORT').set('user-agent', 'Mozilla/5.0 Firefox/140.0').expect(302);
    await referrals.coupons.apply('applicant', 'SHORT');
    await made.delete();
    expect(await referrals.channels.get(made.id, { optional: true })).toBeNull();
    expect(await referrals.referralCodes.get(made.id, { optional: true })).toBeNull();
    expect(await referrals.coupons.of('applicant')).toBeNull();
    expect(await refusalOf(referrals.coupons.apply('applicant', 'SHORT'))).toBe('COUPON_NOT_FOUND');
    expect(await refusalOf(couponOf(host, fresh(), { code: 'Short' }))).toBe('CODE_TAKEN');
  });

  test('can’t be, once somebody has signed up with the code', async () => {
    const made = await couponOf(host, fresh('owner'));
    await referrals.signups.create({ user: fresh(), code: made.code });
    await expect(made.delete()).rejects.toMatchObject({
      code: 'IN_USE',
      message: expect.stringContaining('signed up'),
    });
  });

  test('go with the host’s transaction', async () => {
    const before = await everyRow(host);
    const rolledBack = host.dataSource.transaction(async (manager) => {
      const input = { user: 'anna', code: 'MINE', promoType: 'percent_off', promoValue: 0.1 } as const;
      const made = await referrals.channels.create(input, { manager });
      await made.update({ code: 'MINE2', isActive: false }, { manager });
      expect((await referrals.channels.getByCode('mine2', { manager }))?.id).toBe(made.id);
      expect(await referrals.channels.getByCode('mine2', { optional: true })).toBeNull();
      expect(await referrals.channels.ofUser('anna', { manager })).toHaveLength(2);
      await made.delete({ manager });
      await referrals.channels.create({ ...input, code: 'MINE3' }, { manager });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
    expect(await referrals.channels.getByCode('MINE', { optional: true })).toBeNull();
  });

  const day = 86_400_000;
  const wrongTerms: [string, object][] = [
    ...[7, null, 'x'.repeat(501), 'a\u0000'].map((description): [string, object] => ['description', { description }]),
    ...[null, 'percent', 7, ''].map((promoType): [string, object] => ['promoType', { promoType }]),
    ...[...noAmounts, null, -1, 1.01, '1.0001'].map((promoValue): [string, object] => ['promoValue', { promoValue }]),
    ...['-1', 1e16].map((promoValue): [string, object] => ['promoValue', { promoType: 'value_off', promoValue }]),
    ...[null, 1, 'true'].map((isActive): [string, object] => ['isActive', { isActive }]),
    ...[null, 0, 'no'].map((isRecurring): [string, object] => ['isRecurring', { isRecurring }]),
    ...['2026', 0, new Date(NaN), new Date(-1e15)].map((no): [string, object] => ['startDate', { startDate: no }]),
    ...['2026-01-01', 0, new Date(NaN)].map((endDate): [string, object] => ['endDate', { endDate }]),
    ['endDate', { startDate: new Date(day), endDate: new Date(day) }],
    ['endDate', { startDate: new Date(day), endDate: new Date(0) }],
    ...[...noAmounts, null, -0.1, 1.1].map((initialRate): [string, object] => ['initialRate', { initialRate }]),
    ...['0.00001', null, -0.1, '1.0001'].map((ongoingRate): [string, object] => ['ongoingRate', { ongoingRate }]),
    ...[null, -1, 1.5, '30', NaN, 36_501].map((initialRatePeriodDays): [string, object] => [
      'initialRatePeriodDays',
      { initialRatePeriodDays },
    ]),
    ...[0, '0.00', -5, 'none', NaN].map((maxEarningsPerReferred): [string, object] => [
      'maxEarningsPerReferred',
      { maxEarningsPerReferred },
    ]),
    ...[null, '', 'a b', 'ü', 7, 'x'.repeat(101)].map((code): [string, object] => ['code', { code }]),
    ['totalUses', { totalUses: 5 }],
    ['color', { color: 'red' }],
  ]; // prettier-ignore

  test('refuse wrong terms by their field, and nothing is written', async () => {
    const good = { user: 'x', code: 'NEVER', promoType: 'percent_off', promoValue: '0.5' };
    const inputs: [string, object][] = [
      ...wrongTerms,
      ['user', { user: undefined }],
      ['user', { user: null }],
      ['user', { user: '' }],
      ['user.id', { user: {} }],
      ['code', { code: undefined }],
      ['promoType', { promoType: undefined }],
      ['promoValue', { promoValue: undefined }],
    ];
    await expectRefusals(host, inputs, (input, options) =>
      referrals.channels.create({ ...good, ...input } as never, options),
    );
  });

  const isNone = ([, input]: [string, object]): boolean => Object.values(input).includes(null);

  test('refuse wrong changes by their field, and nothing is changed', async () => {
    const changes: [string, object][] = [
      ...wrongTerms.filter((one) => !one[0].startsWith('promo') || !isNone(one)),
      ['startDate', { startDate: null }],
      ['user', { user: 'eve' }],
      ['userId', { userId: 'eve' }],
    ];
    await expectRefusals(host, changes, (input, options) => referrals.channels.update(channel, input, options));
    const valued = await couponOf(host, fresh(), { promoType: 'value_off', promoValue: 5 });
    await expectRefusals(host, [['promoValue', { promoType: 'percent_off' as const }]], (input, options) =>
      referrals.channels.update(valued, input, options),
    ); // 5 is no share
  });

  test('refuse a discount of null, as they do when they are made', async () => {
    const changes = wrongTerms.filter((one) => one[0].startsWith('promo') && isNone(one));
    await expectRefusals(host, changes, (input, options) => referrals.channels.update(channel, input, options));
  });

  test('refuse dates that don’t fit those there are, by the one that was given', async () => {
    const dated = await couponOf(host, fresh(), { startDate: new Date(0), endDate: new Date(day) });
    const changes: [string, object][] = [
      ['endDate', { endDate: new Date(0) }],
      ['startDate', { startDate: new Date(day) }],
    ];
    await expectRefusals(host, changes, (input, options) => referrals.channels.update(dated, input, options));
  });
});

describe('accounts', () => {
  test('are made on first use, with a referral of the user’s own', async () => {
    const user = fresh('new');
    const made = await referrals.accounts.of({ id: user });
    expect({ ...made }).toEqual({
      ...{ id: expect.any(Number), userId: user, mode: 'credits', payoutEmail: null, referralId: expect.any(Number) },
      ...{ usersReferred: 0, usersUpgraded: 0, creditsPaid: '0.00', payoutsPaid: '0.00', earnOutCount: 0 },
      ...{ minimum: null, payoutEmailChangedAt: null, suspendedAt: null, bannedAt: null },
      ...{ createdAt: host.clock.time, updatedAt: host.clock.time },
      ...{ commissionAmount: null, commissionMonths: null, commissionPurchases: null, commissionSignup: null },
      ...{ commissionQualify: null, commissionMaxPerReferrer: null, commissionPeriod: null },
      ...{ commissionRatio: null, commissionMaxPerReferee: null },
    });
    expect(await referrals.accounts.of(user)).toEqual(made);
    expect(await referrals.accounts.create({ user })).toEqual(made);
    const own = await referrals.referralCodes.get(made.referralId!);
    expect(own).toMatchObject({ userId: user, redirectTo: '/' });
    expect(own.code).toMatch(/^\w{10}$/);
    await expect(own.delete()).rejects.toMatchObject({ code: 'IN_USE' });
    const [one, two] = await referrals.accounts.createMany([{ user: fresh() }, { user }]);
    expect([one!.usersReferred, two!.id]).toEqual([0, made.id]);
  });

  test('take the user’s referral to the front page, where there is one', async () => {
    const user = fresh('owner');
    const { id } = await referrals.referralCodes.create({ user, code: fresh('FRONT') });
    expect((await referrals.accounts.of(user)).referralId).toBe(id);
  });

  test('that counted before they were asked for keep their counts', async () => {
    const referrer = fresh('referrer');
    await refer(host, referrer, fresh());
    const [before] = await referrals.accounts.search({ where: { userId: referrer } });
    expect(before).toMatchObject({ referralId: null, usersReferred: 1 });
    host.clock.advanceDays(1);
    const after = await referrals.accounts.of(referrer);
    expect(after).toEqual(Object.assign(before!, { referralId: after.referralId }));
    expect(after.referralId).not.toBeNull();
  });

  test('totals of who has none yet', async () => {
    expect(await referrals.accounts.totals(fresh())).toEqual({
      ...{ creditsEarned: '0.00', payoutsEarned: '0.00', totalCreditsEarned: '0.00', totalPayoutsEarned: '0.00' },
      ...{ usersReferred: 0, usersUpgraded: 0, nextEarnOutAt: new Date(host.clock.time.getTime() + 7 * 86_400_000) },
      blocked: null,
    });
    for (const user of [null, '', {}] as never[])
      expect(await refusalOf(referrals.accounts.totals(user))).toMatch(/^INVALID_INPUT user/);
    expect(await refusalOf(referrals.accounts.of('x', { mode: 'payout' } as never))).toBe('INVALID_INPUT mode');
  });

  test('change their mode and address, and when that was', async () => {
    const { accounts } = referrals;
    const made = await accounts.of(fresh());
    host.clock.advanceDays(1);
    expect(await made.update({})).toMatchObject({ updatedAt: made.createdAt });
    expect(await made.update({ mode: 'payout', payoutEmail: 'a@b.example' })).toMatchObject({
      ...{ mode: 'payout', payoutEmail: 'a@b.example', updatedAt: host.clock.time },
    });
    expect(await made.update({ payoutEmail: 'c@d.example' })).toMatchObject({ mode: 'payout' });
    expect(await made.update({ mode: 'credits' })).toMatchObject({ mode: 'credits', payoutEmail: 'c@d.example' });
    expect(await made.update({ mode: 'payout' })).toMatchObject({ mode: 'payout', payoutEmail: 'c@d.example' });
    expect(await made.update({ mode: 'credits', payoutEmail: null })).toMatchObject({ payoutEmail: null });
  });

  test('refuse wrong input by its field', async () => {
    const made = await referrals.accounts.of(fresh());
    const paid = await referrals.accounts.update(await referrals.accounts.of(fresh()), {
      ...{ mode: 'payout', payoutEmail: 'a@b.example' },
    });
    const emails = ['', 'a', 'a@b', '@b.example', 'a b@c.example', `${'x'.repeat(250)}@b.example`, 7, ['a@b.example']];
    const wrong: [string, object][] = [
      ...[null, 'cash', '', 7, ['payout']].map((mode): [string, object] => ['mode', { mode }]),
      ...emails.map((payoutEmail): [string, object] => ['payoutEmail', { payoutEmail }]),
      ['payoutEmail', { mode: 'payout' }],
      ['payoutEmail', { mode: 'payout', payoutEmail: null }],
      ['usersReferred', { usersReferred: 5 }],
      ['creditsPaid', { creditsPaid: 0 }],
    ];
    await expectRefusals(host, wrong, (input, options) => referrals.accounts.update(made, input, options));
    await expectRefusals(host, [['payoutEmail', { payoutEmail: null }]], (input, options) =>
      referrals.accounts.update(paid, input, options),
    );
    const users: [string, object][] = [
      ['user', {}],
      ['user', { user: null }],
      ['user', { user: '' }],
      ['user.id', { user: {} }],
      ['mode', { user: 'x', mode: 'payout' }],
    ];
    await expectRefusals(host, users, (input, options) => referrals.accounts.create(input as never, options));
  });

  test('can’t be paid out by a host that pays nothing out', async () => {
    const without = await startEarnings();
    const made = await without.referrals.accounts.of('anna');
    const changes = { mode: 'payout', payoutEmail: 'a@b.example' } as const;
    await expect(made.update(changes)).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'mode' });
    expect(await made.update({ payoutEmail: 'a@b.example' })).toMatchObject({ mode: 'credits' });
  });

  test('go with the host’s transaction', async () => {
    const user = fresh('rolled back');
    const before = await everyRow(host);
    const rolledBack = host.dataSource.transaction(async (manager) => {
      const made = await referrals.accounts.of(user, { manager });
      await made.update({ payoutEmail: 'a@b.example' }, { manager });
      expect(await referrals.accounts.totals(user, { manager })).toMatchObject({ creditsEarned: '0.00' });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
  });
});

describe('purchases', () => {
  test('are made as by recordPurchase, many at a time, all or none', async () => {
    const buyer = fresh('buyer');
    const at = new Date('2026-01-01T00:00:00Z');
    const made = await referrals.purchases.create({ user: { id: buyer }, amount: 5, reference: 'a', at });
    expect(made).toMatchObject({ userId: buyer, amount: '5.00', purchasedAt: at, noCommission: 'no-referrer' });
    expect(await referrals.purchases.create({ user: buyer, amount: '5.00', reference: 'a' })).toEqual(made);
    const many = await referrals.purchases.createMany([
      { user: buyer, amount: 5, reference: 'a' },
      { user: buyer, amount: 6, reference: 'b' },
      { user: fresh(), amount: 6, reference: 'b' },
    ]);
    expect(many.map(({ amount, id }) => [amount, id === made.id])).toEqual([
      ['5.00', true],
      ['6.00', false],
      ['6.00', false],
    ]);
    const before = await everyRow(host);
    const clash = referrals.purchases.createMany([
      { user: buyer, amount: 7, reference: 'c' },
      { user: buyer, amount: 7, reference: 'b' },
    ]);
    await expect(clash).rejects.toMatchObject({ code: 'REFERENCE_REUSED' });
    expect(await everyRow(host)).toEqual(before);
    const wrong: [string, object][] = [
      ['user', {}],
      ['amount', { amount: -1 }],
      ['reference', { reference: '' }],
      ['at', { at: 'now' }],
      ['manager', { manager: host.dataSource.manager }],
      ['cost', { cost: 1 }],
      ['code', { amount: 1, code: '' }],
      ['code', { amount: 1, code: 'A', referral: 1 }],
    ];
    await expectRefusals(host, wrong, (input, options) => {
      const user = 'cost' in input || !('amount' in input || 'reference' in input || 'at' in input) ? undefined : buyer;
      const given = { ...(user !== undefined && { user }), amount: 1, reference: 'd', ...input };
      return referrals.purchases.create(given as never, options);
    });
  });
});

describe('records', () => {
  test('a purchase’s commission', async () => {
    expect((await purchase.commission())!.id).toBe(commission.id);
    const free = await referrals.purchases.create({ user: fresh(), amount: 1, reference: 'free' });
    expect(await free.commission()).toBeNull();
    const own = await referrals.purchases.create({ user: 'boris', amount: 0, reference: 'nothing' });
    expect([own.noCommission, await own.commission()]).toEqual(['too-small', null]);
  });

  test('a commission’s channel, purchase and earn-out', async () => {
    expect((await commission.channel())!.code).toBe('Summer20');
    expect((await commission.ofPurchase()).id).toBe(purchase.id);
    expect((await commission.earnOut())!.id).toBe(earnOut.id);
    expect(await later.earnOut()).toBeNull();
    expect((await later.ofPurchase()).source).toBe('earlier-coupon');
    const [referrer, buyer] = [fresh(), fresh()];
    await refer(host, referrer, buyer);
    const linked = (await referrals.recordPurchase(buyer, { amount: 4, reference: 'a' })).commission!;
    expect(await linked.channel()).toBeNull();
  });

  test('an earn-out’s commissions, and a channel’s', async () => {
    expect((await earnOut.commissions()).map(({ id }) => id)).toEqual([commission.id]);
    expect((await channel.commissions()).map(({ id }) => id)).toEqual([commission.id, later.id]);
    expect(await (await couponOf(host, fresh())).commissions()).toEqual([]);
  });

  test('a part of a commission can tell its status, and find what is related', async () => {
    const part = await referrals.commissions.get(commission.id, { fields: ['amount'] });
    expect(part.status).toBe('available');
    expect((await part.channel())!.id).toBe(channel.id);
    expect(await referrals.commissions.get(later.id, { fields: ['status'], plain: true })).toEqual({
      status: 'pending',
    });
    expect(later.toJSON()).toMatchObject({ status: 'pending', earned: '30.00', amount: '30.00' });
  });

  test('are loaded once, until a refresh', async () => {
    const first = await commission.channel();
    await referrals.channels.update(channel, { description: 'changed' });
    expect(await commission.channel()).toBe(first);
    await commission.refresh();
    expect((await commission.channel())!.description).toBe('changed');
  });

  test('are read in the host’s transaction', async () => {
    const rolledBack = host.dataSource.transaction(async (manager) => {
      const made = await referrals.recordPurchase('boris', { amount: 100, reference: 'uncommitted', manager });
      expect((await made.purchase.commission({ manager }))!.id).toBe(made.commission!.id);
      const { id } = await made.commission!.ofPurchase({ manager });
      expect(id).toBe(made.purchase.id);
      expect(await referrals.commissions.get(made.commission!.id, { optional: true })).toBeNull();
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
  });

  test('searches by amounts and times', async () => {
    const found = await referrals.commissions.search({
      ...{ where: { userId: 'anna', amount: MoreThan('11.76'), earnOutId: null }, fields: ['amount'], plain: true },
    });
    expect(found).toEqual([{ amount: '30.00' }]);
    const pending = { availableAt: MoreThan(host.clock.time), userId: 'anna' };
    expect(await referrals.commissions.count({ where: pending })).toBe(1);
    expect(await refusalOf(referrals.commissions.search({ where: { status: 'pending' } as never }))).toBe(
      'INVALID_INPUT where.status',
    );
    expect(
      await referrals.earnOuts.search({ where: { status: 'completed' }, fields: ['amount'], plain: true }),
    ).toEqual([{ amount: '11.76' }]);
  });
});

test('and all of it adds up', async () => {
  expect(host.errors).toEqual([]);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
