import { currencies } from 'countries-list/currencies';
import {
  createReferrals,
  formatAmount,
  type PurchaseFacts,
  type PurchaseInput,
  ReferralCommission,
  ReferralLateAttribution,
  type ReferralsOptions,
  type SignupFacts,
} from '../lib';
import { digitsOf, isCurrency, maxDecimals } from '../lib/currency';
import { couponOf, fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { baseUrl, closeAll, secret } from './support/host';

afterAll(closeAll);

/** A host with a currency, and a buyer whom somebody has referred. */
async function startIn(currency: string | undefined, options: Partial<ReferralsOptions> = {}) {
  const host = await startEarnings({
    ...(currency !== undefined && { currency }),
    ...options,
    commission: { ratio: '0.1', ...options.commission },
  });
  const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
  await refer(host, referrer, buyer);
  return { host, referrer, buyer };
}

describe('a commission is rounded half up to the minor unit, and shown with it', () => {
  test.each([
    [undefined, '333', '33.30', '333.00'],
    ['USD', '333.33', '33.33', '333.33'],
    ['JPY', '333', '33', '333'],
    ['JPY', 335, '34', '335'],
    ['KRW', '12345', '1235', '12345'],
    ['KWD', '333', '33.300', '333.000'],
    ['BHD', '0.335', '0.034', '0.335'],
    // `Intl` has no decimals for these two, and does not know the third.
    ['HUF', '333.33', '33.33', '333.33'],
    ['IQD', '333', '33.300', '333.000'],
    ['CLF', '333.3335', '33.3334', '333.3335'],
  ])('%s: a tenth of %s is %s', async (currency, amount, earned, paid) => {
    const { host, buyer } = await startIn(currency);
    const { purchase, commission } = await host.referrals.recordPurchase(buyer, { amount, reference: 'a' });
    expect([purchase.amount, purchase.refunded, commission!.earned, commission!.amount, commission!.rate]).toEqual([
      ...[paid, paid.replace(/\d+/, '0').replace(/[1-9]/g, '0'), earned, earned, '0.10'],
    ]);
    // Loaded by TypeORM, by a manager, and summed up.
    const loaded = await host.dataSource.getRepository(ReferralCommission).findOneByOrFail({ id: commission!.id });
    expect({ ...loaded }).toEqual({ ...commission, paidAt: undefined });
    expect((await host.referrals.commissions.get(commission!.id)).amount).toBe(earned);
    const { creditsEarned } = await host.referrals.accounts.totals(commission!.userId);
    host.clock.advanceDays(31);
    expect((await host.referrals.accounts.totals(commission!.userId)).creditsEarned).toBe(earned);
    expect(creditsEarned).toBe(earned.replace(/\d+/, '0').replace(/[1-9]/g, '0'));
    expect(await host.referrals.runEarnOuts()).toEqual({ bound: 1, completed: 1, failed: 0, amount: earned });
    expect(await host.referrals.credits.balance(commission!.userId)).toBe(earned);
    expect(await host.referrals.verify()).toMatchObject({ ok: true });
  });
});

describe('an amount in another currency', () => {
  test('is converted once, at the rate of the call, and what was given is kept', async () => {
    const { host, buyer } = await startIn('EUR');
    const given = { amount: '1999', currency: 'JPY', rate: '0.0061', reference: 'a' };
    const { purchase, commission } = await host.referrals.recordPurchase(buyer, given);
    expect(purchase).toMatchObject({
      ...{ amount: '12.19', refunded: '0.00', currency: 'JPY', originalAmount: '1999', originalRefunded: '0' },
      exchangeRate: '0.0061',
    });
    expect(commission).toMatchObject({ earned: '1.22' });
    // The same call returns the first result, whatever the rate is now. Another amount or currency is another purchase.
    for (const rate of ['0.0061', '0.007', 1])
      expect((await host.referrals.recordPurchase(buyer, { ...given, rate })).purchase).toEqual(purchase);
    for (const other of [
      { amount: '2000' },
      { currency: 'KRW' },
      { currency: 'EUR', rate: '1' },
      { currency: null, rate: null },
    ])
      expect(await refusalOf(host.referrals.recordPurchase(buyer, { ...given, ...other }))).toBe('REFERENCE_REUSED');
    const first = await host.referrals.recordRefund(buyer, { purchase: 'a', reference: 'r1', amount: '1' });
    expect(first.refund).toMatchObject({ amount: '0.01', currency: 'JPY', originalAmount: '1' });
    expect(await refusalOf(host.referrals.recordRefund(buyer, { purchase: 'a', reference: 'r2', amount: '0.5' }))).toBe(
      'INVALID_INPUT amount',
    );
    const { refund } = await host.referrals.recordRefund(buyer, { purchase: 'a', reference: 'r2' });
    expect(refund).toMatchObject({ amount: '12.18', currency: 'JPY', originalAmount: '1998' });
    expect((await first.commission!.refresh()).status).toBe('reverted');
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('and the price before a discount have the decimals of their currency, which the rule of fraud is told', async () => {
    const seen: unknown[] = [];
    const rule = (facts: SignupFacts | PurchaseFacts): null => {
      if (facts.about === 'purchase') seen.push([facts.amount, facts.currency]);
      return null;
    };
    const { host, buyer } = await startIn('JPY', { fraud: { rule } });
    const buy = (amount: string, given: Partial<PurchaseInput> = {}) =>
      host.referrals.recordPurchase(buyer, { amount, reference: fresh('order'), ...given });
    await buy('40.5', { price: '49.99', currency: 'EUR', rate: 160 });
    await buy('1.2', { price: '1.234', currency: 'KWD', rate: 490 });
    await buy('400', { price: 500 });
    expect(seen).toEqual([
      ['40.50', 'EUR'],
      ['1.200', 'KWD'],
      ['400', 'JPY'],
    ]);
    for (const given of [{ price: '1.5' }, { price: '1.234', currency: 'EUR', rate: 160 }])
      expect(await refusalOf(buy('1', given))).toBe('INVALID_INPUT price');
  });

  test('refunded but for a rest that is rounded away does not give a coupon back; the rest does', async () => {
    const { host } = await startIn('EUR');
    const channel = await couponOf(host, 'anna', { restoreOnRefund: true });
    const buyer = fresh('buyer');
    await host.referrals.coupons.apply(buyer, channel.code);
    const given = { amount: '1999', currency: 'JPY', rate: '0.0061', reference: 'a' };
    expect((await host.referrals.recordPurchase(buyer, given)).purchase.source).toBe('coupon');
    const refund = (amount: number) =>
      host.referrals.recordRefund(buyer, { purchase: 'a', reference: fresh('refund'), amount });
    await refund(1998);
    expect((await host.referrals.purchases.search())[0]).toMatchObject({ amount: '12.19', refunded: '12.19' });
    expect((await channel.refresh()).totalUses).toBe(1);
    await refund(1);
    expect((await channel.refresh()).totalUses).toBe(0);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test.each([
    ['that is rounded to 0', { amount: '3', rate: '0.0001' }, [1, 1], '0.00 too-small'],
    ['that is refunded but for what is rounded away', { amount: '1999', rate: '0.0061' }, [1998], '12.19 null'],
    ['of nothing', { amount: '0', rate: '0.0061' }, [], '0.00 too-small'],
  ])('%s waits for a referrer, until it is refunded as a whole', async (_what, given, refunds, decided) => {
    const { host } = await startIn('EUR');
    const buyer = fresh('buyer');
    for (const reference of ['part', 'whole'])
      await host.referrals.recordPurchase(buyer, { ...given, currency: 'JPY', reference });
    for (const amount of refunds)
      await host.referrals.recordRefund(buyer, { purchase: 'part', reference: fresh('refund'), amount });
    if (given.amount !== '0') await host.referrals.recordRefund(buyer, { purchase: 'whole', reference: 'whole' });
    await refer(host, 'anna', buyer);
    const late = await host.dataSource.getRepository(ReferralLateAttribution).find({ order: { purchase: 'ASC' } });
    const [purchase] = await host.referrals.purchases.search({ where: { reference: 'part' } });
    expect(`${purchase!.amount} ${late[0]!.noCommission}`).toBe(decided);
    expect(late.map((one) => one.purchase)).toEqual(given.amount === '0' ? ['part', 'whole'] : ['part']);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('has the rate of the option exchange, which is not asked again', async () => {
    const asked: unknown[] = [];
    const { host, buyer } = await startIn('KWD', {
      exchange: (from, to, at) => {
        asked.push([from, to, at]);
        return Promise.resolve('0.3071');
      },
    });
    const at = new Date('2026-02-01T00:00:00Z');
    const given = { amount: '99.99', currency: 'USD', reference: 'a', at };
    const { purchase } = await host.referrals.recordPurchase(buyer, given);
    expect(purchase).toMatchObject({ amount: '30.707', originalAmount: '99.99', exchangeRate: '0.3071' });
    expect((await host.referrals.recordPurchase(buyer, given)).purchase).toEqual(purchase);
    const second = { user: buyer, ...given, reference: 'b', at: null };
    expect((await host.referrals.purchases.create(second)).amount).toBe('30.707');
    expect((await host.referrals.purchases.create(second)).amount).toBe('30.707');
    await host.referrals.recordPurchase(buyer, { amount: '5', currency: 'KWD', reference: 'c' });
    expect(asked).toEqual([
      ['USD', 'KWD', at],
      ['USD', 'KWD', host.clock.time],
    ]);
    const usage = await host.referrals.recordUsage(buyer, { amount: '-0.05', currency: 'USD', reference: 'u' });
    expect(usage).toMatchObject({ amount: '-0.015', currency: 'USD', originalAmount: '-0.05', exchangeRate: '0.3071' });
    expect(await host.referrals.recordUsage(buyer, { amount: '-0.05', currency: 'USD', reference: 'u' })).toEqual(
      usage,
    );
    expect(asked).toHaveLength(3);
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test.each<[string, object]>([
    ['currency', { currency: 'yen', rate: 1 }],
    ['currency', { currency: 'jpy', rate: 1 }],
    ['currency', { currency: 'ZZZ', rate: 1 }],
    ['currency', { currency: 7, rate: 1 }],
    ['currency', { currency: 'XAU', rate: 1 }],
    ['currency', { currency: 'XXX', rate: 1 }],
    ['rate', { currency: 'JPY' }],
    ['rate', { rate: '0.5' }],
    ['rate', { currency: 'USD', rate: '0.5' }],
    ...['', '0', '0.00', '-1', '1e-3', 'NaN', NaN, {}, `0.${'1'.repeat(21)}`].map((rate): [string, object] => [
      'rate',
      { currency: 'JPY', rate },
    ]),
    ['amount', { currency: 'JPY', rate: 1, amount: '1.5' }],
    ['amount', { currency: 'KWD', rate: 1, amount: '1.0001' }],
    ['amount', { currency: 'KWD', rate: 100, amount: '9999999999999999' }],
  ])('is refused by %s: %j', async (field, given) => {
    const { host, buyer } = await refusing;
    for (const call of ['recordPurchase', 'recordUsage'] as const) {
      const refused = host.referrals[call](buyer, { amount: 1, reference: 'r', ...given });
      await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', field });
    }
    expect(await host.referrals.purchases.count()).toBe(0);
  });

  test.each(['', '0', '1,5', NaN, null, undefined, {}, '-1'])(
    'is refused at the rate %p of the option',
    async (rate) => {
      const { host, buyer } = await startIn('USD', { exchange: () => rate as string });
      const call = host.referrals.recordPurchase(buyer, { amount: 1, currency: 'JPY', reference: 'r' });
      await expect(call).rejects.toMatchObject({ code: 'INVALID_EXCHANGE', status: 500 });
    },
  );
});

describe('a currency is any of ISO 4217 that has a minor unit', () => {
  /** ISO 4217 has `N.A.` as minor unit of these. */
  const withoutMinorUnit = [
    ...['XAG', 'XAU', 'XBA', 'XBB', 'XBC', 'XBD', 'XDR', 'XPD', 'XPT', 'XSU', 'XTS', 'XUA', 'XXX'],
  ];

  test('with the decimals of ISO 4217', () => {
    const digits = Object.entries({
      ...{
        USD: 2,
        EUR: 2,
        JPY: 0,
        KRW: 0,
        VND: 0,
        ISK: 0,
        UGX: 0,
        XOF: 0,
        UYI: 0,
        KWD: 3,
        BHD: 3,
        TND: 3,
        CLF: 4,
        UYW: 4,
      },
      // `Intl` has 0 for these.
      ...{ HUF: 2, COP: 2, IDR: 2, PKR: 2, LBP: 2, ALL: 2, MGA: 2, IQD: 3 },
      // `Intl` does not know them.
      ...{ CHE: 2, CHW: 2, BOV: 2, COU: 2, MXV: 2, USN: 2, VED: 2, XAD: 2 },
      ...{ XCG: 2, ZWG: 2, SLE: 2, MRU: 2 },
      // Former currencies, of which ISO 4217 lists none.
      ...{ BGN: 2, HRK: 2, ANG: 2 },
    });
    expect(digits.map(([code]) => [code, isCurrency(code) && digitsOf(code)])).toEqual(digits);
  });

  test('and no other is refused', () => {
    // A code without a minor unit that comes with a new list has 0 decimals there, and would fail this test.
    const refused = Object.keys(currencies).filter((code) => !isCurrency(code));
    expect(refused.sort()).toEqual(withoutMinorUnit);
    const whole = Object.keys(currencies).filter((code) => isCurrency(code) && digitsOf(code) === 0);
    expect(whole.filter((code) => code.startsWith('X')).sort()).toEqual(['XAF', 'XOF', 'XPF']);
    expect(Math.max(...Object.keys(currencies).map(digitsOf))).toBe(maxDecimals);
  });

  test.each([...withoutMinorUnit, 'usd', 'US', 'USDX', '', 'ABC', 'toString', '__proto__', 840, null, {}, ['USD']])(
    'the option refuses %j, and says why',
    async (currency) => {
      const { host } = await refusing;
      const options = { dataSource: host.dataSource, baseUrl, secret, user: () => null, currency };
      expect(() => createReferrals(options as unknown as ReferralsOptions)).toThrow(
        expect.objectContaining({
          ...{ code: 'INVALID_OPTION', field: 'currency' },
          message: expect.stringMatching(
            /takes a code of ISO 4217 .* whose currency has a minor unit to round to .*XAU/,
          ),
        }),
      );
    },
  );
});

describe('formatAmount', () => {
  /** No-break spaces as spaces. Which one a locale has depends on the release of Node.js. */
  const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, ' ');

  test.each([
    ['1234.5', 'en', 'USD', '$1,234.50'],
    ['1234.5', 'de', 'EUR', '1.234,50 €'],
    ['1234567.00', 'en-IN', 'INR', '₹12,34,567.00'],
    ['1999', 'en', 'JPY', '¥1,999'],
    ['1999.00', 'en', 'JPY', '¥1,999'],
    ['33.3', 'en', 'KWD', 'KWD 33.300'],
    ['33', 'en', 'HUF', 'HUF 33.00'],
    ['1.5', 'en', 'CLF', 'CLF 1.5000'],
    ['7', 'en', 'XAD', 'XAD 7.00'],
    // An amount with more decimals than the currency is shown as it is.
    ['0.1250', 'en', 'USD', '$0.125'],
    ['0.005', 'en', 'JPY', '¥0.005'],
    // No float has these digits.
    ['9007199254740993.01', 'en', 'USD', '$9,007,199,254,740,993.01'],
    [`${'9'.repeat(99)}8.99`, 'en', 'USD', `$9${',999'.repeat(32)},998.99`],
    ['0.10000000000000000001', 'en', 'USD', '$0.10000000000000000001'],
    [12.5, 'en', 'USD', '$12.50'],
    [10n ** 21n, 'en', 'USD', `$1${',000'.repeat(7)}.00`],
    ['-5.00', 'en', 'USD', '-$5.00'],
    ['+5', 'en', 'USD', '$5.00'],
    ['-0.00', 'en', 'USD', '$0.00'],
    [-0, 'en', 'USD', '$0.00'],
    // Node.js has no data for Klingon: it is shown as English, not in the language of the machine.
    ['1234.5', 'tlh', 'USD', '$1,234.50'],
  ])('%s in %s, in %s, is %s', (amount, locale, currency, shown) => {
    expect(plain(formatAmount(amount, locale, currency))).toBe(shown);
  });

  const none = [undefined, null, '', {}, [], NaN];
  test.each<[string, unknown, unknown, unknown]>([
    ...[...none, Infinity, '1,5', '1e3', 1e21, ' 1', '1.', '.5', '0x1', `0.${'1'.repeat(21)}`, '1'.repeat(101)].map(
      (amount): [string, unknown, unknown, unknown] => ['amount', amount, 'en', 'USD'],
    ),
    ...[...none, 'de_DE', '*', 'C', 'e', ['en'], new Intl.Locale('en'), 'en\0', '\ud800'].map(
      (locale): [string, unknown, unknown, unknown] => ['locale', '1', locale, 'USD'],
    ),
    ...[...none, 'usd', 'US', 'ABC', 'XAU', 'XXX', ['USD']].map((currency): [string, unknown, unknown, unknown] => [
      ...(['currency', '1', 'en', currency] as const),
    ]),
  ])('refuses by %s: %j, %j, %j', (field, amount, locale, currency) => {
    expect(() => formatAmount(amount as string, locale as string, currency as string)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', field, status: 400 }),
    );
  });

  test('of an instance has the currency of the program', async () => {
    const { host, buyer } = await startIn('KWD');
    const given = { amount: '1999', currency: 'JPY', rate: '0.0021', reference: 'a' };
    const { purchase } = await host.referrals.recordPurchase(buyer, given);
    expect(plain(host.referrals.formatAmount(purchase.amount, 'en'))).toBe('KWD 4.198');
    expect(formatAmount(purchase.originalAmount!, 'en', purchase.currency!)).toBe('¥1,999');
    expect(() => host.referrals.formatAmount('1', '')).toThrow(expect.objectContaining({ field: 'locale' }));
    const { host: unset } = await startIn(undefined);
    expect(unset.referrals.formatAmount('0.1250', 'en')).toBe('$0.125');
  });
});

test('a purchase can be in any currency of ISO 4217, also in a former one, and is loaded with its decimals', async () => {
  const { host, buyer } = await startIn('EUR');
  for (const [currency, amount, refunded] of [
    ['CLF', '1.5000', '0.0000'],
    ['VED', '10.50', '0.00'],
    ['HUF', '400.50', '0.00'],
    ['IQD', '1500.250', '0.000'],
    ['BGN', '19.56', '0.00'],
    ['XCG', '2.10', '0.00'],
  ] as const) {
    const { purchase } = await host.referrals.recordPurchase(buyer, {
      amount,
      currency,
      rate: '0.5',
      reference: currency,
    });
    expect(await purchase.refresh()).toMatchObject({ currency, originalAmount: amount, originalRefunded: refunded });
  }
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

/** `amount × rate` in units of so many digits, rounded half up, by plain arithmetic. All are whole numbers of a power of ten. */
function converted(amount: bigint, amountDigits: number, rate: bigint, rateDigits: number, digits: number): bigint {
  const divisor = 10n ** BigInt(amountDigits + rateDigits);
  return (2n * amount * rate * 10n ** BigInt(digits) + divisor) / (2n * divisor);
}

/** A whole number of units as a decimal string. */
function decimal(units: bigint, digits: number): string {
  if (digits === 0) return String(units);
  const text = String(units).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

test('any amounts, rates and refunds in any order add up exactly, in currencies of 0, 2 and 3 digits', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000_000);
  console.log(`SEED=${seed}`);
  const random = randomOf(seed);
  const digitsOf = { JPY: 0, USD: 2, KWD: 3 } as const;
  const codes = ['JPY', 'USD', 'KWD'] as const;
  for (const code of codes) {
    const { host, buyer, referrer } = await startIn(code);
    const digits = digitsOf[code];
    let left = 0n;
    for (let n = 0; n < 25; n++) {
      const currency = codes[random(3)]!;
      const [amountDigits, rateDigits] = [digitsOf[currency], random(8)];
      const amount = BigInt(random(10 ** (1 + random(7))));
      const rate = currency === code ? 1n : BigInt(1 + random(10 ** (1 + random(6))));
      const scale = currency === code ? 0 : rateDigits;
      const inProgram = (units: bigint): bigint => converted(units, amountDigits, rate, scale, digits);
      const given = { currency, ...(currency !== code && { rate: decimal(rate, scale) }), reference: `p${n}` };
      const { purchase, commission } = await host.referrals.recordPurchase(buyer, {
        ...given,
        amount: decimal(amount, amountDigits),
      });
      expect([n, purchase.amount]).toEqual([n, decimal(inProgram(amount), digits)]);
      const earned = converted(inProgram(amount), digits, 1n, 1, digits);
      expect(commission?.earned ?? decimal(0n, digits)).toBe(decimal(earned, digits));
      let refunded = 0n;
      let sum = 0n;
      const parts = random(5);
      for (let part = 0; part < parts && refunded < amount; part++) {
        const back =
          part === parts - 1 && random(2) ? amount - refunded : 1n + (amount - refunded - 1n) / BigInt(1 + random(4));
        const refund = { purchase: `p${n}`, reference: `r${n}-${part}`, amount: decimal(back, amountDigits) };
        const made = await host.referrals.recordRefund(buyer, refund);
        refunded += back;
        expect([n, part, made.refund.amount]).toEqual([n, part, decimal(inProgram(refunded) - sum, digits)]);
        sum = inProgram(refunded);
        const whole = inProgram(amount);
        const taken = earned === 0n ? 0n : (2n * earned * sum + whole) / (2n * whole);
        expect(made.commission?.amount ?? decimal(0n, digits)).toBe(decimal(earned - taken, digits));
        expect(made.commission?.revertedAt ?? null).toEqual(
          refunded === amount && earned > 0n ? host.clock.time : null,
        );
      }
      const whole = inProgram(amount);
      left += earned === 0n ? 0n : earned - (2n * earned * sum + whole) / (2n * whole);
    }
    host.clock.advanceDays(31);
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe(decimal(left, digits));
    expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  }
});

/** Returns a function that draws whole numbers below a limit, the same ones for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** A host that writes nothing. */
const refusing = startIn('USD');
