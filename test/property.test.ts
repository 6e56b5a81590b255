import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { Referral, ReferralError, type ReferralCreditSpend, type Referrals } from '../lib';
import { closeAll, startHost, TestClock } from './support/host';
import { LedgerModel, type ModelProgram, type ModelType, type Outcome } from './support/ledger-model';

afterAll(closeAll);

/** `SEQUENCES=5000 SEED=… npx jest test/property` for more, or the same again. */
const sequences = Number(process.env['SEQUENCES'] ?? 200);
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));

const products = ['m1', 'm2'];
const amount = fc.oneof(
  fc.integer({ min: 1, max: 600_000 }),
  fc.integer({ min: 1, max: 60 }).map((n) => n * 10_000),
);
const type = fc.record<ModelType>({ isRefundable: fc.boolean(), products: fc.subarray(products) });
const side = fc.record({ amount, days: fc.integer({ min: 1, max: 30 }), type: fc.integer({ min: 0, max: 1 }) });
const program = fc.record<ModelProgram>({
  threshold: fc.oneof(fc.constant(0), amount),
  referralCredit: fc.option(side, { freq: 4 }),
  rewardCredit: fc.option(side, { freq: 4 }),
  allowedUses: fc.constantFrom(-1, -1, 0, 1, 2),
});

const users = ['referrer', 'one', 'two'];
const user = fc.constantFrom('referrer', ...users); // one of them with more credits than the others
const reference = fc.constantFrom('a', 'b', 'c', 'd');
const settled = { user, reference };
const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('signUp'), user, code: fc.integer({ min: 0, max: 1 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('grant'),
      user,
      amount,
      days: fc.nat(29),
      code: fc.integer({ min: 0, max: 1 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('use'), ...settled, amount, sign: fc.constantFrom(1, 1, -1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      ...{
        do: fc.constantFrom('spend', 'hold', 'hold'),
        ...settled,
        amount: fc.oneof(
          amount,
          fc.nat(899_999).map((n) => n + 1),
        ),
      },
      ...{ product: fc.option(fc.constantFrom(...products)), isPartial: fc.boolean() },
      endDays: fc.option(fc.integer({ min: 1, max: 8 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('capture'), ...settled, amount: fc.option(amount) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release'), ...settled }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ do: fc.constant('refund'), ...settled, amount: fc.option(amount) },
      ...{
        key: fc.option(fc.constantFrom('x', 'y')),
        extendDays: fc.option(fc.integer({ min: 1, max: 9 }), { freq: 2 }),
      },
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('adjust'), ...settled, amount, sign: fc.constantFrom(1, -1, -1) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance'), days: fc.integer({ min: 0, max: 12 }) }) },
);

/** Any command; each has the fields that it is about. */
interface Command {
  do: 'adjust' | 'signUp' | 'grant' | 'use' | 'spend' | 'hold' | 'capture' | 'release' | 'refund' | 'advance';
  user: string;
  /** Which of the programs, or types. */
  code: number;
  reference: string;
  amount: number | null;
  sign: number;
  product: string | null;
  isPartial: boolean;
  days: number;
  endDays: number | null;
  key: string | null;
  extendDays: number | null;
}

const decimal = (units: number): string => {
  const digits = String(Math.abs(units)).padStart(5, '0');
  return `${units < 0 ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`;
};
const units = (text: string): number => Math.round(Number(text) * 10_000);

const clock = new TestClock();
let runs = 0;

/** The same program and commands in the model and in the package; everything that is answered must agree. */
async function compare(
  referrals: Referrals,
  types: ModelType[],
  programs: ModelProgram[],
  commands: Command[],
): Promise<void> {
  const run = `run ${++runs}`;
  const name = (who: string): string => `${run} ${who}`;
  const model = new LedgerModel(types, programs, name('referrer'));
  const typeIds: number[] = [];
  for (const [n, { isRefundable, products: onlyForProducts }] of types.entries()) {
    const given = { name: `${run} type ${n}`, refundable: isRefundable, onlyForProducts };
    typeIds.push((await referrals.creditTypes.create(given)).id);
  }
  const credit = (of: ModelProgram['referralCredit']) =>
    of && { amount: decimal(of.amount), durationDays: of.days, type: typeIds[of.type]! };
  const codes: string[] = [];
  for (const [n, { threshold, referralCredit, rewardCredit, allowedUses }] of programs.entries()) {
    const made = await referrals.programs.create({
      ...{ name: `${run} program ${n}`, beforeRewardUsageThreshold: decimal(threshold) },
      ...{ referralCredit: credit(referralCredit), rewardCredit: credit(rewardCredit) },
    });
    const label = `program ${n}`;
    const referral = await Referral.create({
      ...{ user: name('referrer'), redirectTo: '/', label, program: made, allowedUses },
    });
    codes.push(referral.code);
  }

  const shown = ({ covered, captured, refunded }: ReferralCreditSpend): Outcome =>
    JSON.stringify([covered, captured, refunded].map((value) => (value === null ? null : units(value))));
  const real = async (one: Command): Promise<Outcome> => {
    const { reference, product, isPartial: partial } = one;
    const who = name(one.user);
    const given = typeof one.amount === 'number' ? decimal(one.amount) : null;
    switch (one.do) {
      case 'advance':
        clock.advanceDays(one.days);
        return 'ok';
      case 'signUp': {
        const signup = await Referral.recordSignup(null, who, { code: codes[one.code]! });
        return signup ? 'signed up' : (await referrals.explainSignup(who)).reason;
      }
      case 'grant': {
        const grant = { user: who, creditType: typeIds[one.code]!, initialBalance: given!, durationDays: one.days + 1 };
        await referrals.credits.create(grant);
        return 'ok';
      }
      case 'adjust': {
        const adjustment = { amount: decimal(one.amount! * one.sign), reference, reason: 'a correction' };
        await referrals.credits.adjust(who, adjustment);
        return 'ok';
      }
      case 'use':
        await referrals.recordUsage(who, { amount: decimal(one.amount! * one.sign), reference });
        return 'ok';
      case 'spend':
      case 'hold': {
        const input = { amount: given!, reference, partial, ...(product && { product }) };
        if (one.do === 'spend') return shown(await referrals.credits.spend(who, input));
        const expiresAt = one.endDays === null ? null : new Date(clock.time.getTime() + one.endDays * 86_400_000);
        return shown(await referrals.credits.hold(who, { ...input, expiresAt }));
      }
      case 'capture':
        return shown(await referrals.credits.capture({ user: who, reference, ...(given && { amount: given }) }));
      case 'release':
        return shown(await referrals.credits.release({ user: who, reference }));
      case 'refund': {
        const { key: refundReference, extendDays } = one;
        const refund = { user: who, reference, amount: given, refundReference, extendDays };
        const refunded = await referrals.credits.refund(refund);
        return JSON.stringify([...(JSON.parse(shown(refunded)) as number[]), units(refunded.expired ?? '0')]);
      }
    }
  };
  const expected = (one: Command): Outcome => {
    const { reference, amount, product, isPartial, endDays } = one;
    const who = name(one.user);
    switch (one.do) {
      case 'advance':
        return model.advance(one.days);
      case 'signUp':
        return model.signUp(who, one.code);
      case 'grant':
        return model.give(who, { amount: amount!, days: one.days + 1, type: one.code });
      case 'adjust':
        return model.adjust(who, reference, amount! * one.sign);
      case 'use':
        return model.use(who, reference, amount! * one.sign);
      case 'spend':
      case 'hold':
        return model.spend(one.do, who, reference, { amount: amount!, product, isPartial, endDays });
      case 'capture':
        return model.capture(who, reference, amount);
      case 'release':
        return model.release(who, reference);
      case 'refund':
        return model.refund(who, reference, one);
    }
  };

  model.now = clock.time.getTime();
  for (const [n, one] of commands.entries()) {
    const wanted = expected(one);
    const got = await real(one).catch((error: unknown) => {
      if (error instanceof ReferralError) return error.code;
      throw error;
    });
    if (got !== wanted) throw new Error(`command ${n} answered ${got}, not ${wanted}`);
  }
  for (const who of users.map(name)) {
    for (const product of [null, ...products]) {
      const balance = await referrals.credits.balance(who, product === null ? {} : { product });
      expect([who, product, units(balance)]).toEqual([who, product, model.balance(who, product)]);
    }
  }
  expect((await referrals.verify()).problems).toEqual([]);
  // Holds that have ended are written down by the next call about the user.
  for (const who of users.map(name))
    await referrals.credits.spend(who, { amount: '9999999999', reference: 'the end' }).catch(() => undefined);
  const owners = await referrals.credits.search({
    where: users.map((who) => ({ userId: name(who) })),
    take: 10_000,
  });
  const balances = owners.map(({ userId, initialBalance, currentBalance }) => [
    userId,
    units(initialBalance),
    units(currentBalance),
  ]);
  expect(balances).toEqual(model.credits.map(({ owner, initial, balance }) => [owner, initial, balance]));
  expect((await referrals.verify()).problems).toEqual([]);
}

test(`${sequences} random sequences do what plain arithmetic says, and add up`, async () => {
  console.log(`SEED=${seed} SEQUENCES=${sequences}`);
  const { referrals } = await startHost({ clock: clock.read });
  const property = fc.asyncProperty(
    fc.tuple(type, type),
    fc.tuple(program, program),
    fc.array(command, { minLength: 10, maxLength: 50, size: 'max' }),
    (types, programs, commands) => compare(referrals, types, programs, commands as unknown as Command[]),
  );
  await fc.assert(property, { seed, numRuns: sequences });
}, 3_600_000);
