/** What is expected of purchases, commissions and earn-outs, in plain arithmetic: amounts and shares in whole 1/10,000. */

export type Mode = 'credits' | 'payout';

export interface ModelTerms {
  ratio: number;
  max: number | null;
}

export interface ModelOptions extends ModelTerms {
  pendingDays: number;
  everyDays: number;
  minimum: number;
}

export interface ModelChannel {
  isActive: boolean;
  isRecurring: boolean;
  initialRate: number;
  ongoingRate: number;
  initialDays: number;
  max: number | null;
  /** After so many days from the start; null for never. */
  endDays: number | null;
}

/** Something with a code: a channel, or a referral with a program, whose terms may be null: then the options hold. */
export interface ModelCode {
  owner: string;
  channel: ModelChannel | null;
  terms: ModelTerms | null;
}

interface Account {
  mode: Mode;
  hasEmail: boolean;
  createdAt: number;
  /** What each referee has earned the user, and whether the referee has paid. */
  referees: Map<string, { earned: number; isUpgraded: boolean }>;
}

interface Buyer {
  channel: number | null;
  isRedeemed: boolean;
  lastChannel: number | null;
  firstAt: number | null;
  redeemed: Set<number>;
}

interface Commission {
  owner: string;
  referee: string;
  purchase: string;
  mode: Mode;
  channel: number | null;
  earned: number;
  amount: number;
  availableAt: number;
  isReverted: boolean;
  earnOut: EarnOut | null;
}

interface Purchase {
  amount: number;
  refunded: number;
  source: string | null;
  referrer: string | null;
  mode: Mode | null;
  channel: number | null;
  isRevenue: boolean;
  refusal: string | null;
  commission: Commission | null;
}

export interface EarnOut {
  owner: string;
  mode: Mode;
  amount: number;
  count: number;
  status: 'processing' | 'completed' | 'failed';
  createdAt: number;
}

interface Choice {
  source: string;
  code: number;
  terms: ModelTerms | null;
}

/** What a call answers: something to compare, or the code of an error. */
export type Outcome = string;

const dayMs = 86_400_000;
const cent = 100;

const total = (of: readonly { amount: number }[]): number => of.reduce((sum, { amount }) => sum + amount, 0);

/** `a x b / c`, rounded half up. In whole numbers of any size: a product of two amounts can exceed 2^53. */
const share = (a: number, b: number, c: number): number =>
  Number((2n * BigInt(a) * BigInt(b) + BigInt(c)) / (2n * BigInt(c)));

export class EarningsModel {
  now = 0;
  readonly commissions: Commission[] = [];
  readonly earnOuts: EarnOut[] = [];
  readonly #entries: { commission: Commission; amount: number; earnOut: EarnOut | null }[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #buyers = new Map<string, Buyer>();
  readonly #signups = new Map<string, Choice>();
  readonly #touches = new Map<string, number>();
  readonly #purchases = new Map<string, Purchase>();
  readonly #refunds = new Map<string, { purchase: string; amount: number }>();
  readonly #redemptions: number[];

  constructor(
    readonly options: ModelOptions,
    readonly codes: readonly ModelCode[],
    readonly start: number,
  ) {
    this.now = start;
    this.#redemptions = codes.map(() => 0);
  }

  advance(days: number): Outcome {
    this.now += days * dayMs;
    return 'ok';
  }

  /** Other terms, for what comes. */
  change(code: number, terms: Partial<ModelCode>): Outcome {
    Object.assign(this.codes[code]!, terms);
    return 'ok';
  }

  click(user: string, code: number): Outcome {
    this.#touches.set(user, code);
    return 'ok';
  }

  signUp(user: string, code: number): Outcome {
    if (this.#signups.has(user)) return 'signed up';
    const { owner, terms } = this.codes[code]!;
    if (owner === user) return 'own-code';
    this.#signups.set(user, { source: 'sign-up', code, terms: terms && { ...terms } });
    this.#meet(owner, user);
    return 'signed up';
  }

  apply(user: string, code: number): Outcome {
    const { owner, channel } = this.codes[code]!;
    const buyer = this.#buyer(user);
    if (channel!.isActive && !this.#isOpen(channel!, this.now)) return 'COUPON_EXPIRED';
    if (!channel!.isActive) return 'COUPON_INACTIVE';
    if (owner === user) return 'COUPON_OWN';
    if (buyer.redeemed.has(code)) return 'COUPON_REDEEMED';
    Object.assign(buyer, { channel: code, isRedeemed: false });
    return 'ok';
  }

  takeOff(user: string): Outcome {
    const buyer = this.#buyer(user);
    if (!buyer.isRedeemed) buyer.channel = null;
    return 'ok';
  }

  purchase(user: string, reference: string, amount: number, daysAgo: number): Outcome {
    const known = this.#purchases.get(`${user}/${reference}`);
    if (known) return known.amount === amount ? shown(known) : 'REFERENCE_REUSED';
    const at = this.now - daysAgo * dayMs;
    const buyer = this.#buyer(user);
    const purchase = this.#priced(user, reference, amount, at, buyer);
    this.#purchases.set(`${user}/${reference}`, purchase);
    const { referrer, refusal, commission } = purchase;
    if (referrer !== null && refusal !== 'own-referral') {
      const referee = this.#meet(referrer, user);
      referee.earned += commission?.earned ?? 0;
      referee.isUpgraded ||= amount > 0;
    }
    if (commission) this.commissions.push(commission);
    if (purchase.source === 'coupon' && !buyer.isRedeemed) {
      const code = buyer.channel!;
      const { isRecurring } = this.codes[code]!.channel!;
      buyer.redeemed.add(code);
      this.#redemptions[code]!++;
      Object.assign(buyer, { lastChannel: code, isRedeemed: isRecurring, channel: isRecurring ? code : null });
    }
    if (amount > 0) buyer.firstAt = Math.min(buyer.firstAt ?? at, at);
    return shown(purchase);
  }

  refund(user: string, reference: string, of: string, amount: number | null): Outcome {
    const purchase = this.#purchases.get(`${user}/${of}`);
    const left = (): number | null => purchase?.commission?.amount ?? null;
    const known = this.#refunds.get(`${user}/${reference}`);
    if (known) {
      const isSame = known.purchase === of && (amount === null || amount === known.amount);
      return isSame ? JSON.stringify([known.amount, left()]) : 'REFERENCE_REUSED';
    }
    if (!purchase) return 'NOT_FOUND';
    const rest = purchase.amount - purchase.refunded;
    if (rest === 0) return 'NOTHING_TO_REFUND';
    const back = amount ?? rest;
    if (back > rest) return 'INVALID_INPUT';
    this.#refunds.set(`${user}/${reference}`, { purchase: of, amount: back });
    purchase.refunded += back;
    if (purchase.commission) this.#lower(purchase, purchase.commission);
    return JSON.stringify([back, left()]);
  }

  /** What a user sets; asking for the account makes it. */
  set(user: string, mode: Mode, hasEmail: boolean | null): Outcome {
    const account = this.#account(user);
    account.mode = mode;
    account.hasEmail = hasEmail ?? account.hasEmail;
    return 'ok';
  }

  runEarnOuts(declined: readonly string[]): Outcome {
    // All accounts are looked at twice before any is paid: what the first look has netted may leave enough in the other mode.
    const made = [...this.#bind(), ...this.#bind()];
    for (const { earnOut, parts } of made) {
      const isDeclined = earnOut.mode === 'payout' && declined.includes(earnOut.owner);
      earnOut.status = isDeclined ? 'failed' : 'completed';
      if (isDeclined) for (const one of parts) one.earnOut = null;
    }
    const completed = made.map(({ earnOut }) => earnOut).filter(({ status }) => status === 'completed');
    return JSON.stringify([made.length, completed.length, made.length - completed.length, total(completed)]);
  }

  #bind(): { earnOut: EarnOut; parts: { earnOut: EarnOut | null }[] }[] {
    const made = [];
    for (const owner of [...this.#accounts.keys()].sort()) {
      const nets = { credits: this.#net(owner, 'credits'), payout: this.#net(owner, 'payout') };
      const isEnough = (mode: Mode): boolean =>
        nets[mode].isDue && nets[mode].ready + nets[mode].debt >= this.options.minimum;
      // Nobody is paid in one mode who owes in the other, unless the other is paid too, and nets it.
      const settled = (['credits', 'payout'] as const).map((mode) => {
        const other = mode === 'credits' ? 'payout' : 'credits';
        const debts = isEnough(other) ? [] : nets[other].debts;
        const amount = nets[mode].ready + nets[mode].debt + total(debts);
        return { mode, amount, parts: [...nets[mode].commissions, ...nets[mode].entries, ...debts] };
      });
      for (const { mode, amount, parts } of settled) {
        if (!nets[mode].isDue || amount < this.options.minimum) continue;
        const count = nets[mode].commissions.length;
        const earnOut: EarnOut = { owner, mode, amount, count, status: 'processing', createdAt: this.now };
        for (const one of parts) one.earnOut = earnOut;
        this.earnOuts.push(earnOut);
        made.push({ earnOut, parts });
      }
    }
    return made;
  }

  totals(user: string): Outcome {
    const { createdAt, referees } = this.#account(user);
    const sums = (['credits', 'payout'] as const).map((mode) => {
      const all = this.commissions.filter((one) => one.owner === user && one.mode === mode);
      const available = all.filter(({ availableAt }) => availableAt <= this.now);
      return [total(available) - this.paid(user, mode), total(all)];
    });
    const upgraded = [...referees.values()].filter(({ isUpgraded }) => isUpgraded).length;
    const next = this.#periodStart(createdAt) + this.options.everyDays * dayMs;
    return JSON.stringify([...sums, referees.size, upgraded, next]);
  }

  /** What completed earn-outs have paid of a user's earnings in a mode. */
  paid(user: string, mode: Mode): number {
    const bound = this.commissions.filter((one) => one.owner === user && one.mode === mode && one.earnOut !== null);
    const netted = this.#entries.filter(({ earnOut, commission: { owner, mode: of } }) => {
      return earnOut !== null && owner === user && of === mode;
    });
    return bound.reduce((sum, { earned }) => sum + earned, 0) + total(netted);
  }

  /** What completed earn-outs have given a user, as credit or as money. */
  given(user: string, mode: Mode): number {
    return total(this.earnOuts.filter((one) => one.owner === user && one.mode === mode && one.status === 'completed'));
  }

  /** What a user could be paid in a mode, and owes in it. */
  #net(owner: string, mode: Mode) {
    const { createdAt, hasEmail } = this.#accounts.get(owner)!;
    const period = this.#periodStart(createdAt);
    const isPaid = this.earnOuts.some(
      (one) => one.owner === owner && one.mode === mode && one.status !== 'failed' && one.createdAt >= period,
    );
    const isReady = (one: Commission): boolean =>
      one.owner === owner && one.mode === mode && one.availableAt <= this.now;
    const commissions = this.commissions.filter((one) => one.earnOut === null && isReady(one));
    const entries = this.#entries.filter(({ earnOut, commission }) => earnOut === null && isReady(commission));
    const debts = entries.filter(({ commission }) => commission.earnOut !== null);
    const ready = commissions.reduce((sum, { earned }) => sum + earned, 0) + total(entries) - total(debts);
    const isDue = (mode === 'credits' || hasEmail) && period !== createdAt && !isPaid;
    return { commissions, entries, debts, ready, debt: total(debts), isDue };
  }

  status({ isReverted, availableAt }: Commission): 'pending' | 'available' | 'reverted' {
    if (isReverted) return 'reverted';
    return availableAt <= this.now ? 'available' : 'pending';
  }

  /** What has happened with a channel: uses, commissions and revenue. */
  channelTotals(code: number): [number, number, number] {
    const commissions = this.commissions.filter(({ channel }) => channel === code);
    const revenue = [...this.#purchases.values()].filter((one) => one.channel === code && one.isRevenue);
    return [
      this.#redemptions[code]!,
      commissions.reduce((sum, { amount }) => sum + amount, 0),
      revenue.reduce((sum, { amount, refunded }) => sum + amount - refunded, 0),
    ];
  }

  #priced(user: string, reference: string, amount: number, at: number, buyer: Buyer): Purchase {
    const choice = this.#choose(user, at, buyer);
    const none = { amount, refunded: 0, commission: null };
    if (!choice)
      return {
        ...{ ...none, source: null, referrer: null, mode: null, channel: null, isRevenue: false },
        refusal: 'no-referrer',
      };
    const { owner, channel } = this.codes[choice.code]!;
    const terms = choice.terms ?? this.options;
    const isFirst = at < Math.min(buyer.firstAt ?? at, at) + (channel?.initialDays ?? 0) * dayMs;
    const rate = channel ? (isFirst ? channel.initialRate : channel.ongoingRate) : terms.ratio;
    const max = channel ? channel.max : terms.max;
    const account = this.#accounts.get(owner);
    const room = Math.trunc(((max ?? Infinity) - (account?.referees.get(user)?.earned ?? 0)) / cent) * cent;
    const whole = share(amount, rate, 10_000 * cent) * cent;
    const isOwn = choice.source === 'attribution' && owner === user;
    const otherwise = this.#signups.get(user)?.code ?? this.#touches.get(user);
    const channelCode = channel ? choice.code : null;
    const facts = { source: choice.source, referrer: owner, mode: account?.mode ?? 'credits', channel: channelCode };
    const refusal = isOwn
      ? 'own-referral'
      : rate === 0
        ? 'no-rate'
        : whole === 0
          ? 'too-small'
          : room <= 0
            ? 'limit-reached'
            : null;
    const earned = Math.min(whole, room);
    const commission: Commission = {
      ...{ owner, referee: user, purchase: reference, mode: facts.mode, channel: channelCode },
      ...{ earned, amount: earned, availableAt: at + this.options.pendingDays * dayMs },
      ...{ isReverted: false, earnOut: null },
    };
    const isRevenue = channel !== null && !isOwn && (otherwise === undefined || this.codes[otherwise]!.owner === owner);
    return { ...none, ...facts, isRevenue, refusal, commission: refusal === null ? commission : null };
  }

  #choose(user: string, at: number, buyer: Buyer): Choice | null {
    const { channel, isRedeemed, lastChannel } = buyer;
    if (channel !== null) {
      const { isActive, isRecurring } = this.codes[channel]!.channel!;
      if (isRedeemed ? isRecurring : isActive && at >= this.start && this.#isOpen(this.codes[channel]!.channel!, at))
        return { source: 'coupon', code: channel, terms: null };
    }
    const signup = this.#signups.get(user);
    if (signup) return signup;
    const touch = this.#touches.get(user);
    if (touch !== undefined) return { source: 'attribution', code: touch, terms: this.codes[touch]!.terms };
    return lastChannel === null ? null : { source: 'earlier-coupon', code: lastChannel, terms: null };
  }

  /** What is taken back in all is in proportion to all that is refunded. */
  #lower({ amount, refunded }: Purchase, commission: Commission): void {
    const taken = share(commission.earned, refunded, amount * cent) * cent;
    const back = taken - (commission.earned - commission.amount);
    commission.amount -= back;
    commission.isReverted = refunded === amount;
    this.#accounts.get(commission.owner)!.referees.get(commission.referee)!.earned -= back;
    if (back > 0) this.#entries.push({ commission, amount: -back, earnOut: null });
  }

  #isOpen({ endDays }: ModelChannel, at: number): boolean {
    return endDays === null || this.start + endDays * dayMs > at;
  }

  #periodStart(createdAt: number): number {
    const every = this.options.everyDays * dayMs;
    return createdAt + Math.floor((this.now - createdAt) / every) * every;
  }

  #account(user: string): Account {
    const fresh: Account = { mode: 'credits', hasEmail: false, createdAt: this.now, referees: new Map() };
    const account = this.#accounts.get(user) ?? fresh;
    this.#accounts.set(user, account);
    return account;
  }

  #meet(referrer: string, user: string): { earned: number; isUpgraded: boolean } {
    const { referees } = this.#account(referrer);
    const referee = referees.get(user) ?? { earned: 0, isUpgraded: false };
    referees.set(user, referee);
    return referee;
  }

  #buyer(user: string): Buyer {
    const fresh = { channel: null, isRedeemed: false, lastChannel: null, firstAt: null, redeemed: new Set<number>() };
    const buyer = this.#buyers.get(user) ?? fresh;
    this.#buyers.set(user, buyer);
    return buyer;
  }
}

function shown({ source, referrer, mode, refusal, commission }: Purchase): Outcome {
  return JSON.stringify([source, referrer, mode, refusal, commission && [commission.earned, commission.amount]]);
}
