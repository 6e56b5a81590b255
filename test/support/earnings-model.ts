/** What is expected of purchases, commissions and earn-outs, in plain arithmetic: amounts and shares in whole 1/10,000. */

export type Mode = 'credits' | 'payout';

export interface ModelTerms {
  ratio: number;
  max: number | null;
}

export interface ModelOptions extends ModelTerms {
  /** How many decimals the currency of the program has. */
  digits: number;
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

/** What the payment provider does when it is asked. Whatever it has paid under a key, it pays only once. */
export type Manner = 'pays' | 'refuses' | 'pays, then throws' | 'throws';

/** What it reports later. */
export type Report = 'completed' | 'failed' | 'returned';

/** Which payouts wait for a person. */
export type Approval = 'all' | 'new-accounts' | 'none';

interface Account {
  mode: Mode;
  email: string | null;
  createdAt: number;
  /** What each referee has earned the user, and whether the referee has paid. */
  referees: Map<string, { earned: number; isUpgraded: boolean }>;
}

interface Buyer {
  channel: number | null;
  isRedeemed: boolean;
  lastChannel: number | null;
  firstAt: number | null;
  /** The coupons, with the purchases that redeemed them, by number. */
  redeemed: Map<number, number>;
}

export interface Commission {
  owner: string;
  referee: string;
  purchase: string;
  mode: Mode;
  channel: number | null;
  earned: number;
  amount: number;
  /** Infinity while it is held. */
  availableAt: number;
  /** From when on it would be available; null if it is not held. */
  heldFrom: number | null;
  isReverted: boolean;
  isRejected: boolean;
  earnOut: EarnOut | null;
  /** Whether it was taken back to be moved. */
  isMoved: boolean;
  /** What it was with an earlier referrer. */
  movedFrom: Commission | null;
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

/** A purchase as it was recorded. */
interface Recorded extends Purchase {
  at: number;
  /** The number of the purchase. */
  nth: number;
  /** What was decided later: by a second look at one without a referrer, or by a move of its commission. */
  late: Purchase | null;
}

export interface EarnOut {
  owner: string;
  mode: Mode;
  amount: number;
  count: number;
  status: 'processing' | 'completed' | 'failed' | 'returned';
  createdAt: number;
  settledAt: number | null;
  /** Whether the provider has paid it, whatever the host knows. */
  isPaid: boolean;
  attempts: number;
  /** When it, or its amount, is tried again; null for never. */
  nextAttemptAt: number | null;
  refusedAt: number | null;
  /** How many refusals in a row there were with it. */
  refusals: number;
  /** Whether it waits for an approval. */
  isAwaited: boolean;
  /** What is left of the credit that it gave. */
  unspent: number;
}

/** What changes what is left of a commission, or what a user is owed: a refund, a payment without a commission, … */
interface Entry {
  owner: string;
  mode: Mode;
  amount: number;
  /** The commission that was refunded; null for a payment or an adjustment. */
  commission: Commission | null;
  isAdjustment: boolean;
  earnOut: EarnOut | null;
}

interface Choice {
  source: string;
  /** Null for a sign-up that was given to nobody. */
  code: number | null;
  terms: ModelTerms | null;
}

interface Signup extends Choice {
  at: number;
}

/** What a call answers: something to compare, or the code of an error. */
export type Outcome = string;

const dayMs = 86_400_000;
const minuteMs = 60_000;

/** After so many minutes a payout without a clear result is asked for again. */
const attemptWaits = [1, 5, 30, 120, 720, 1440];
/** After so many minutes an account is paid again that was refused. */
const refusalWaits = [60, 360, 1440, 4320];

const total = (of: readonly { amount: number }[]): number => of.reduce((sum, { amount }) => sum + amount, 0);

/** `a x b / c`, rounded half up. In whole numbers of any size: a product of two amounts can exceed 2^53. */
const share = (a: number, b: number, c: number): number =>
  Number((2n * BigInt(a) * BigInt(b) + BigInt(c)) / (2n * BigInt(c)));

export class EarningsModel {
  now = 0;
  /** The smallest amount of the currency. */
  readonly #cent: number;
  readonly commissions: Commission[] = [];
  readonly earnOuts: EarnOut[] = [];
  /** What the host was told of payouts: the codes of the errors. */
  readonly told: string[] = [];
  readonly #entries: Entry[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #buyers = new Map<string, Buyer>();
  readonly #signups = new Map<string, Signup>();
  /** The codes that each user has come through, with when. */
  readonly #touches = new Map<string, { code: number; at: number; nth: number }[]>();
  #touchCount = 0;
  #bought = 0;
  readonly #purchases = new Map<string, Recorded>();
  readonly #refunds = new Map<string, { purchase: string; amount: number; isUndone: boolean }>();
  readonly #adjustments = new Map<string, { amount: number; mode: Mode }>();
  /** What was taken back from the credit of each user. */
  readonly #takenBack = new Map<string, number>();
  readonly #redemptions: number[];

  constructor(
    readonly options: ModelOptions,
    readonly codes: readonly ModelCode[],
    readonly start: number,
  ) {
    this.now = start;
    this.#cent = 10 ** (4 - options.digits);
    this.#redemptions = codes.map(() => 0);
  }

  advance(days: number): Outcome {
    this.now = Math.trunc(this.now + days * dayMs);
    return 'ok';
  }

  /** Other terms, for what comes. */
  change(code: number, terms: Partial<ModelCode>): Outcome {
    Object.assign(this.codes[code]!, terms);
    return 'ok';
  }

  click(user: string, code: number): Outcome {
    const touch = { code, at: this.now, nth: (this.#touchCount += 1) };
    this.#touches.set(user, [...(this.#touches.get(user) ?? []), touch]);
    return 'ok';
  }

  /** What a user came through last: one's own link does not take the place of somebody else's. */
  #touch(user: string): number | null {
    const touches = [...(this.#touches.get(user) ?? [])].sort((a, b) => a.at - b.at || a.nth - b.nth);
    const others = touches.filter(({ code }) => this.codes[code]!.owner !== user);
    return (others.at(-1) ?? touches.at(-1))?.code ?? null;
  }

  signUp(user: string, code: number): Outcome {
    if (this.#signups.has(user)) return 'signed up';
    const { owner, terms } = this.codes[code]!;
    if (owner === user) return 'own-code';
    this.#signups.set(user, { source: 'sign-up', code, terms: terms && { ...terms }, at: this.now });
    this.#meet(owner, user);
    this.#lookAgain(user);
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
    if (known && known.amount !== amount) return 'REFERENCE_REUSED';
    if (known) {
      if (isUndecided(known)) this.#lookAgain(user);
      return shown(known);
    }
    const at = this.now - daysAgo * dayMs;
    const buyer = this.#buyer(user);
    const purchase = this.#priced(this.#choose(user, at, buyer), user, reference, amount, at, buyer);
    const isFirstCredited = this.#isFirstCredited(purchase, user);
    this.#purchases.set(`${user}/${reference}`, { ...purchase, at, nth: (this.#bought += 1), late: null });
    this.#credit(purchase, user);
    if (purchase.source === 'coupon' && !buyer.isRedeemed) {
      const code = buyer.channel!;
      const { isRecurring } = this.codes[code]!.channel!;
      buyer.redeemed.set(code, this.#purchases.get(`${user}/${reference}`)!.nth);
      this.#redemptions[code]!++;
      Object.assign(buyer, { lastChannel: code, isRedeemed: isRecurring, channel: isRecurring ? code : null });
    }
    if (amount > 0) buyer.firstAt = Math.min(buyer.firstAt ?? at, at);
    if (isFirstCredited) this.#lookAgain(user);
    return shown(purchase);
  }

  /** Whether it is the first payment for the sign-up or the attribution of a user who has bought before. */
  #isFirstCredited({ source, referrer, amount }: Purchase, user: string): boolean {
    const hasBought = [...this.#purchases.keys()].some((key) => key.startsWith(`${user}/`));
    const isOfReferral = source === 'sign-up' || source === 'attribution';
    return hasBought && isOfReferral && amount > 0 && !this.#accounts.get(referrer!)?.referees.get(user)?.isUpgraded;
  }

  /** What a purchase changes for its referrer. */
  #credit({ referrer, refusal, commission, amount }: Purchase, user: string): void {
    if (referrer !== null && refusal !== 'own-referral') {
      const referee = this.#meet(referrer, user);
      referee.earned += commission?.earned ?? 0;
      referee.isUpgraded ||= amount > 0;
    }
    if (commission) this.commissions.push(commission);
  }

  /** Gives a sign-up to another referrer, or to nobody, and with `'move'` what it has earned. */
  reassign(user: string, code: number | null, past: 'keep' | 'move'): Outcome {
    const to = code === null ? null : this.codes[code]!.owner;
    if (to === user) return 'SIGNUP_REFUSED';
    const signup = this.#signups.get(user);
    if (!signup) return 'NOT_FOUND';
    if (signup.code === code) return JSON.stringify([to, null]);
    const from = signup.code === null ? null : this.codes[signup.code]!.owner;
    const terms = code === null ? null : this.codes[code]!.terms;
    this.#signups.set(user, { ...signup, code, terms: terms && { ...terms } });
    if (from !== null && from !== to) this.#forget(from, user);
    if (to !== null) this.#meet(to, user);
    const moved = past === 'move' ? this.#movePast(user, from, to, code) : null;
    if (to !== null) this.#lookAgain(user);
    return JSON.stringify([to, moved]);
  }

  #movePast(user: string, from: string | null, to: string | null, code: number | null): number[] {
    const isDone = new Set(this.commissions.map(({ movedFrom }) => movedFrom));
    const past = this.commissions.filter((one) => {
      const { late, ...first } = this.#purchases.get(`${one.referee}/${one.purchase}`)!;
      const { source, referrer } = late ?? first;
      if (one.referee !== user) return false;
      if (from === null) return one.isMoved && !isDone.has(one) && referrer === null;
      return (
        !one.isMoved && one.owner === from && referrer === from && (source === 'sign-up' || source === 'attribution')
      );
    });
    const movable = past.filter((one) => (one.earnOut === null || one.isMoved) && !one.isRejected && from !== to);
    const stays = total(past.filter((one) => !movable.includes(one)));
    const took = total(movable);
    const made = movable.map((one) => this.#move(one, to, code));
    const owners = [from, to].filter((owner) => owner !== null);
    if (movable.length > 0) for (const owner of owners) this.#recount(owner, user);
    const moved = from === null ? made.reduce((sum, one) => sum + (one?.amount ?? 0), 0) : took;
    return [moved, movable.length, stays];
  }

  /** Takes a commission back, and makes it again for another referrer, with what its refunds have left. */
  #move(one: Commission, to: string | null, code: number | null): Commission | null {
    const purchase = this.#purchases.get(`${one.referee}/${one.purchase}`)!;
    const base = one.heldFrom ?? one.availableAt;
    const isHeld = one.heldFrom !== null;
    if (!one.isMoved) {
      this.#take(one, one.amount);
      Object.assign(one, { heldFrom: null, availableAt: base, isReverted: true, isMoved: true });
    }
    const channel = code !== null && this.codes[code]!.channel ? code : null;
    const mode = to === null ? null : this.#account(to).mode;
    const decided = {
      source: to === null ? null : 'sign-up',
      referrer: to,
      mode,
      channel,
      isRevenue: channel !== null,
    };
    const made: Commission | null =
      to === null ? null : { ...one, owner: to, mode: mode!, channel, movedFrom: one, isMoved: false, earnOut: null };
    purchase.late = { ...purchase, ...decided, refusal: to === null ? 'no-referrer' : null, commission: made };
    purchase.commission = made;
    if (!made) return null;
    Object.assign(made, { amount: made.earned, isReverted: false });
    Object.assign(made, isHeld ? { heldFrom: base, availableAt: Infinity } : { heldFrom: null, availableAt: base });
    this.#meet(made.owner, made.referee).earned += made.earned;
    this.commissions.push(made);
    if (purchase.refunded > 0) this.#settle(purchase, made);
    return made;
  }

  /** Whether somebody has paid, by what is credited to a referrer by now. */
  #recount(owner: string, user: string): void {
    const referee = this.#account(owner).referees.get(user);
    if (!referee) return;
    referee.isUpgraded = [...this.#purchases].some(([key, { late, ...first }]) => {
      const { referrer, refusal, amount } = late ?? first;
      return key.startsWith(`${user}/`) && referrer === owner && refusal !== 'own-referral' && amount > 0;
    });
    const { code } = this.#signups.get(user)!;
    if (code === null || this.codes[code]!.owner !== owner) this.#forget(owner, user);
  }

  /** A referrer of whom nothing is left: neither a commission nor a payment. */
  #forget(owner: string, user: string): void {
    const { referees } = this.#account(owner);
    const referee = referees.get(user);
    const isLeft = this.commissions.some((one) => one.owner === owner && one.referee === user && !one.isMoved);
    if (referee && referee.earned === 0 && !referee.isUpgraded && !isLeft) referees.delete(user);
  }

  /** Makes everything of a user that of another one. */
  merge(from: string, into: string): Outcome {
    if (this.earnOuts.some(({ owner, status }) => owner === from && status === 'processing'))
      return 'EARN_OUT_IN_PROGRESS';
    const isClash = (keys: Iterable<string>): boolean => {
      const all = new Set(keys);
      return [...all].some((key) => key.startsWith(`${from}/`) && all.has(into + key.slice(from.length)));
    };
    if ([this.#purchases, this.#refunds, this.#adjustments].some((of) => isClash(of.keys()))) return 'REFERENCES_CLASH';
    const isOne = (user: string | null): boolean => user === from || user === into;
    for (const one of this.commissions)
      if (isOne(one.owner) && isOne(one.referee) && !one.earnOut && !one.isRejected && !one.isMoved) this.reject(one);
    this.#keepFirstSignup(from, into);
    this.#mergeBuyers(from, into);
    const to = <T extends string | null>(user: T): T => (user === from ? (into as T) : user);
    for (const one of this.commissions) Object.assign(one, { owner: to(one.owner), referee: to(one.referee) });
    for (const one of [...this.#entries, ...this.earnOuts, ...this.codes]) Object.assign(one, { owner: to(one.owner) });
    for (const one of this.#purchases.values()) {
      one.referrer = to(one.referrer);
      if (one.late) one.late.referrer = to(one.late.referrer);
    }
    for (const map of [this.#purchases, this.#refunds, this.#adjustments] as Map<string, unknown>[])
      for (const [key, value] of [...map]) {
        if (!key.startsWith(`${from}/`)) continue;
        map.delete(key);
        map.set(into + key.slice(from.length), value);
      }
    this.#touches.set(into, [...(this.#touches.get(into) ?? []), ...(this.#touches.get(from) ?? [])]);
    this.#touches.delete(from);
    this.#takenBack.set(into, (this.#takenBack.get(into) ?? 0) + (this.#takenBack.get(from) ?? 0));
    this.#takenBack.delete(from);
    this.#mergeAccounts(from, into);
    return 'merged';
  }

  /** One person signs up once, and never with a code of their own. */
  #keepFirstSignup(from: string, into: string): void {
    const both = [into, from].flatMap((user) => {
      const signup = this.#signups.get(user);
      return signup ? [{ user, signup }] : [];
    });
    const ownerOf = ({ code }: Signup): string | null => (code === null ? null : this.codes[code]!.owner);
    const isOwn = (owner: string | null): boolean => owner === from || owner === into;
    const kept = both.sort((a, b) => a.signup.at - b.signup.at).find(({ signup }) => !isOwn(ownerOf(signup)));
    for (const { user, signup } of both) {
      this.#signups.delete(user);
      const owner = ownerOf(signup);
      if (user !== kept?.user && owner !== null) this.#forget(owner, user);
    }
    if (kept) this.#signups.set(into, kept.signup);
  }

  /** The coupons of both: one that both have redeemed counts once, and their own come off. */
  #mergeBuyers(from: string, into: string): void {
    const [gone, kept] = [this.#buyers.get(from), this.#buyers.get(into)];
    const one = kept ?? gone;
    if (!one) return;
    if (gone && kept) {
      if (kept.channel === null) Object.assign(kept, { channel: gone.channel, isRedeemed: gone.isRedeemed });
      kept.firstAt = Math.min(kept.firstAt ?? Infinity, gone.firstAt ?? Infinity);
      if (kept.firstAt === Infinity) kept.firstAt = null;
      for (const [code, nth] of gone.redeemed) {
        const other = kept.redeemed.get(code);
        if (other !== undefined) this.#redemptions[code]!--;
        kept.redeemed.set(code, Math.min(other ?? nth, nth));
      }
    }
    const isOwn = (code: number): boolean => [from, into].includes(this.codes[code]!.owner);
    const { channel, isRedeemed, redeemed } = one;
    if (channel !== null && (isOwn(channel) || isRedeemed !== redeemed.has(channel)))
      Object.assign(one, { channel: null, isRedeemed: false });
    const last = [...redeemed].sort(([, a], [, b]) => a - b).at(-1)?.[0];
    one.lastChannel = last === undefined || isOwn(last) ? null : last;
    this.#buyers.delete(from);
    this.#buyers.set(into, one);
  }

  #mergeAccounts(from: string, into: string): void {
    for (const { referees } of this.#accounts.values()) {
      const gone = referees.get(from);
      if (!gone) continue;
      referees.delete(from);
      addPair(referees, into, gone);
    }
    const gone = this.#accounts.get(from);
    if (!gone) return;
    this.#accounts.delete(from);
    const kept = this.#accounts.get(into);
    if (!kept) return void this.#accounts.set(into, gone);
    kept.createdAt = Math.min(kept.createdAt, gone.createdAt);
    for (const [user, pair] of gone.referees) addPair(kept.referees, user, pair);
  }

  /** Decides what a user bought without a referrer in the last 30 days, oldest first, once there is a referrer. */
  #lookAgain(user: string): void {
    const choice = this.#referral(user);
    if (!choice || this.codes[choice.code!]!.owner === user) return; // one's own link decides nothing
    const waiting = [...this.#purchases].filter(([key, recorded]) => {
      const { late, at, amount, refunded } = recorded;
      const isWaiting = isUndecided(recorded) && late === null && at > this.now - 30 * dayMs;
      return key.startsWith(`${user}/`) && isWaiting && (amount === 0 || refunded < amount);
    });
    for (const [key, purchase] of waiting.sort(([, a], [, b]) => a.at - b.at)) {
      const { amount, refunded, at } = purchase;
      const late = this.#priced(choice, user, key.slice(user.length + 1), amount, at, this.#buyer(user));
      Object.assign(purchase, { late, commission: late.commission });
      this.#credit(late, user);
      if (late.commission && refunded > 0) this.#settle(purchase, late.commission);
    }
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
    this.#refunds.set(`${user}/${reference}`, { purchase: of, amount: back, isUndone: false });
    purchase.refunded += back;
    if (purchase.commission) this.#settle(purchase, purchase.commission);
    return JSON.stringify([back, left()]);
  }

  undo(user: string, reference: string): Outcome {
    const refund = this.#refunds.get(`${user}/${reference}`);
    if (!refund) return 'NOT_FOUND';
    const purchase = this.#purchases.get(`${user}/${refund.purchase}`)!;
    const { commission } = purchase;
    if (!refund.isUndone) {
      refund.isUndone = true;
      purchase.refunded -= refund.amount;
      if (commission && !commission.isRejected) this.#settle(purchase, commission);
    }
    return JSON.stringify([refund.amount, commission?.amount ?? null]);
  }

  hold(commission: Commission | undefined): Outcome {
    if (!commission) return 'NOT_FOUND';
    if (commission.isMoved) return 'COMMISSION_MOVED';
    if (commission.isRejected) return 'COMMISSION_REJECTED';
    if (commission.earnOut) return 'COMMISSION_BOUND';
    const heldFrom = commission.heldFrom ?? commission.availableAt;
    Object.assign(commission, { heldFrom, availableAt: Infinity });
    return this.status(commission);
  }

  release(commission: Commission | undefined): Outcome {
    if (!commission) return 'NOT_FOUND';
    if (commission.isMoved) return 'COMMISSION_MOVED';
    if (commission.isRejected) return 'COMMISSION_REJECTED';
    const { heldFrom, availableAt } = commission;
    Object.assign(commission, { heldFrom: null, availableAt: heldFrom ?? availableAt });
    return this.status(commission);
  }

  reject(commission: Commission | undefined): Outcome {
    if (!commission) return 'NOT_FOUND';
    if (commission.isMoved) return 'COMMISSION_MOVED';
    const { heldFrom, availableAt, amount } = commission;
    Object.assign(commission, { heldFrom: null, availableAt: heldFrom ?? availableAt });
    Object.assign(commission, { isReverted: true, isRejected: true });
    this.#take(commission, amount);
    return this.status(commission);
  }

  adjust(user: string, reference: string, amount: number, mode: Mode | null): Outcome {
    const key = `${user}/${reference}`;
    const known = this.#adjustments.get(key);
    if (known && (known.amount !== amount || (mode ?? known.mode) !== known.mode)) return 'REFERENCE_REUSED';
    const made = known ?? { amount, mode: mode ?? this.#account(user).mode };
    if (!known) {
      this.#account(user);
      this.#entries.push({ owner: user, ...made, commission: null, isAdjustment: true, earnOut: null });
    }
    this.#adjustments.set(key, made);
    return JSON.stringify([made.amount, made.mode]);
  }

  /** Spends up to an amount of a user's credit, oldest first. */
  spend(user: string, amount: number): Outcome {
    let rest = amount;
    for (const one of this.earnOuts.filter(({ owner }) => owner === user)) {
      const taken = Math.min(one.unspent, rest);
      one.unspent -= taken;
      rest -= taken;
    }
    return JSON.stringify(amount - rest);
  }

  balance(user: string): number {
    return this.earnOuts.reduce((sum, { owner, unspent }) => (owner === user ? sum + unspent : sum), 0);
  }

  /** What a user sets; asking for the account makes it. Another address ends the wait after refusals. */
  set(user: string, mode: Mode, email?: string | null): Outcome {
    const account = this.#account(user);
    if (email !== undefined && email !== account.email) this.#endWait(user, 'payout');
    Object.assign(account, { mode, email: email === undefined ? account.email : email });
    return 'ok';
  }

  /** Binds what is due, and asks the provider for all payouts whose time has come, also those of earlier runs. */
  runEarnOuts(manners: Readonly<Record<string, Manner>>, approval: Approval): Outcome {
    const made = this.#bind(approval);
    const settled = this.earnOuts.filter((one) => one.status === 'processing' && one.mode === 'credits');
    for (const one of settled) Object.assign(one, { status: 'completed', settledAt: this.now, unspent: one.amount });
    const isDue = ({ status, nextAttemptAt }: EarnOut): boolean =>
      status === 'processing' && nextAttemptAt !== null && nextAttemptAt <= this.now;
    for (const one of this.earnOuts.filter(isDue)) {
      this.#ask(one, manners[one.owner] ?? 'pays');
      if (one.status !== 'processing') settled.push(one);
    }
    const completed = settled.filter(({ status }) => status === 'completed');
    return JSON.stringify([made, completed.length, settled.length - completed.length, total(completed)]);
  }

  #ask(one: EarnOut, manner: Manner): void {
    one.attempts++;
    if (manner === 'refuses' && !one.isPaid) return this.#refuse(one, 'failed');
    one.isPaid ||= manner !== 'throws';
    if (manner === 'pays' || manner === 'refuses') return this.#complete(one);
    const wait = attemptWaits[one.attempts - 1];
    one.nextAttemptAt = wait === undefined ? null : this.now + wait * minuteMs;
    this.told.push('PAYOUT_UNCLEAR');
  }

  /** What the provider reports about a payout, perhaps against what it said before. */
  settle(one: EarnOut | undefined, report: Report): Outcome {
    if (!one) return 'NOT_FOUND';
    if (one.mode === 'credits') return 'NOT_CHANGEABLE';
    if (report === 'completed') {
      if (one.status === 'processing') this.#complete(one);
      else if (one.status !== 'completed') {
        this.told.push('PAYOUT_CONTRADICTED');
        this.#book(one);
      }
    } else if (one.status === 'processing') this.#refuse(one, report);
    else if (one.status === 'completed') {
      if (report === 'failed') this.told.push('PAYOUT_CONTRADICTED');
      this.#refuse(one, 'returned');
    }
    return one.status;
  }

  /** What staff do by hand. */
  retry(one: EarnOut | undefined): Outcome {
    if (!one) return 'NOT_FOUND';
    if (one.status === 'completed' || one.isAwaited) return 'NOT_CHANGEABLE';
    if (one.status === 'processing') Object.assign(one, { nextAttemptAt: this.now, attempts: 0 });
    else this.#endWait(one.owner, one.mode);
    return one.status;
  }

  approve(one: EarnOut | undefined): Outcome {
    if (!one) return 'NOT_FOUND';
    if (one.status === 'failed' || one.status === 'returned') return 'NOT_CHANGEABLE';
    if (one.isAwaited) Object.assign(one, { isAwaited: false, nextAttemptAt: this.now });
    return one.status;
  }

  /** A payment of the provider's list that nobody here knows. */
  reconcile(owner: string, amount: number): Outcome {
    this.#account(owner);
    const one = this.#made(owner, 'payout', amount, 0);
    one.isPaid = true;
    const debt = this.#book(one);
    return JSON.stringify([1, debt]);
  }

  #bind(approval: Approval): number {
    let made = 0;
    // Again until nothing is left: what the first look has netted may leave enough in the other mode.
    for (let before = -1; made > before;) {
      before = made;
      for (const owner of [...this.#accounts.keys()].sort())
        for (const { mode, amount, count, parts } of this.#payable(owner)) {
          const earnOut = this.#made(owner, mode, amount, count);
          for (const one of parts) one.earnOut = earnOut;
          if (mode === 'payout' && this.#isAwaited(owner, approval))
            Object.assign(earnOut, { isAwaited: true, nextAttemptAt: null });
          made++;
        }
    }
    return made;
  }

  #isAwaited(owner: string, approval: Approval): boolean {
    const isPaid = (o: EarnOut): boolean => o.owner === owner && o.mode === 'payout' && o.status === 'completed';
    return approval === 'all' || (approval === 'new-accounts' && !this.earnOuts.some(isPaid));
  }

  #made(owner: string, mode: Mode, amount: number, count: number): EarnOut {
    const earnOut: EarnOut = {
      ...{ owner, mode, amount, count, status: 'processing', createdAt: this.now, settledAt: null, isPaid: false },
      ...{ attempts: 0, nextAttemptAt: this.now, refusedAt: null, refusals: 0, isAwaited: false, unspent: 0 },
    };
    this.earnOuts.push(earnOut);
    return earnOut;
  }

  /** What would be paid to a user now: nothing below the minimum, which is of both modes together. */
  #payable(owner: string) {
    const nets = { credits: this.#net(owner, 'credits'), payout: this.#net(owner, 'payout') };
    const isNetting = (mode: Mode): boolean => nets[mode].ready + nets[mode].debt > 0;
    // Nobody is paid in one mode who owes in the other.
    const due = (['credits', 'payout'] as const)
      .filter((mode) => nets[mode].isDue)
      .map((mode) => {
        const other = mode === 'credits' ? 'payout' : 'credits';
        const debts = isNetting(other) || nets[other].debt === 0 ? [] : nets[other].debts;
        const { commissions, entries, ready, debt } = nets[mode];
        const parts = [...commissions, ...entries, ...debts];
        return { mode, amount: ready + debt + total(debts), count: commissions.length, parts };
      })
      .filter(({ amount }) => amount > 0);
    return total(due) < this.options.minimum ? [] : due;
  }

  #complete(one: EarnOut): void {
    Object.assign(one, { status: 'completed', settledAt: this.now, nextAttemptAt: null, isAwaited: false });
  }

  /** Frees what is bound. The account waits longer after each refusal in a row, and after the last one for good. */
  #refuse(one: EarnOut, status: 'failed' | 'returned'): void {
    for (const part of [...this.commissions, ...this.#entries]) if (part.earnOut === one) part.earnOut = null;
    const ofAccount = this.earnOuts.filter((o) => o !== one && o.owner === one.owner && o.mode === one.mode);
    const isUnpaid = (o: EarnOut): boolean => o.status === 'failed' || o.status === 'returned';
    const before = ofAccount
      .filter(isUnpaid)
      .sort((a, b) => a.refusedAt! - b.refusedAt!)
      .at(-1);
    const isInARow = !ofAccount.some((o) => o.status === 'completed' && o.settledAt! > (before?.refusedAt ?? Infinity));
    const refusals = (before && isInARow ? before.refusals : 0) + 1;
    const wait = refusalWaits[refusals - 1];
    const nextAttemptAt = wait === undefined ? null : this.now + wait * minuteMs;
    Object.assign(one, { status, settledAt: this.now, refusedAt: this.now, refusals, nextAttemptAt, isAwaited: false });
  }

  #endWait(owner: string, mode: Mode): void {
    for (const one of this.earnOuts) {
      if (one.owner !== owner || one.mode !== mode || (one.status !== 'failed' && one.status !== 'returned')) continue;
      const isWaiting = one.refusals > 0 || one.nextAttemptAt === null || one.nextAttemptAt > this.now;
      if (isWaiting) Object.assign(one, { nextAttemptAt: this.now, refusals: 0 });
    }
  }

  /** Money that was paid although nothing is bound: takes the oldest commissions, as far as it goes, and owes the rest. */
  #book(one: EarnOut): number {
    const { owner, amount } = one;
    const isOpen = (c: Commission): boolean =>
      c.owner === owner && c.mode === 'payout' && c.earnOut === null && c.availableAt <= this.now;
    const open = this.commissions
      .filter(isOpen)
      .sort((a, b) => a.availableAt - b.availableAt)
      .map((commission) => {
        const entries = this.#entries.filter((entry) => entry.commission === commission && entry.earnOut === null);
        return { commission, entries, left: commission.earned + total(entries) };
      })
      .filter(({ left }) => left <= amount);
    let rest = amount;
    one.count = 0;
    for (const { commission, entries, left } of open) {
      if (left > rest) break;
      rest -= left;
      one.count++;
      for (const part of [commission, ...entries]) part.earnOut = one;
    }
    if (rest > 0)
      for (const [sum, earnOut] of [[rest, one] as const, [-rest, null] as const])
        this.#entries.push({ owner, mode: 'payout', amount: sum, commission: null, isAdjustment: false, earnOut });
    this.#complete(one);
    one.refusals = 0;
    return rest;
  }

  totals(user: string): Outcome {
    const { createdAt, referees } = this.#account(user);
    const sums = (['credits', 'payout'] as const).map((mode) => {
      const all = this.commissions.filter((one) => one.owner === user && one.mode === mode);
      const available = all.filter(({ availableAt }) => availableAt <= this.now);
      const adjusted = total(
        this.#entries.filter((one) => one.isAdjustment && one.owner === user && one.mode === mode),
      );
      return [total(available) + adjusted - this.paid(user, mode), total(all) + adjusted];
    });
    const upgraded = [...referees.values()].filter(({ isUpgraded }) => isUpgraded).length;
    const modes = (['credits', 'payout'] as const).map((mode, n) => {
      return { amount: sums[n]![0]!, from: this.#payableFrom(user, mode) };
    });
    const times = (isPast: boolean): number[] =>
      modes.flatMap(({ amount, from }) => (amount > 0 && from !== null && from <= this.now === isPast ? [from] : []));
    const due = modes
      .filter(({ amount, from }) => amount < 0 || (from !== null && from <= this.now))
      .reduce((all, { amount }) => all + amount, 0);
    const period = this.#periodStart(createdAt);
    const later = times(false).length > 0 ? Math.min(...times(false)) : period + this.options.everyDays * dayMs;
    const next = due >= this.options.minimum ? Math.max(period, Math.min(...times(true))) : later;
    return JSON.stringify([...sums, referees.size, upgraded, next]);
  }

  /** What completed earn-outs have paid of a user's earnings in a mode. */
  paid(user: string, mode: Mode): number {
    const bound = this.commissions.filter((one) => one.owner === user && one.mode === mode && one.earnOut !== null);
    const netted = this.#entries.filter((one) => one.earnOut !== null && one.owner === user && one.mode === mode);
    const takenBack = mode === 'credits' ? (this.#takenBack.get(user) ?? 0) : 0;
    return bound.reduce((sum, { earned }) => sum + earned, 0) + total(netted) - takenBack;
  }

  /** From when on a mode can be paid; null if it can't. */
  #payableFrom(owner: string, mode: Mode): number | null {
    const { createdAt, email } = this.#accounts.get(owner)!;
    const ofMode = this.earnOuts.filter((one) => one.owner === owner && one.mode === mode);
    const refused = ofMode.filter(({ status }) => status === 'failed' || status === 'returned');
    if ((mode === 'payout' && email === null) || refused.some(({ nextAttemptAt }) => nextAttemptAt === null))
      return null;
    const every = this.options.everyDays * dayMs;
    const period = this.#periodStart(createdAt);
    const isUsed = ofMode.some(
      ({ status, createdAt: at }) => status === 'processing' || (status === 'completed' && at >= period),
    );
    return Math.max(
      ...[createdAt + every, isUsed ? period + every : 0, ...refused.map(({ nextAttemptAt }) => nextAttemptAt!)],
    );
  }

  /** What a user could be paid in a mode, and owes in it. */
  #net(owner: string, mode: Mode) {
    const isReady = (one: Commission): boolean => one.availableAt <= this.now;
    const commissions = this.commissions.filter(
      (one) => one.owner === owner && one.mode === mode && one.earnOut === null && isReady(one),
    );
    // While a commission is being paid, nobody knows yet whether what was refunded of it is a debt.
    const entries = this.#entries.filter((one) => {
      const { commission, earnOut } = one;
      if (one.owner !== owner || one.mode !== mode || earnOut !== null) return false;
      return (
        commission === null || (isReady(commission) && (commission.earnOut?.status ?? 'completed') === 'completed')
      );
    });
    const debts = entries.filter(({ commission, amount }) => (commission ? commission.earnOut !== null : amount < 0));
    const ready = commissions.reduce((sum, { earned }) => sum + earned, 0) + total(entries) - total(debts);
    const from = this.#payableFrom(owner, mode);
    const isDue = from !== null && from <= this.now;
    return { commissions, entries, debts, ready, debt: total(debts), isDue };
  }

  status({ isReverted, isRejected, heldFrom, availableAt }: Commission): string {
    if (isRejected) return 'rejected';
    if (isReverted) return 'reverted';
    if (heldFrom !== null) return 'held';
    return availableAt <= this.now ? 'available' : 'pending';
  }

  /** What has happened with a channel: uses, commissions and revenue. */
  channelTotals(code: number): [number, number, number] {
    const commissions = this.commissions.filter(({ channel }) => channel === code);
    const revenue = [...this.#purchases.values()].filter(
      ({ late, ...first }) => (late ?? first).channel === code && (late ?? first).isRevenue,
    );
    return [
      this.#redemptions[code]!,
      commissions.reduce((sum, { amount }) => sum + amount, 0),
      revenue.reduce((sum, { amount, refunded }) => sum + amount - refunded, 0),
    ];
  }

  #priced(choice: Choice | null, user: string, reference: string, amount: number, at: number, buyer: Buyer): Purchase {
    const none = { amount, refunded: 0, commission: null };
    if (!choice)
      return {
        ...{ ...none, source: null, referrer: null, mode: null, channel: null, isRevenue: false },
        refusal: 'no-referrer',
      };
    const { owner, channel } = this.codes[choice.code!]!;
    const terms = choice.terms ?? this.options;
    const isFirst = at < Math.min(buyer.firstAt ?? at, at) + (channel?.initialDays ?? 0) * dayMs;
    const rate = channel ? (isFirst ? channel.initialRate : channel.ongoingRate) : terms.ratio;
    const max = channel ? channel.max : terms.max;
    const account = this.#accounts.get(owner);
    const cent = this.#cent;
    const room = Math.trunc(((max ?? Infinity) - (account?.referees.get(user)?.earned ?? 0)) / cent) * cent;
    const whole = share(amount, rate, 10_000 * cent) * cent;
    const isOwn = choice.source === 'attribution' && owner === user;
    const signup = this.#signups.get(user);
    const otherwise = signup ? signup.code : this.#touch(user);
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
      ...{ heldFrom: null, isReverted: false, isRejected: false, earnOut: null, isMoved: false, movedFrom: null },
    };
    const isRevenue = channel !== null && !isOwn && (otherwise === null || this.codes[otherwise]!.owner === owner);
    return { ...none, ...facts, isRevenue, refusal, commission: refusal === null ? commission : null };
  }

  #choose(user: string, at: number, buyer: Buyer): Choice | null {
    const { channel, isRedeemed, lastChannel } = buyer;
    if (channel !== null) {
      const { isActive, isRecurring } = this.codes[channel]!.channel!;
      if (isRedeemed ? isRecurring : isActive && at >= this.start && this.#isOpen(this.codes[channel]!.channel!, at))
        return { source: 'coupon', code: channel, terms: null };
    }
    const referral = this.#referral(user);
    if (referral) return referral;
    return lastChannel === null ? null : { source: 'earlier-coupon', code: lastChannel, terms: null };
  }

  /** What a user signed up with, or else came through. */
  #referral(user: string): Choice | null {
    const signup = this.#signups.get(user);
    if (signup) return signup.code === null ? null : signup;
    const touch = this.#touch(user);
    return touch === null ? null : { source: 'attribution', code: touch, terms: this.codes[touch]!.terms };
  }

  /** What is taken back in all is in proportion to all that is refunded. */
  #settle(purchase: Purchase, commission: Commission): void {
    if (commission.isRejected) return;
    const { amount, refunded } = purchase;
    const taken = this.#takenBy(purchase, commission.earned);
    commission.isReverted = refunded === amount;
    this.#take(commission, taken - (commission.earned - commission.amount));
  }

  /** Takes an amount of a commission, or gives it back, below 0. What of its credit is unspent is taken back first. */
  #take(commission: Commission, back: number): void {
    const { owner, mode, earnOut } = commission;
    commission.amount -= back;
    this.#accounts.get(owner)!.referees.get(commission.referee)!.earned -= back;
    const taken = Math.min(Math.max(back, 0), earnOut?.unspent ?? 0);
    if (earnOut) earnOut.unspent -= taken;
    this.#takenBack.set(owner, (this.#takenBack.get(owner) ?? 0) + taken);
    const amount = taken - back;
    if (back !== 0) this.#entries.push({ owner, mode, amount, commission, isAdjustment: false, earnOut: null });
  }

  #takenBy({ amount, refunded }: Purchase, earned: number): number {
    return share(earned, refunded, amount * this.#cent) * this.#cent;
  }

  #isOpen({ endDays }: ModelChannel, at: number): boolean {
    return endDays === null || this.start + endDays * dayMs > at;
  }

  #periodStart(createdAt: number): number {
    const every = this.options.everyDays * dayMs;
    return createdAt + Math.floor((this.now - createdAt) / every) * every;
  }

  #account(user: string): Account {
    const fresh: Account = { mode: 'credits', email: null, createdAt: this.now, referees: new Map() };
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
    const fresh = {
      channel: null,
      isRedeemed: false,
      lastChannel: null,
      firstAt: null,
      redeemed: new Map<number, number>(),
    };
    const buyer = this.#buyers.get(user) ?? fresh;
    this.#buyers.set(user, buyer);
    return buyer;
  }
}

/** Adds what a referee has earned a referrer to what the same referee has earned already. */
function addPair(
  referees: Account['referees'],
  user: string,
  { earned, isUpgraded }: { earned: number; isUpgraded: boolean },
): void {
  const pair = referees.get(user) ?? { earned: 0, isUpgraded: false };
  referees.set(user, { earned: pair.earned + earned, isUpgraded: pair.isUpgraded || isUpgraded });
}

/** Whether a purchase has no referrer, or only the buyer. */
const isUndecided = ({ refusal }: Purchase): boolean => refusal === 'no-referrer' || refusal === 'own-referral';

function shown({ source, referrer, mode, refusal, commission }: Purchase): Outcome {
  return JSON.stringify([source, referrer, mode, refusal, commission && [commission.earned, commission.amount]]);
}
