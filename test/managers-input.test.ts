import type { WithManager } from '../lib';
import { everyRow } from './support/earnings';
import { closeAll, type Host, Product, startHost } from './support/host';

afterAll(closeAll);

let host: Host;
let type: number;
let program: number;
let code: number;
let ownCode: number;
let credit: number;

beforeAll(async () => {
  host = await startHost();
  const { creditTypes, programs, referralCodes, credits, signups } = host.referrals;
  ({ id: type } = await creditTypes.create({ name: 'type' }));
  const terms = { amount: '5', durationDays: 30, type };
  ({ id: program } = await programs.create({ name: 'program', referralCredit: terms, rewardCredit: terms }));
  ({ id: code } = await referralCodes.create({ code: 'code', user: 'anna', program }));
  ({ id: ownCode } = await referralCodes.create({
    ...{ code: 'own', user: 'bob', referralCreditAmount: 1, referralCreditDuration: 2, referralCreditType: type },
    ...{ rewardCreditAmount: 1, rewardCreditDuration: 2, rewardCreditType: type },
  }));
  ({ id: credit } = await credits.create({ user: 'c', creditType: type, initialBalance: '100', durationDays: 9 }));
  await signups.create({ user: 'referee', code: 'code' });
});

/** Refused by name, with what it takes and got; nothing is written; the host's transaction goes on and commits. */
async function expectRefused(field: string, call: (options: WithManager) => Promise<unknown>): Promise<void> {
  const escaped = field.replace(/[[\].]/g, '\\$&');
  const refusal = {
    ...{ name: 'ReferralError', code: 'INVALID_INPUT', status: 400, field },
    message: expect.stringMatching(
      new RegExp(`^(${escaped} takes .+, but got .+|.+ has no field "${escaped}"\\. It knows .+)\\.$`, 's'),
    ),
  };
  const before = await everyRow(host);
  await expect(call({})).rejects.toMatchObject(refusal);
  const { id } = await host.dataSource.transaction(async (manager) => {
    await expect(call({ manager })).rejects.toMatchObject(refusal);
    return manager.save(Object.assign(new Product(), { name: 'still usable' }));
  });
  expect(await host.dataSource.getRepository(Product).countBy({ id })).toBe(1);
  expect(await everyRow(host)).toEqual(before);
}

type Call = (input: never, options: WithManager) => Promise<unknown>;
const side = { durationDays: 30 };
let serial = 0;
/** A name of its own, so that only the amount decides. */
const fresh = (): string => `n${++serial}`;

/** Every place that takes an amount: the field, whether it takes 0 and less, and the call. */
const places: [what: string, field: string, sign: 'positive' | 'not negative' | 'not zero', call: Call][] = [
  ['programs.create', 'referralCredit.amount', 'positive', (amount, options) =>
    host.referrals.programs.create({ name: fresh(), referralCredit: { ...side, type, amount } }, options)],
  ['programs.create', 'rewardCredit.amount', 'positive', (amount, options) =>
    host.referrals.programs.create({ name: fresh(), rewardCredit: { ...side, type, amount } }, options)],
  ['programs.create', 'beforeRewardUsageThreshold', 'not negative', (beforeRewardUsageThreshold, options) =>
    host.referrals.programs.create({ name: fresh(), beforeRewardUsageThreshold }, options)],
  ['programs.update', 'rewardCredit.amount', 'positive', (amount, options) =>
    host.referrals.programs.update(program, { rewardCredit: { type, amount } }, options)],
  ['programs.update', 'beforeRewardUsageThreshold', 'not negative', (beforeRewardUsageThreshold, options) =>
    host.referrals.programs.update(program, { beforeRewardUsageThreshold }, options)],
  ['referralCodes.create', 'referralCreditAmount', 'positive', (referralCreditAmount, options) =>
    host.referrals.referralCodes.create(
      { code: fresh(), user: fresh(), referralCreditAmount, referralCreditDuration: 1, referralCreditType: type },
      options,
    )],
  ['referralCodes.create', 'beforeRewardUsageThreshold', 'not negative', (beforeRewardUsageThreshold, options) =>
    host.referrals.referralCodes.create({ code: fresh(), user: fresh(), beforeRewardUsageThreshold }, options)],
  ['referralCodes.update', 'rewardCreditAmount', 'positive', (rewardCreditAmount, options) =>
    host.referrals.referralCodes.update(ownCode, { rewardCreditAmount, rewardCreditDuration: 3 }, options)],
  ['credits.create', 'initialBalance', 'positive', (initialBalance, options) =>
    host.referrals.credits.create({ user: 'c', creditType: type, durationDays: 1, initialBalance }, options)],
  ['creditTransactions.create', 'value', 'not zero', (value, options) =>
    host.referrals.creditTransactions.create({ credit, value }, options)],
]; // prettier-ignore

describe.each(places)('%s: %s, an amount', (_what, field, sign, call) => {
  const never: unknown[] = [
    ...[NaN, Infinity, -Infinity, 1e16, 1e21, 1e-5, 1e-7, 0.1 + 0.2, 1.00001, Number.MAX_VALUE, Number.MIN_VALUE],
    ...['', ' ', ' 1', '1 ', '1\n', '1,5', '1.', '.5', '1e5', '0x10', '--1', '+-1', '1.2.3', 'NaN', 'Infinity', '１'],
    ...['1.00001', '12345678901234567', '0'.repeat(17), '1\u0000', '\ud800', "1'); DROP TABLE referrals; --"],
    ...[null, true, 10n ** 200n, [], ['5'], {}, new Date(0), Object(5), Object('5'), Symbol('5'), () => 5],
  ];
  test('refuses what is none, or beyond numeric(20,4)', async () => {
    for (const amount of never) await expectRefused(field, (options) => call(amount as never, options));
  });

  const signed = { 'positive': [0, -0, '0', '0.0000', '-1', -0.0001], 'not negative': ['-0.0001', -1], 'not zero': [0, '-0.00'] }; // prettier-ignore
  test(`refuses what is ${{ 'positive': 'not above 0', 'not negative': 'below 0', 'not zero': '0' }[sign]}`, async () => {
    for (const amount of signed[sign]) await expectRefused(field, (options) => call(amount as never, options));
  });

  test('takes the smallest and the largest, kept to the digit', async () => {
    const name = { 'referralCredit.amount': 'referralCreditAmount', 'rewardCredit.amount': 'rewardCreditAmount' }[
      field
    ];
    for (const [amount, shown] of [
      ...[
        ['0.0001', '0.0001'],
        ['9999999999999899.9999', '9999999999999899.9999'],
        [0.1, '0.10'],
        ['+7', '7.00'],
      ],
      ...[
        ['007.10', '7.10'],
        [12.5, '12.50'],
        [1e15, '1000000000000000.00'],
        ['1.2340', '1.234'],
        [1e-4, '0.0001'],
      ],
    ] as [never, string][]) {
      const kept = await host.dataSource.transaction(async (manager) => {
        const record = (await call(amount, { manager })) as Record<string, unknown>;
        await manager.query('ROLLBACK');
        await manager.query('BEGIN');
        return record[name ?? field];
      });
      expect(kept).toBe(shown);
    }
  });

  // Such an object can't be turned into text.
  test('refuses what JSON can make of an object', async () => {
    await expectRefused(field, (options) => call(JSON.parse('{"toString":1}') as never, options));
  });
});

const day = 86_400_000;
const date = new Date('2026-05-01T00:00:00Z');
const wrong: [call: string, field: string, (options: WithManager) => Promise<unknown>][] = [];
/** Adds a refusal for each input. */
function refuses(what: string, call: Call, inputs: [field: string, input: object][]): void {
  for (const [field, input] of inputs) wrong.push([what, field, (options) => call(input as never, options)]);
}
refuses('creditTypes.create', (input: object, options) => host.referrals.creditTypes.create({ name: 'new', ...input }, options), [
  ['name', { name: undefined }],
  ['name', { name: '' }],
  ['name', { name: 'x'.repeat(101) }],
  ['name', { name: 'a\u0000' }],
  ['name', { name: 7 }],
  ['product', { product: '' }],
  ['product', { product: 'x'.repeat(101) }],
  ['refundable', { refundable: 'yes' }],
  ['refundable', { refundable: 1 }],
  ['onlyForProducts', { onlyForProducts: 'tea' }],
  ['onlyForProducts', { onlyForProducts: new Set(['tea']) }],
  ['onlyForProducts[1]', { onlyForProducts: ['tea', ''] }],
  ['onlyForProducts[0]', { onlyForProducts: [null] }],
  ['onlyForProductCategories[0]', { onlyForProductCategories: ['\u0000'] }],
  ['onlyForProductCategories', { onlyForProducts: ['tea'], onlyForProductCategories: ['drinks'] }],
  ['credits', { credits: [] }],
]); // prettier-ignore
refuses('programs.create', (input: object, options) => host.referrals.programs.create({ name: 'new', ...input }, options), [
  ['name', { name: null }],
  ['name', { name: 'x'.repeat(101) }],
  ['referralCredit', { referralCredit: 5 }],
  ['referralCredit', { referralCredit: [] }],
  ['days', { referralCredit: { days: 5 } }],
  ['referralCredit.amount', { referralCredit: { durationDays: 1, type: 1 } }],
  ['referralCredit.durationDays', { referralCredit: { amount: 1, type: 1 } }],
  ['referralCredit.type', { referralCredit: { amount: 1, durationDays: 1 } }],
  ['rewardCredit.type', { rewardCredit: { amount: 1, durationDays: 1, type: 900_000 } }],
  ['rewardCredit.type', { rewardCredit: { amount: 1, durationDays: 1, type: '1' } }],
  ['rewardCredit.type', { rewardCredit: { amount: 1, durationDays: 1, type: { id: -1 } } }],
  ...[0, -1, 1.5, '30', NaN, 36_501].map((durationDays): [string, object] => [
    'rewardCredit.durationDays',
    { rewardCredit: { amount: 1, durationDays, type: 1 } },
  ]),
  ['rewardCreditAmount', { rewardCreditAmount: 1 }],
]); // prettier-ignore
const ownTerms = { referralCreditAmount: 1, referralCreditDuration: 1, referralCreditType: 1 };
refuses('referralCodes.create', (input: object, options) => host.referrals.referralCodes.create({ code: 'new', ...input }, options), [
  ['code', { code: 'a b' }],
  ['code', { code: null }],
  ['user', { user: '' }],
  ['label', { label: '\u0000' }],
  ['redirectTo', { redirectTo: 'https://elsewhere.example' }],
  ['expiredAt', { expiredAt: '2026-01-01' }],
  ['program', { program: 900_000 }],
  ['program', { program: 'program' }],
  ['program', { program: 0 }],
  ['program', { program: 1, ...ownTerms }],
  ['program', { program: 1, beforeRewardUsageThreshold: 0 }],
  ['allowedUses', { allowedUses: -2 }],
  ['allowedUses', { allowedUses: 1.5 }],
  ['allowedUses', { allowedUses: 2 ** 31 }],
  ['referralCreditDuration', { ...ownTerms, referralCreditDuration: 0 }],
  ['referralCreditDuration', { ...ownTerms, referralCreditDuration: null }],
  ['referralCreditType', { ...ownTerms, referralCreditType: 900_000 }],
  ['rewardCreditAmount', { rewardCreditType: 1 }],
  ['rewardCreditDuration', { rewardCreditAmount: 1 }],
  ['rewardCredit', { rewardCredit: { amount: 1 } }],
  ['uses', { uses: 1 }],
  ['name', { name: 'new' }],
]); // prettier-ignore
refuses('referralCodes.update', (input, options) => host.referrals.referralCodes.update(code, input, options), [
  ['code', { code: '' }],
  ['code', { code: null }],
  ['label', { label: null }],
  ['redirectTo', { redirectTo: 'javascript:alert(1)' }],
  ['expiredAt', { expiredAt: new Date(NaN) }],
  ['program', { program: 900_000 }],
  ['program', { program: 1, rewardCreditAmount: 1 }],
  ['program', { program: null, rewardCreditAmount: 1 }],
  ['allowedUses', { allowedUses: 0 }], // somebody has signed up
  ['allowedUses', { allowedUses: null }],
  ['user', { user: 'eve' }],
  ['uses', { uses: 0 }],
]); // prettier-ignore
refuses('credits.create', (input: object, options) => host.referrals.credits.create({ user: 'c', creditType: 1, initialBalance: 1, durationDays: 1, ...input }, options), [
  ['user', { user: undefined }],
  ['user', { user: '' }],
  ['user.id', { user: {} }],
  ['creditType', { creditType: undefined }],
  ['creditType', { creditType: 900_000 }],
  ['creditType', { creditType: 'type' }],
  ['durationDays', { durationDays: 0 }],
  ['durationDays', { durationDays: 36_501 }],
  ['expiryDate', { durationDays: undefined }],
  ['expiryDate', { expiryDate: new Date(Date.now() + day) }],
  ['expiryDate', { durationDays: undefined, expiryDate: 'tomorrow' }],
  ['expiryDate', { durationDays: undefined, expiryDate: new Date(Date.now() - day) }],
  ['expiryDate', { durationDays: undefined, startDate: date, expiryDate: date }],
  ['startDate', { startDate: new Date(NaN) }],
  ['name', { name: '' }],
  ['name', { name: 'x'.repeat(301) }],
  ['voucherCode', { voucherCode: 'x'.repeat(101) }],
  ['reference', { reference: '' }],
  ['reference', { reference: 'x'.repeat(256) }],
  ['reference', { reference: 'a\u0000' }],
  ['currentBalance', { currentBalance: 7 }],
  ['kind', { kind: 'reward' }],
]); // prettier-ignore
refuses('credits.update', (input, options) => host.referrals.credits.update(credit, input, options), [
  ['name', { name: null }],
  ['expiryDate', { expiryDate: null }],
  ['expiryDate', { expiryDate: new Date(0) }],
  ['voucherCode', { voucherCode: '' }],
  ['initialBalance', { initialBalance: 1 }],
  ['currentBalance', { currentBalance: 1 }],
  ['creditType', { creditType: 1 }],
  ['user', { user: 'eve' }],
]); // prettier-ignore
refuses('creditTransactions.create', (input: object, options) => host.referrals.creditTransactions.create({ credit, value: 1, ...input }, options), [
  ['credit', { credit: undefined }],
  ['credit', { credit: 900_000 }],
  ['credit', { credit: '1' }],
  ['value', { value: '-100.0001' }],
  ['value', { value: '9999999999999999' }], // too much for the balance
  ['description', { description: 'x'.repeat(501) }],
  ['description', { description: 7 }],
  ['reference', { reference: '' }],
  ['kind', { kind: 'spend' }],
  ['user', { user: 'c' }],
]); // prettier-ignore
refuses('signups.create', (input: object, options) => host.referrals.signups.create({ user: 'new', code: 'code', ...input }, options), [
  ['user', { user: null }],
  ['user', { user: 1.5 }],
  ['code', { code: '' }],
  ['code', { code: null }],
  ['referralId', { referralId: 1 }],
]); // prettier-ignore

test.each(wrong)('%s refuses a wrong %s', async (_what, field, call) => {
  await expectRefused(field, call);
});

// Only null is none.
test.each([0, '', false, NaN])('referralCodes.update refuses the program %p', async (no) => {
  await expectRefused('program', (options) => host.referrals.referralCodes.update(code, { program: no as never }, options)); // prettier-ignore
});

// PostgreSQL has no dates before 4713 BC.
test.each<[string, (no: Date, options: WithManager) => Promise<unknown>]>([
  ['startDate', (startDate, options) => host.referrals.credits.create({ user: 'c', creditType: type, initialBalance: 1, durationDays: 1, startDate }, options)],
  ['expiredAt', (expiredAt, options) => host.referrals.referralCodes.update(code, { expiredAt }, options)],
])('a %s before all time is refused', async (field, call) => {
  await expectRefused(field, (options) => call(new Date(-8.64e15), options));
}); // prettier-ignore

// UTF-8 has no half of a surrogate pair: written as U+FFFD, two different texts would become one.
test.each<[string, (half: string, options: WithManager) => Promise<unknown>]>([
  ['name', (name, options) => host.referrals.creditTypes.create({ name }, options)],
  ['product', (product, options) => host.referrals.creditTypes.create({ name: fresh(), product }, options)],
  ['reference', (reference, options) => host.referrals.credits.create({ user: 'c', creditType: type, initialBalance: 1, durationDays: 1, reference }, options)],
  ['user', (user, options) => host.referrals.credits.create({ user, creditType: type, initialBalance: 1, durationDays: 1 }, options)],
])('half a surrogate pair as %s is refused, or kept', async (field, call) => {
  await expectRefused(field, (options) => call('a\ud800', options));
}); // prettier-ignore

// Terms that are all undefined were meant to be something.
test.each([{}, { amount: undefined, durationDays: undefined, type: undefined }])(
  'programs.create refuses a credit without anything: %p',
  async (nothing) => {
    await expectRefused('referralCredit', (options) =>
      host.referrals.programs.create({ name: fresh(), referralCredit: nothing as never }, options),
    );
  },
);

test('after all that, everything adds up', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
