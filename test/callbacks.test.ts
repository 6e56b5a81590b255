import request from 'supertest';
import { Referral, ReferralResponse } from '../lib';
import { firefox } from './support/browser';
import { couponOf, type EarningsHost, fresh, refusalOf, startEarnings } from './support/earnings';
import { closeAll, cookieOf } from './support/host';
import { heldOf } from './support/pool';

// That nothing of ours is held while a callback runs, for every call, is in connections.test.ts.

afterAll(closeAll);

describe('isSamePerson is called again for the owner that a referral has when it is written', () => {
  let host: EarningsHost;
  let asked: string[];
  let sell: (() => Promise<unknown>) | undefined;
  beforeAll(async () => {
    host = await startEarnings({
      isSamePerson: async (owner) => {
        asked.push(owner);
        const selling = sell;
        sell = undefined;
        await selling?.();
        return owner === 'twin';
      },
    });
  });

  /** A referral of the seller's that is the twin's as soon as the host is asked about the seller. */
  async function soldWhenAsked(kind: 'code' | 'coupon'): Promise<{ id: number; code: string }> {
    const label = fresh('code');
    const made =
      kind === 'coupon'
        ? await couponOf(host, 'seller')
        : await host.referrals.referralCodes.create({ user: 'seller', code: label, label });
    asked = [];
    sell = () => host.dataSource.getRepository(Referral).update(made.id, { userId: 'twin' });
    return made;
  }
  /** A buyer who came through a referral that is sold when the host is asked. */
  async function clicked(): Promise<string> {
    const { id } = await soldWhenAsked('code');
    const userId = fresh('buyer');
    await host.dataSource.getRepository(ReferralResponse).insert({ referralId: id, userId, action: 'RESPONDED' });
    return userId;
  }
  afterEach(() => expect(asked).toEqual(['seller', 'twin']));

  test('Referral.recordSignup', async () => {
    const { code } = await soldWhenAsked('code');
    const user = fresh();
    expect(await Referral.recordSignup(null, user, { code })).toBeNull();
    expect((await host.referrals.explainSignup(user)).reason).toBe('own-code');
  });

  test('signups.create', async () => {
    const { code } = await soldWhenAsked('code');
    expect(await refusalOf(host.referrals.signups.create({ user: fresh(), code }))).toBe('SIGNUP_REFUSED');
  });

  test('coupons.apply', async () => {
    const { code } = await soldWhenAsked('coupon');
    expect(await refusalOf(host.referrals.coupons.apply(fresh(), code))).toBe('COUPON_OWN');
  });

  test('recordPurchase', async () => {
    const buyer = await clicked();
    const { purchase } = await host.referrals.recordPurchase(buyer, { amount: 100, reference: fresh() });
    expect(purchase).toMatchObject({ referrerId: 'twin', noCommission: 'own-referral' });
  });

  test('purchases.create', async () => {
    const user = await clicked();
    const purchase = await host.referrals.purchases.create({ user, amount: 100, reference: fresh() });
    expect(purchase).toMatchObject({ referrerId: 'twin', noCommission: 'own-referral' });
  });

  test('in the host’s transaction too', async () => {
    const user = await clicked();
    const [purchase] = await host.dataSource.transaction((manager) =>
      host.referrals.purchases.createMany([{ user, amount: 100, reference: fresh() }], { manager }),
    );
    expect(purchase).toMatchObject({ referrerId: 'twin', noCommission: 'own-referral' });
  });
});

describe('isSamePerson in purchases.create', () => {
  test('is not called for a buyer who has signed up, nor for a purchase that is recorded', async () => {
    const asked: string[] = [];
    const host = await startEarnings({ isSamePerson: (_owner, buyer) => asked.push(buyer) < 0 });
    const { purchases, referralCodes, signups } = host.referrals;
    const { id, code } = await referralCodes.create({ user: 'anna' });
    await signups.create({ user: 'boris', code });
    await host.dataSource
      .getRepository(ReferralResponse)
      .insert({ referralId: id, userId: 'clara', action: 'RESPONDED' });
    asked.length = 0;
    const paid = (user: string) => ({ user, amount: 100, reference: 'first' });
    for (let times = 0; times < 2; times++) await purchases.createMany([paid('boris'), paid('clara')]);
    expect(asked).toEqual(['clara']);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('generateCode is called again for a code that is taken', () => {
  let host: EarningsHost;
  let codes: string[];
  let held: number[];
  beforeAll(async () => {
    host = await startEarnings({
      generateCode: () => {
        held.push(heldOf(host.dataSource));
        return codes.length > 1 ? codes.shift()! : codes[0]!;
      },
    });
    await Referral.create({ redirectTo: '/', code: 'TAKEN' }, { manager: host.dataSource.manager });
  });
  beforeEach(() => {
    held = [];
  });
  const codeOf = (record: { code: string }): string => record.code;
  const create = (...labels: string[]) =>
    host.referrals.referralCodes.createMany(labels.map((label) => ({ user: 'anna', label })));

  test('in referralCodes.create and accounts.of', async () => {
    codes = ['TAKEN', 'taken', 'FREE-1'];
    expect(codeOf(await host.referrals.referralCodes.create({ user: 'anna', label: 'one' }))).toBe('FREE-1');
    codes = ['TAKEN', 'FREE-2'];
    const { referralId } = await host.referrals.accounts.of('boris');
    expect(codeOf(await host.referrals.referralCodes.get(referralId!))).toBe('FREE-2');
    expect(held).toEqual([0, 0, 0, 0, 0]);
  });

  test('in createMany, only for the records whose codes are taken', async () => {
    codes = ['A', 'TAKEN', 'a', 'B', 'b', 'C'];
    expect((await create('two', 'three', 'four')).map(codeOf)).toEqual(['A', 'B', 'C']);
    expect(held).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('ten times for each record, and then none of them is made', async () => {
    const { referralCodes } = host.referrals;
    const before = await referralCodes.count();
    codes = ['D', 'TAKEN'];
    await expect(create('five', 'six')).rejects.toMatchObject({ code: 'CODES_EXHAUSTED' });
    expect(held).toHaveLength(11);
    expect(await referralCodes.count()).toBe(before);
    const twice = ['seven', 'eight'].map((label) => ({ label, code: 'TWICE' }));
    expect(await refusalOf(referralCodes.createMany(twice))).toBe('CODE_TAKEN');
    expect(await referralCodes.count()).toBe(before);
  });
});

describe('nothing is held', () => {
  test('by the sign-in that inserts a lost click, while the listeners run', async () => {
    const host = await startEarnings();
    const { app, dataSource, referrals } = host;
    const { id, code } = await referrals.referralCodes.create({ user: 'anna' });
    const cookie = cookieOf(await request(app).get(`/r/${code}`).set('User-Agent', firefox))!;
    await dataSource.getRepository(ReferralResponse).delete({ referralId: id });
    const told: [string, number][] = [];
    referrals.on('response', () => void told.push(['response', heldOf(dataSource)]));
    referrals.on('userLinkedToResponse', () => void told.push(['userLinkedToResponse', heldOf(dataSource)]));
    const login = await request(app).post('/login/boris');
    const session = cookieOf(login, 'connect.sid')!;
    await request(app).get('/whose').set('Cookie', [cookie, session]).expect({ code });
    expect(told).toEqual([
      ['response', 0],
      ['userLinkedToResponse', 0],
    ]);
  });

  test('by the sign-up whose credit is refused, while onError runs', async () => {
    const held: number[] = [];
    const host: EarningsHost = await startEarnings({ onError: () => held.push(heldOf(host.dataSource)) });
    const { creditTypes, referralCodes, signups } = host.referrals;
    await host.dataSource.query(
      `ALTER TABLE ${host.schema}.referral_credits ADD CONSTRAINT no_credit CHECK (user_id <> 'boris')`,
    );
    const credit = { referralCreditAmount: 5, referralCreditDuration: 9 };
    const type = await creditTypes.create({ name: 'anything' });
    const { code } = await referralCodes.create({ user: 'anna', ...credit, referralCreditType: type });
    expect(await signups.create({ user: 'boris', code })).toMatchObject({ userId: 'boris' });
    expect(held).toEqual([0]);
  });

  test('by a commit of ours, but a listener is called before the call returns', async () => {
    const { referrals, dataSource } = await startEarnings();
    const { id: creditType } = await referrals.creditTypes.create({ name: 'anything' });
    const credit = { creditType, initialBalance: 5, durationDays: 9 };
    const told: string[] = [];
    referrals.on('creditGranted', ({ userId }) => void told.push(`${userId} ${heldOf(dataSource)}`));
    await referrals.credits.createMany(['anna', 'boris'].map((user) => ({ user, ...credit })));
    expect(told).toEqual(['anna 0', 'boris 0']);
    await expect(
      referrals.credits.createMany([
        { user: 'clara', ...credit },
        { user: 'dora', ...credit, initialBalance: 0 },
      ]),
    ).rejects.toMatchObject({ field: 'initialBalance' });
    await dataSource.transaction(async (manager) => {
      await referrals.credits.create({ user: 'emil', ...credit }, { manager });
      expect(told).toHaveLength(2);
    });
    expect(told.slice(2)).toEqual([expect.stringMatching(/^emil /)]);
  });
});
