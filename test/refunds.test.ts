import { type Amount, ReferralCommissionEntry, type RefundInput } from '../lib';
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
beforeAll(async () => {
  host = await startEarnings();
});

/** A purchase `inv` of a buyer who signed up through somebody. */
async function purchased(amount: Amount, terms?: Parameters<typeof refer>[3]) {
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer, terms);
  const { commission, purchase } = await host.referrals.recordPurchase(buyer, { amount, reference: 'inv' });
  const refund = (reference: string, back?: Amount, given: Partial<RefundInput> = {}) =>
    host.referrals.recordRefund(buyer, { purchase: 'inv', reference, amount: back, ...given });
  const entries = async (): Promise<string[]> => {
    const found = await host.dataSource.getRepository(ReferralCommissionEntry).find({
      where: { userId: referrer },
      order: { id: 'ASC' },
    });
    return found.map(({ amount: taken, refund: reference }) => `${reference} ${taken}`);
  };
  return { referrer, buyer, purchase, commission, refund, entries };
}

describe('recordRefund', () => {
  test('takes the commission back in proportion, by an entry; what was earned stays', async () => {
    const { referrer, buyer, purchase, commission, refund, entries } = await purchased('100');
    host.clock.advanceDays(1);
    const part = await refund('re-1', '40');
    expect({ ...part.refund }).toEqual({
      ...{ userId: buyer, reference: 're-1', purchase: 'inv', amount: '40.00', undoneAt: null },
      createdAt: host.clock.time,
    });
    expect({ ...part.commission }).toEqual({ ...commission, amount: '15.00', updatedAt: host.clock.time });
    expect(part.commission!.status).toBe('pending');
    expect(await purchase.refresh()).toMatchObject({ amount: '100.00', refunded: '40.00' });
    host.clock.advanceDays(1);
    const whole = await refund('re-2');
    expect(whole.refund.amount).toBe('60.00');
    expect(whole.commission).toMatchObject({
      ...{ status: 'reverted', revertedAt: host.clock.time, updatedAt: host.clock.time },
      ...{ earned: '25.00', amount: '0.00', createdAt: commission!.createdAt },
    });
    expect(await entries()).toEqual(['re-1 -10.00', 're-2 -15.00']);
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({
      ...{ totalCreditsEarned: '0.00', creditsEarned: '0.00', usersReferred: 1, usersUpgraded: 1 },
    });
  });

  test('of an available commission lowers what is available', async () => {
    const { referrer, refund } = await purchased('100');
    host.clock.advanceDays(30);
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('25.00');
    expect((await refund('a', 20)).commission!.status).toBe('available');
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('20.00');
    expect((await refund('b')).commission!.status).toBe('reverted');
    expect(await host.referrals.accounts.totals(referrer)).toMatchObject({
      ...{ creditsEarned: '0.00', totalCreditsEarned: '0.00' },
    });
  });

  // Each time, what has been taken back in all is in proportion to what has been refunded in all.
  test.each<[Amount, Amount[], string[]]>([
    ['10', ['3.33', '3.33', '3.34'], ['1.67', '0.83', '0.00']],
    ['10', ['3.34', '3.33', '3.33'], ['1.66', '0.83', '0.00']],
    ['0.10', ['0.05', '0.05'], ['0.01', '0.00']],
    ['0.02', ['0.01', '0.01'], ['0.00', '0.00']],
    ['0.04', ['0.01', '0.01', '0.01', '0.01'], ['0.01', '0.00', '0.00', '0.00']],
    ['100', ['0.01', '0.01', '99.98'], ['25.00', '24.99', '0.00']],
    ['33.33', [11.11, 11.11, 11.11], ['5.55', '2.78', '0.00']],
    ['9999999999999999.99', ['9999999999999999.98', '0.01'], ['0.00', '0.00']],
  ])('%p refunded by %j leaves %j', async (amount, refunds, left) => {
    const { refund } = await purchased(amount);
    const amounts: string[] = [];
    for (const [index, back] of refunds.entries()) {
      const { commission } = await refund(`re-${index}`, back);
      amounts.push(commission!.amount);
      expect(commission!.status).toBe(index === refunds.length - 1 ? 'reverted' : 'pending');
    }
    expect(amounts).toEqual(left);
  });

  test('in proportion also of what a limit left', async () => {
    const { refund } = await purchased(100, { commissionRatio: '0.25', commissionMaxPerReferee: 10 });
    expect((await refund('a', 50)).commission).toMatchObject({ earned: '10.00', amount: '5.00' });
  });

  test('of a purchase that earned nothing lowers revenue alone', async () => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh(), { initialRate: 0 });
    await host.referrals.coupons.apply(buyer, channel.code);
    await host.referrals.recordPurchase(buyer, { amount: 10, reference: 'inv' });
    const { commission } = await host.referrals.recordRefund(buyer, { purchase: 'inv', reference: 're', amount: 4 });
    expect(commission).toBeNull();
    expect(await channel.refresh()).toMatchObject({ totalRevenue: '6.00', totalCommission: '0.00', totalUses: 1 });
    const nobody = fresh();
    await host.referrals.recordPurchase(nobody, { amount: 10, reference: 'inv' });
    expect((await host.referrals.recordRefund(nobody, { purchase: 'inv', reference: 're' })).refund.amount).toBe(
      '10.00',
    );
  });

  test('the same again answers the first refund, with the commission as it is now', async () => {
    const { referrer, refund, entries } = await purchased(100);
    const first = await refund('re', '10.50');
    const then = await refund('later', 20);
    host.told.length = 0;
    for (const back of ['10.50', 10.5, '10.5000', '+10.5', null, undefined])
      expect(await refund('re', back as never)).toEqual({ refund: first.refund, commission: then.commission });
    await refund('rest');
    expect((await refund('rest', '69.5')).refund.amount).toBe('69.50');
    expect((await refund('rest')).commission!.status).toBe('reverted');
    expect(await entries()).toHaveLength(3);
    expect(host.told).toEqual([`reverted ${referrer} to 0.00 by rest 69.50`]);
  });

  test('another amount, or purchase, under the reference is an error, and changes nothing', async () => {
    const { buyer, refund } = await purchased(100);
    await host.referrals.recordPurchase(buyer, { amount: 100, reference: 'other' });
    await refund('re', 10);
    const before = await everyRow(host);
    const reused = { code: 'REFERENCE_REUSED', status: 409 };
    for (const back of [11, '10.0001', 90, 1000]) await expect(refund('re', back)).rejects.toMatchObject(reused);
    for (const purchase of ['other', 'unknown'])
      await expect(refund('re', 10, { purchase })).rejects.toMatchObject(reused);
    expect(await everyRow(host)).toEqual(before);
  });

  test('more than is left is refused by the amount', async () => {
    const { refund } = await purchased(100);
    const refusal = { code: 'INVALID_INPUT', status: 400, field: 'amount' };
    await expect(refund('re', '100.0001')).rejects.toMatchObject(refusal);
    await refund('re', 99);
    await expect(refund('more', '1.01')).rejects.toMatchObject(refusal);
    await expect(refund('more', '1.01')).rejects.toThrow('1.00 that is left');
    await refund('more', 1);
  });

  test('of nothing that is left, and of what was never bought', async () => {
    const { buyer, refund } = await purchased(100);
    await refund('all');
    for (const back of [undefined, 1])
      await expect(refund('again', back)).rejects.toMatchObject({ code: 'NOTHING_TO_REFUND', status: 409 });
    await host.referrals.recordPurchase(buyer, { amount: 0, reference: 'free' });
    expect(await refusalOf(refund('free', undefined, { purchase: 'free' }))).toBe('NOTHING_TO_REFUND');
    const before = await everyRow(host);
    await expect(refund('re', 1, { purchase: 'unknown' })).rejects.toMatchObject({ code: 'NOT_FOUND', status: 404 });
    const another = host.referrals.recordRefund(fresh(), { purchase: 'inv', reference: 're' });
    await expect(another).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await everyRow(host)).toEqual(before);
  });

  test('wrong input is refused by its field, before anything is written', async () => {
    const good = { purchase: 'inv', reference: 're', amount: 1 };
    const { buyer } = await purchased(100);
    const texts = [undefined, '', 7, 'x'.repeat(256), 'a\u0000', '\udfff'];
    const inputs: [string, [unknown, unknown]][] = [
      ...[...noAmounts, 0, -1].map((no): [string, [unknown, unknown]] => ['amount', [buyer, { ...good, amount: no }]]),
      ...texts.map((purchase): [string, [unknown, unknown]] => ['purchase', [buyer, { ...good, purchase }]]),
      ...texts.map((reference): [string, [unknown, unknown]] => ['reference', [buyer, { ...good, reference }]]),
      ...[null, '', 1.5, false].map((user): [string, [unknown, unknown]] => ['user', [user, good]]),
      ['user.id', [{}, good]],
      ['at', [buyer, { ...good, at: new Date() }]],
    ]; // prettier-ignore
    await expectRefusals(host, inputs, ([user, input], options) =>
      host.referrals.recordRefund(user as string, { ...(input as typeof good), ...options }),
    );
    for (const input of [null, 'inv', [good]])
      await expect(host.referrals.recordRefund(buyer, input as never)).rejects.toMatchObject({ field: 'recordRefund' });
  });

  test('purchases and refunds have references of their own', async () => {
    const { refund, buyer } = await purchased(100);
    expect((await refund('inv', 1)).refund.amount).toBe('1.00');
    await host.referrals.recordPurchase(buyer, { amount: 5, reference: 're' });
    expect((await refund('re', 1, { purchase: 're' })).refund.purchase).toBe('re');
  });
});

describe('what is told', () => {
  test('a part, then the rest, after the commit', async () => {
    const { referrer, refund } = await purchased(100);
    host.told.length = 0;
    await host.dataSource.transaction(async (manager) => {
      await refund('part', 40, { manager });
      await refund('rest', undefined, { manager });
      expect(host.told).toEqual([]);
    });
    expect(host.told).toEqual([
      `lowered ${referrer} to 15.00 by part 40.00`,
      `reverted ${referrer} to 0.00 by rest 60.00`,
    ]);
  });

  test('nothing where there was no commission, or a part took less than half a cent', async () => {
    const { refund } = await purchased(100);
    host.told.length = 0;
    await refund('tiny', '0.01');
    await host.referrals.recordPurchase('nobodys', { amount: 1, reference: 'inv' });
    await host.referrals.recordRefund('nobodys', { purchase: 'inv', reference: 're' });
    expect(host.told).toEqual(['purchase nobodys 1.00']);
  });

  // Because of rounding, the first refund subtracts the whole cent. The second one still reverts the commission.
  test('the reverting, also where earlier refunds had taken all of the amount', async () => {
    const { referrer, refund } = await purchased('0.04');
    await refund('half', '0.02');
    host.told.length = 0;
    expect((await refund('rest')).commission!.status).toBe('reverted');
    expect(host.told).toEqual([`reverted ${referrer} to 0.00 by rest 0.02`]);
  });
});

describe('in the host’s transaction', () => {
  test('rolled back, nothing is left of it, and nothing told', async () => {
    const { refund } = await purchased(100);
    const before = await everyRow(host);
    host.told.length = 0;
    const rolledBack = host.dataSource.transaction(async (manager) => {
      await refund('re', 10, { manager });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    expect(await everyRow(host)).toEqual(before);
    expect(host.told).toEqual([]);
    expect((await refund('re', 20)).commission!.amount).toBe('20.00');
  });

  test('a refusal leaves the transaction usable', async () => {
    const { refund } = await purchased(100);
    await host.dataSource.transaction(async (manager) => {
      expect(await refusalOf(refund('re', 101, { manager }))).toBe('INVALID_INPUT amount');
      expect(await refusalOf(refund('re', 1, { purchase: 'unknown', manager }))).toBe('NOT_FOUND');
      await refund('re', 1, { manager });
      expect(await refusalOf(refund('re', 2, { manager }))).toBe('REFERENCE_REUSED');
    });
    expect((await refund('re')).refund.amount).toBe('1.00');
  });

  test('with the purchase in the same one', async () => {
    const [referrer, buyer] = [fresh(), fresh()];
    await refer(host, referrer, buyer);
    await host.dataSource.transaction(async (manager) => {
      await host.referrals.recordPurchase(buyer, { amount: 8, reference: 'a', manager });
      const { commission } = await host.referrals.recordRefund(buyer, { purchase: 'a', reference: 'b', manager });
      expect(commission!.status).toBe('reverted');
    });
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('0.00');
  });
});

test('what was refunded of the coupon’s purchase is off its totals; in the mode of the purchase', async () => {
  const paying = await startEarnings({ earnOuts: { payout: () => undefined } });
  const { referrals } = paying;
  await refer(paying, 'anna', 'boris');
  await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
  const account = await referrals.accounts.of('anna');
  await account.update({ mode: 'payout', payoutEmail: 'anna@example.org' });
  await referrals.recordPurchase('boris', { amount: 200, reference: 'b' });
  await referrals.recordRefund('boris', { purchase: 'a', reference: 're', amount: 40 });
  expect(await referrals.accounts.totals('anna')).toMatchObject({
    ...{ totalCreditsEarned: '15.00', totalPayoutsEarned: '50.00' },
  });
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('and all of it adds up', async () => {
  expect(host.errors).toEqual([]);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
