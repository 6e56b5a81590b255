import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import {
  createReferrals,
  entities,
  type Payout,
  PayoutRefused,
  Referral,
  type ReferralEarnOut,
  ReferralError,
  type Referrals,
} from '../lib';
import {
  type Approval,
  type EarnOut,
  EarningsModel,
  type Manner,
  type Mode,
  type ModelChannel,
  type ModelCode,
  type ModelOptions,
  type ModelTerms,
  type Outcome,
  type Report,
} from './support/earnings-model';
import { baseUrl, closeAll, openDataSource, patient, secret, TestClock } from './support/host';

afterAll(closeAll);

/** `SEQUENCES=5000 SEED=… npx jest test/property-earnings` for more, or the same again. */
const sequences = Number(process.env['SEQUENCES'] ?? (process.env['CI'] ? 300 : 60));
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));

const dayMs = 86_400_000;

// Shares and amounts in 1/10,000: round ones, where limits and halves of cents are met, and any others.
const ratio = fc.oneof(fc.constantFrom(0, 500, 1000, 2500, 5000, 10_000), fc.integer({ min: 0, max: 10_000 }));
const amount = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 40 }).map((n) => n * 10_000) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4000 }).map((n) => n * 100) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 400_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 }) },
);
const positive = amount.map((n) => n || 1);
const max = fc.option(fc.oneof(fc.constantFrom(100_000, 50_000, 123_456), positive), { freq: 2 });
const terms = fc.record<ModelTerms>({ ratio, max });
const options = fc.record<ModelOptions>({
  digits: fc.constantFrom(2, 2, 0, 3),
  ...{ ratio, max, pendingDays: fc.nat(8), everyDays: fc.integer({ min: 1, max: 7 }) },
  minimum: fc.constantFrom(1, 100, 100, 10_000, 50_000),
});
const channel = fc.record<ModelChannel>({
  ...{ isActive: fc.constantFrom(true, true, true, false), isRecurring: fc.boolean() },
  ...{ initialRate: ratio, ongoingRate: ratio, initialDays: fc.nat(15), max },
  endDays: fc.option(fc.integer({ min: 1, max: 40 })),
});
const codes = fc.tuple(fc.option(terms), channel, channel).map(([given, ofOtto, ofAnna]): ModelCode[] => [
  { owner: 'anna', channel: null, terms: given },
  { owner: 'otto', channel: ofOtto, terms: null },
  { owner: 'anna', channel: ofAnna, terms: null },
]);

const users = ['anna', 'ben', 'carl', 'otto'];
const user = fc.constantFrom('ben', 'ben', 'ben', 'carl', 'carl', 'carl', 'anna');
const code = fc.nat(2);
const coupon = fc.constantFrom(1, 2);
const meeting = fc.oneof(
  fc.record({ do: fc.constantFrom('signUp', 'click'), user, code }),
  fc.record({ do: fc.constant('apply'), user, code: coupon }),
);
const setting = fc.record({
  ...{ do: fc.constant('set'), user: fc.constantFrom('anna', 'otto') },
  settings: fc.constantFrom(
    ['payout', 'one@bank.example'],
    ['payout', 'one@bank.example'],
    ['payout', 'two@bank.example'],
    ['credits'],
    ['credits', null],
  ),
});
const manner = fc.constantFrom<Manner>('pays', 'pays', 'pays', 'refuses', 'refuses', 'pays, then throws', 'throws');
// The waits of payouts are minutes and hours, between runs that are days apart.
const wait = fc.constantFrom(0, 1 / 1440, 5 / 1440, 1 / 24, 0.25, 1, 3);
const days = fc.nat(32).map((quarters) => quarters / 4);
const isAgain = fc.nat(7).map((n) => n === 0);
const command = fc.oneof(
  { weight: 3, arbitrary: meeting },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('takeOff'), user }) },
  {
    weight: 10,
    arbitrary: fc.record({
      ...{ do: fc.constant('purchase'), user, amount, isAgain, pick: fc.nat(1000) },
      days: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(12) }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ do: fc.constant('refund'), isAgain, pick: fc.nat(1000), amount: fc.option(positive, { freq: 1 }) },
      share: fc.option(fc.integer({ min: 1, max: 100 }), { freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: setting },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('channel'), code: coupon, channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('terms'), terms: fc.option(terms) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance'), days }) },
  {
    weight: 8,
    arbitrary: fc.record({
      ...{ do: fc.constant('earnOut'), days: fc.oneof(days, wait) },
      manners: fc.record({ anna: manner, otto: manner }),
      approval: fc.constantFrom<Approval>('none', 'none', 'none', 'new-accounts', 'all'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: fc.constant('settle'), pick: fc.nat(1000) },
      report: fc.constantFrom('completed', 'failed', 'returned'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry'), pick: fc.nat(1000) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('hold', 'release', 'release', 'reject', 'undo', 'undo', 'approve', 'approve'),
      pick: fc.nat(1000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: fc.constant('adjust'), user: fc.constantFrom('anna', 'otto'), pick: fc.nat(1000) },
      amount: fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.boolean()).map(([n, isBonus]) => (isBonus ? n : -n) * 100),
      mode: fc.constantFrom<(Mode | null)[]>(null, null, 'credits', 'payout'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('spend'), user: fc.constantFrom('anna', 'otto'), amount: positive }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('reconcile'), user: fc.constantFrom('anna', 'otto'), amount: positive }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('totals'), user: fc.constantFrom(...users) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...{ do: fc.constant('merge'), user: fc.constantFrom(...users), into: fc.constantFrom(...users) },
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...{
        do: fc.constant('reassign'),
        user,
        code: fc.constantFrom(0, 1, 2, -1),
        past: fc.constantFrom('keep', 'move'),
      },
    }),
  },
);

/** Any command; each has the fields that it is about. */
interface Command {
  do:
    | 'signUp'
    | 'click'
    | 'apply'
    | 'takeOff'
    | 'purchase'
    | 'refund'
    | 'set'
    | 'channel'
    | 'terms'
    | 'advance'
    | 'earnOut'
    | 'settle'
    | 'retry'
    | 'hold'
    | 'release'
    | 'reject'
    | 'undo'
    | 'approve'
    | 'adjust'
    | 'spend'
    | 'reconcile'
    | 'totals'
    | 'reassign'
    | 'merge';
  user: string;
  /** For a merge: the user who stays. */
  into: string;
  code: number;
  amount: number | null;
  /** For a refund: the percentage of the purchase, instead of an amount. */
  share: number | null;
  /**
   * Whether the call repeats an earlier reference, with this amount or the earlier one. `pick` selects it, or the
   * purchase to refund.
   */
  isAgain: boolean;
  pick: number;
  reference: string;
  purchase: string;
  /** How many days the clock advances, or how long ago the payment was. */
  days: number;
  /** The mode, and the address for payouts; without one, it stays unchanged. */
  settings: [mode: Mode, email?: string | null];
  channel: ModelChannel;
  terms: ModelTerms | null;
  /** The mode of an adjustment; null for that of the account. */
  mode: Mode | null;
  manners: Record<string, Manner>;
  approval: Approval;
  report: Report;
  past: 'keep' | 'move';
}

const decimal = (units: number): string => (units / 10_000).toFixed(4);
const units = (text: string): number => Math.round(Number(text) * 10_000);

/** The currencies of a program, by their decimals. One that is not named takes all decimals, and has 2. */
const currencies: Record<number, string | undefined> = { 0: 'JPY', 3: 'KWD' };

/** Amounts as the currency of a program can have them; nothing else is accepted. */
function fitted<T>(value: T, { digits }: ModelOptions): T {
  const unit = 10 ** (4 - digits);
  const fit = (n: number, min: number): number => Math.max(Math.round(n / unit) * unit, n === 0 ? 0 : min);
  if (currencies[digits] === undefined) return value;
  const amounts = { amount: unit, max: unit, minimum: unit };
  return JSON.parse(JSON.stringify(value), (key, found: unknown) => {
    if (typeof found !== 'number' || !(key in amounts)) return found;
    return found < 0 ? -fit(-found, unit) : fit(found, unit);
  }) as T;
}

const clock = new TestClock();
let dataSource: Awaited<ReturnType<typeof openDataSource>>;

beforeAll(async () => {
  dataSource = await openDataSource();
});

/** A payout as the provider of payments saw it. */
type Paid = [owner: string, amount: number, key: string];

/** The package in the place of the model: the same calls with the same answers. */
class Shop {
  /** What the provider does when it is asked to pay a user. */
  manners: Readonly<Record<string, Manner>> = {};
  /** What it has paid, by key. */
  readonly paid = new Map<string, Paid>();
  /** The codes of the errors that the host was told. */
  readonly told: string[] = [];
  readonly referrals: Referrals;
  readonly #ids: number[] = [];
  readonly #codes: string[] = [];
  readonly #start = clock.time;
  #spends = 0;

  constructor({ ratio, max, pendingDays, everyDays, minimum, digits }: ModelOptions) {
    const payout: Payout = ({ userId, amount, idempotencyKey: key }) => {
      const manner = this.manners[userId] ?? 'pays';
      if (manner === 'refuses' && !this.paid.has(key)) throw new PayoutRefused('declined');
      if (manner !== 'throws') this.paid.set(key, [userId, units(amount), key]);
      if (manner !== 'pays' && manner !== 'refuses') throw new Error(manner);
    };
    const currency = currencies[digits];
    this.referrals = createReferrals({
      ...(currency === undefined ? {} : { currency }),
      ...{ dataSource, baseUrl, secret, user: () => null, clock: clock.read, ...patient() },
      commission: { ratio: decimal(ratio), pendingDays, ...(max !== null && { maxPerReferee: decimal(max) }) },
      earnOuts: { every: { days: everyDays }, minimum: decimal(minimum), addressHoldDays: 0, payout },
      onError: (error) => this.told.push((error as ReferralError).code),
    });
  }

  /** The first code is of a referral with a program, the others are of channels. */
  async open(codes: readonly ModelCode[]): Promise<void> {
    const { programs, channels } = this.referrals;
    for (const [n, { owner, channel, terms }] of codes.entries()) {
      if (channel) {
        const promo = { promoType: 'percent_off', promoValue: '0.1' } as const;
        const made = await channels.create({ user: owner, code: `code-${n}`, ...promo, ...this.#channelOf(channel) });
        this.#ids.push(made.id);
        this.#codes.push(made.code);
      } else {
        const program = await programs.create({ name: 'program', commission: this.#termsOf(terms) });
        const referral = await Referral.create({ user: owner, redirectTo: '/', program });
        this.#ids.push(program.id);
        this.#codes.push(referral.code);
      }
    }
  }

  async do(one: Command): Promise<Outcome> {
    const { referrals } = this;
    const { user, code, reference } = one;
    const amount = typeof one.amount === 'number' ? decimal(one.amount) : null;
    switch (one.do) {
      case 'signUp': {
        const signup = await Referral.recordSignup(null, user, { code: this.#codes[code]! });
        return signup ? 'signed up' : (await referrals.explainSignup(user)).reason;
      }
      case 'click':
        await dataSource.query(
          `INSERT INTO ${tableOf('ReferralResponse')} (referral_id, user_id, action, touched_at)
           SELECT id, $2, 'RESPONDED', $3 FROM ${tableOf('Referral')} WHERE code = $1`,
          [this.#codes[code], user, clock.time],
        );
        return 'ok';
      case 'apply':
        await referrals.coupons.apply(user, this.#codes[code]!);
        return 'ok';
      case 'takeOff':
        await referrals.coupons.remove(user);
        return 'ok';
      case 'purchase': {
        const at = new Date(clock.time.getTime() - one.days * dayMs);
        const { purchase, commission } = await referrals.recordPurchase(user, { amount: amount!, reference, at });
        const { source, referrerId, mode, noCommission } = purchase;
        const earned = commission && [units(commission.earned), units(commission.amount)];
        return JSON.stringify([source, referrerId, mode, noCommission, earned]);
      }
      case 'refund': {
        const given = { purchase: one.purchase, reference, amount };
        const { refund, commission } = await referrals.recordRefund(user, given);
        return JSON.stringify([units(refund.amount), commission && units(commission.amount)]);
      }
      case 'set': {
        const [mode, payoutEmail] = one.settings;
        const { id } = await referrals.accounts.of(user);
        await referrals.accounts.update(id, { mode, ...(payoutEmail !== undefined && { payoutEmail }) });
        return 'ok';
      }
      case 'channel':
        await referrals.channels.update(this.#ids[code]!, this.#channelOf(one.channel));
        return 'ok';
      case 'terms':
        await referrals.programs.update(this.#ids[0]!, { commission: this.#termsOf(one.terms) });
        return 'ok';
      case 'advance':
        clock.advanceDays(one.days);
        return 'ok';
      case 'earnOut': {
        clock.advanceDays(one.days);
        this.manners = one.manners;
        const { bound, completed, failed, amount: sum } = await referrals.runEarnOuts({ approve: one.approval });
        return JSON.stringify([bound, completed, failed, units(sum)]);
      }
      case 'settle': {
        const earnOut = picked(await earnOutsOf(referrals), one.pick);
        if (!earnOut) return 'NOT_FOUND';
        return (await referrals.earnOuts.settle({ key: earnOut.idempotencyKey, status: one.report })).status;
      }
      case 'retry': {
        const earnOut = picked(await earnOutsOf(referrals), one.pick);
        return earnOut ? (await referrals.earnOuts.retry(earnOut)).status : 'NOT_FOUND';
      }
      case 'approve': {
        const earnOut = picked(await earnOutsOf(referrals), one.pick);
        return earnOut ? (await referrals.earnOuts.approve(earnOut)).status : 'NOT_FOUND';
      }
      case 'hold':
      case 'release':
      case 'reject': {
        const commission = picked(await referrals.commissions.search({ take: 10_000 }), one.pick);
        if (!commission) return 'NOT_FOUND';
        return (await referrals.commissions[one.do](commission.id, { reason: 'looks wrong' })).status;
      }
      case 'undo': {
        const { refund, commission } = await referrals.undoRefund(user, { reference });
        return JSON.stringify([units(refund.amount), commission && units(commission.amount)]);
      }
      case 'adjust': {
        const given = { amount: amount!, reference, mode: one.mode, reason: 'agreed' };
        const adjustment = await referrals.commissions.adjust(user, given);
        return JSON.stringify([units(adjustment.amount), adjustment.mode]);
      }
      case 'spend': {
        const reference = `spend ${(this.#spends += 1)}`;
        const { covered } = await referrals.credits.spend(user, { amount: amount!, reference, partial: true });
        return JSON.stringify(units(covered));
      }
      case 'reconcile': {
        const payment = { key: `forgotten ${this.paid.size}`, user, amount: amount!, at: clock.time };
        this.paid.set(payment.key, [user, units(amount!), payment.key]);
        const { booked, debt } = await referrals.earnOuts.reconcile([payment]);
        return JSON.stringify([booked, units(debt)]);
      }
      case 'reassign': {
        const given = { code: code === -1 ? null : this.#codes[code]!, past: one.past, reason: 'mistyped' };
        const { referrerId, past } = await referrals.signups.reassign(user, given);
        return JSON.stringify([referrerId, past && [units(past.moved), past.commissions, units(past.stays)]]);
      }
      case 'merge':
        await referrals.mergeUsers(user, one.into, { reason: 'one person' });
        for (const [key, [owner, paid]] of this.paid) if (owner === user) this.paid.set(key, [one.into, paid, key]);
        return 'merged';
      case 'totals': {
        const totals = await referrals.accounts.totals(user);
        const { creditsEarned, totalCreditsEarned, payoutsEarned, totalPayoutsEarned } = totals;
        return JSON.stringify([
          [creditsEarned, totalCreditsEarned].map(units),
          [payoutsEarned, totalPayoutsEarned].map(units),
          ...[totals.usersReferred, totals.usersUpgraded, totals.nextEarnOutAt.getTime()],
        ]);
      }
    }
  }

  #channelOf({ isActive, isRecurring, initialDays, max, endDays, ...rates }: ModelChannel) {
    return {
      ...{ isActive, isRecurring, initialRatePeriodDays: initialDays },
      ...{ initialRate: decimal(rates.initialRate), ongoingRate: decimal(rates.ongoingRate) },
      maxEarningsPerReferred: max === null ? null : decimal(max),
      endDate: endDays === null ? null : new Date(this.#start.getTime() + endDays * dayMs),
    };
  }

  #termsOf(terms: ModelTerms | null) {
    return terms && { ratio: decimal(terms.ratio), maxPerReferee: terms.max === null ? null : decimal(terms.max) };
  }
}

type Recorded = Pick<Command, 'user' | 'reference' | 'purchase' | 'amount'>;

/** Names purchases and refunds: new ones, and those that the commands so far have made. */
class Names {
  readonly #purchases: Recorded[] = [];
  readonly #refunds: Recorded[] = [];

  /** What a user has made is that of another one now. */
  merged(from: string, into: string): void {
    for (const one of [...this.#purchases, ...this.#refunds]) if (one.user === from) one.user = into;
  }

  name(one: Command): Command {
    if (one.do === 'purchase') return this.#named(one, this.#purchases);
    if (one.do === 'adjust') return { ...one, reference: `adjust ${one.pick % 7}` };
    if (one.do === 'undo') {
      const { user, reference } = picked(this.#refunds, one.pick) ?? { user: 'ben', reference: 'none' };
      return { ...one, user, reference };
    }
    if (one.do !== 'refund') return one;
    const {
      user,
      reference: purchase,
      amount,
    } = picked(this.#purchases, one.pick) ?? { user: 'ben', reference: 'none' };
    const share = one.share && amount ? Math.ceil((amount * one.share) / 100) : one.amount;
    return this.#named({ ...one, user, purchase, amount: share }, this.#refunds);
  }

  #named(one: Command, made: Recorded[]): Command {
    const before = one.isAgain ? picked(made, one.pick) : undefined;
    const isSame = one.pick % 3 !== 0;
    const named = before
      ? { ...one, ...before, amount: isSame ? before.amount : one.amount }
      : { ...one, reference: `${one.do} ${made.length}` };
    const { user, reference, purchase, amount } = named;
    made.push({ user, reference, purchase, amount });
    return named;
  }
}

/** The earn-outs in the order of the model's. */
async function earnOutsOf({ earnOuts }: Referrals): Promise<ReferralEarnOut[]> {
  const all = await earnOuts.search({ take: 10_000 });
  return all.sort((a, b) => compared([+a.createdAt, a.userId, a.mode, a.id], [+b.createdAt, b.userId, b.mode, b.id]));
}

/** The same order: as they were made, but users and modes of one run in the order of their names. */
const inOrder = (a: EarnOut, b: EarnOut): number =>
  compared([a.createdAt, a.owner, a.mode], [b.createdAt, b.owner, b.mode]);

/** In the order of the first value that differs. */
function compared(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  const place = a.findIndex((value, n) => value !== b[n]);
  return place < 0 ? 0 : a[place]! < b[place]! ? -1 : 1;
}

const picked = <T>(all: readonly T[], pick: number): T | undefined => all[pick % all.length];

function expected(model: EarningsModel, one: Command): Outcome {
  const { user, code, reference, amount } = one;
  switch (one.do) {
    case 'signUp':
    case 'click':
    case 'apply':
      return model[one.do](user, code);
    case 'takeOff':
    case 'totals':
      return model[one.do](user);
    case 'purchase':
      return model.purchase(user, reference, amount!, one.days);
    case 'refund':
      return model.refund(user, reference, one.purchase, amount);
    case 'set':
      return model.set(user, ...one.settings);
    case 'channel':
      return model.change(code, { channel: one.channel });
    case 'terms':
      return model.change(0, { terms: one.terms });
    case 'advance':
      return model.advance(one.days);
    case 'earnOut':
      model.advance(one.days);
      return model.runEarnOuts(one.manners, one.approval);
    case 'settle':
      return model.settle(picked([...model.earnOuts].sort(inOrder), one.pick), one.report);
    case 'retry':
      return model.retry(picked([...model.earnOuts].sort(inOrder), one.pick));
    case 'approve':
      return model.approve(picked([...model.earnOuts].sort(inOrder), one.pick));
    case 'hold':
    case 'release':
    case 'reject':
      return model[one.do](picked(model.commissions, one.pick));
    case 'undo':
      return model.undo(user, reference);
    case 'adjust':
      return model.adjust(user, reference, amount!, one.mode);
    case 'spend':
      return model.spend(user, amount!);
    case 'reconcile':
      return model.reconcile(user, amount!);
    case 'merge':
      return user === one.into ? 'INVALID_INPUT' : model.merge(user, one.into);
    case 'reassign':
      return model.reassign(user, code === -1 ? null : code, one.past);
  }
}

const tableOf = (entity: string): string => {
  const { schema, tableName } = dataSource.getMetadata(entity);
  return `"${schema ?? (dataSource.options as { schema: string }).schema}".${tableName}`;
};

/**
 * The same options, codes and commands in the model and in the package; everything that is answered and kept must
 * agree.
 */
async function compare(options: ModelOptions, codes: ModelCode[], commands: Command[]): Promise<void> {
  await dataSource.query(`TRUNCATE ${entities.map(({ name }) => tableOf(name)).join(', ')} CASCADE`);
  const shop = new Shop(options);
  const { referrals } = shop;
  try {
    await shop.open(codes);
    const model = new EarningsModel(options, structuredClone(codes), clock.time.getTime());
    const names = new Names();
    const last = users.map((user) => ({ do: 'totals', user }) as Command);
    for (const [n, given] of [...commands, ...last].entries()) {
      const one = fitted(names.name(given), options);
      const wanted = expected(model, one);
      const got = await shop.do(one).catch((error: unknown) => {
        if (error instanceof ReferralError) return error.code;
        throw error;
      });
      if (got === 'merged') names.merged(one.user, one.into);
      if (got !== wanted) throw new Error(`command ${n}, ${JSON.stringify(one)}, answered ${got}, not ${wanted}`);
    }
    await expectSame(shop, model);
  } finally {
    await referrals.close();
  }
}

async function expectSame({ referrals, paid, told }: Shop, model: EarningsModel): Promise<void> {
  const earnOuts = await earnOutsOf(referrals);
  const modelled = [...model.earnOuts].sort(inOrder);
  expect(
    earnOuts.map((one) => [
      ...[one.userId, one.mode, units(one.amount), one.commissionCount, one.status, paid.has(one.idempotencyKey)],
      ...[one.attempts, one.refusals, one.awaitsApproval],
      one.mode === 'credits' ? null : (one.nextAttemptAt?.getTime() ?? null),
    ]),
  ).toEqual(
    modelled.map((one) => [
      ...[one.owner, one.mode, one.amount, one.count, one.status, one.isPaid],
      ...[one.attempts, one.refusals, one.isAwaited],
      one.mode === 'credits' ? null : one.nextAttemptAt,
    ]),
  );
  const byKey = new Map(earnOuts.map((one) => [one.idempotencyKey, [one.userId, units(one.amount)]]));
  for (const [owner, amount, key] of paid.values()) expect(byKey.get(key)).toEqual([owner, amount]);
  expect(told).toEqual(model.told);
  expect(new Set(earnOuts.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(earnOuts.length);

  const place = new Map(earnOuts.map(({ id }, n) => [id, n]));
  const commissions = await referrals.commissions.search({ take: 10_000 });
  expect(
    commissions.map((one) => [
      ...[one.userId, one.refereeId, one.purchase, one.mode, units(one.earned), units(one.amount), one.status],
      ...[one.availableAt?.getTime() ?? Infinity, one.earnOutId === null ? null : place.get(one.earnOutId)],
    ]),
  ).toEqual(
    model.commissions.map((one) => [
      ...[one.owner, one.referee, one.purchase, one.mode, one.earned, one.amount, model.status(one)],
      ...[one.availableAt, one.earnOut && modelled.indexOf(one.earnOut)],
    ]),
  );
  for (const user of users)
    expect([user, units(await referrals.credits.balance(user))]).toEqual([user, model.balance(user)]);
  const channels = await referrals.channels.search();
  expect(channels.map((one) => [one.totalUses, units(one.totalCommission), units(one.totalRevenue)])).toEqual(
    [1, 2].map((code) => model.channelTotals(code)),
  );
  expect((await referrals.verify()).problems).toEqual([]);
}

test(`${sequences} random sequences earn, take back and pay what plain arithmetic says, and add up`, async () => {
  console.log(`SEED=${seed} SEQUENCES=${sequences}`);
  const meetings = fc.array(fc.oneof(meeting, meeting, meeting, setting), { minLength: 3, maxLength: 6 });
  const commands = fc.array(command, { minLength: 15, maxLength: 60, size: 'max' });
  const property = fc.asyncProperty(options, codes, meetings, commands, (given, made, first, then) =>
    compare(fitted(given, given), fitted(made, given), fitted([...first, ...then], given) as unknown as Command[]),
  );
  await fc.assert(property, { seed, numRuns: sequences });
}, 3_600_000);
