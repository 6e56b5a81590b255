/** What is expected of sign-ups and credits, in plain arithmetic: amounts are whole numbers of 1/10,000. */

export interface ModelType {
  isRefundable: boolean;
  products: string[];
}

interface Side {
  amount: number;
  days: number;
  type: number;
}

export interface ModelProgram {
  threshold: number;
  referralCredit: Side | null;
  rewardCredit: Side | null;
  allowedUses: number;
}

interface Credit {
  owner: string;
  type: ModelType;
  initial: number;
  balance: number;
  start: number;
  expiry: number;
}

interface Spend {
  kind: 'spend' | 'hold';
  amount: number;
  covered: number;
  captured: number | null;
  refunded: number | null;
  /** When a hold ends by itself. */
  ends: number | null;
  isExpired: boolean;
  /** The refunds by their references. */
  refunds: Map<string, { amount: number | null; expired: number }>;
  /** Of which credit how much, soonest to expire first. */
  taken: { credit: Credit; amount: number }[];
}

/** What a call answers: something to compare, or the code of an error. */
export type Outcome = string;

const dayMs = 86_400_000;

export class LedgerModel {
  now = 0;
  readonly credits: Credit[] = [];
  readonly #uses: number[];
  readonly #signups = new Map<string, { program: ModelProgram; usage: number; isReached: boolean }>();
  readonly #usages = new Map<string, number>();
  readonly #adjustments = new Map<string, number>();
  readonly #spends = new Map<string, Spend>();

  constructor(
    readonly types: readonly ModelType[],
    readonly programs: readonly ModelProgram[],
    readonly referrer: string,
  ) {
    this.#uses = programs.map(() => 0);
  }

  advance(days: number): Outcome {
    this.now += days * dayMs;
    for (const spend of this.#spends.values())
      if (spend.captured === null && spend.ends !== null && spend.ends <= this.now) {
        spend.isExpired = true;
        this.#settle(spend, 0);
      }
    return 'ok';
  }

  signUp(user: string, code: number): Outcome {
    const program = this.programs[code]!;
    if (user === this.referrer) return 'own-code';
    if (this.#signups.has(user)) return 'signed up';
    if (program.allowedUses !== -1 && this.#uses[code]! >= program.allowedUses) return 'used-up';
    this.#uses[code]!++;
    const signup = { program, usage: 0, isReached: program.threshold === 0 };
    this.#signups.set(user, signup);
    this.give(user, program.referralCredit);
    if (signup.isReached) this.give(this.referrer, program.rewardCredit);
    return 'signed up';
  }

  give(owner: string, side: Side | null): Outcome {
    if (side) {
      const credit = { owner, type: this.types[side.type]!, initial: side.amount, balance: side.amount };
      this.credits.push({ ...credit, start: this.now, expiry: this.now + side.days * dayMs });
    }
    return 'ok';
  }

  use(user: string, reference: string, amount: number): Outcome {
    const key = `${user}/${reference}`;
    const before = this.#usages.get(key);
    if (before !== undefined) return before === amount ? 'ok' : 'REFERENCE_REUSED';
    this.#usages.set(key, amount);
    const signup = this.#signups.get(user);
    if (!signup) return 'ok';
    signup.usage += amount;
    if (!signup.isReached && signup.usage >= signup.program.threshold) {
      signup.isReached = true;
      this.give(this.referrer, signup.program.rewardCredit);
    }
    return 'ok';
  }

  spend(
    kind: 'spend' | 'hold',
    user: string,
    reference: string,
    {
      amount,
      product,
      isPartial,
      endDays,
    }: { amount: number; product: string | null; isPartial: boolean; endDays: number | null },
  ): Outcome {
    const key = `${user}/${reference}`;
    const before = this.#spends.get(key);
    if (before) return before.amount === amount && before.kind === kind ? shown(before) : 'REFERENCE_REUSED';
    const usable = this.#spendable(user, product);
    const available = usable.reduce((sum, { balance }) => sum + balance, 0);
    if (available < amount && !isPartial) return 'INSUFFICIENT_CREDIT';
    const taken: Spend['taken'] = [];
    let open = Math.min(amount, available);
    const covered = open;
    for (const credit of usable) {
      const share = Math.min(credit.balance, open);
      if (share === 0) continue;
      credit.balance -= share;
      open -= share;
      taken.push({ credit, amount: share });
    }
    const ends = kind === 'hold' && endDays !== null ? this.now + endDays * dayMs : null;
    const spend: Spend = {
      ...{ kind, amount, covered, captured: kind === 'spend' ? covered : null, refunded: null, taken },
      ...{ ends, isExpired: false, refunds: new Map() },
    };
    this.#spends.set(key, spend);
    return shown(spend);
  }

  adjust(user: string, reference: string, amount: number): Outcome {
    const key = `${user}/${reference}`;
    const before = this.#adjustments.get(key);
    if (before !== undefined) return before === amount ? 'ok' : 'REFERENCE_REUSED';
    const usable = this.#current(user);
    const available = usable.reduce((sum, { balance }) => sum + balance, 0);
    if (usable.length === 0 || available + amount < 0) return 'INVALID_INPUT';
    if (amount > 0) usable.at(-1)!.balance += amount;
    let open = Math.max(-amount, 0);
    for (const credit of usable) {
      const share = Math.min(credit.balance, open);
      credit.balance -= share;
      open -= share;
    }
    this.#adjustments.set(key, amount);
    return 'ok';
  }

  capture(user: string, reference: string, amount: number | null): Outcome {
    const spend = this.#spends.get(`${user}/${reference}`);
    if (!spend) return 'NOT_FOUND';
    if (spend.isExpired) return 'HOLD_EXPIRED';
    if (spend.kind === 'spend') return 'WRONG_STATE';
    const wanted = amount ?? spend.covered;
    if (spend.captured !== null) return spend.captured === wanted ? shown(spend) : 'WRONG_STATE';
    if (wanted > spend.covered) return 'INVALID_INPUT';
    return this.#settle(spend, wanted);
  }

  release(user: string, reference: string): Outcome {
    const spend = this.#spends.get(`${user}/${reference}`);
    if (!spend) return 'NOT_FOUND';
    if (spend.kind === 'spend' || (spend.captured ?? 0) > 0) return 'WRONG_STATE';
    return spend.captured === 0 ? shown(spend) : this.#settle(spend, 0);
  }

  refund(
    user: string,
    reference: string,
    { amount, key, extendDays }: { amount: number | null; key: string | null; extendDays: number | null },
  ): Outcome {
    const spend = this.#spends.get(`${user}/${reference}`);
    if (!spend) return 'NOT_FOUND';
    if (spend.captured === null) return 'WRONG_STATE';
    const known = spend.refunds.get(key ?? `${amount ?? 'all'}`);
    if (known) return amount === null || known.amount === amount ? shown(spend, known.expired) : 'REFERENCE_REUSED';
    const left = spend.captured - (spend.refunded ?? 0);
    if (amount !== null && amount > left) return left === 0 ? 'NOTHING_TO_REFUND' : 'INVALID_INPUT';
    let back = amount ?? left;
    let expired = 0;
    spend.refunded ??= 0;
    for (const taken of this.#lastFirst(spend).filter((one) => one.credit.type.isRefundable)) {
      const share = Math.min(taken.amount, back);
      if (share === 0) continue;
      taken.amount -= share;
      taken.credit.balance += share;
      back -= share;
      spend.refunded += share;
      if (extendDays !== null) taken.credit.expiry = Math.max(taken.credit.expiry, this.now + extendDays * dayMs);
      if (taken.credit.expiry <= this.now) expired += share;
    }
    spend.refunds.set(key ?? `${amount ?? 'all'}`, { amount, expired });
    return shown(spend, expired);
  }

  balance(user: string, product: string | null): number {
    const usable = product === null ? this.#current(user) : this.#spendable(user, product);
    return usable.reduce((sum, { balance }) => sum + balance, 0);
  }

  /** The rest goes back, last to expire first. */
  #settle(spend: Spend, captured: number): Outcome {
    spend.captured = captured;
    let back = spend.covered - captured;
    for (const taken of this.#lastFirst(spend)) {
      const share = Math.min(taken.amount, back);
      taken.amount -= share;
      taken.credit.balance += share;
      back -= share;
    }
    return shown(spend);
  }

  /** What was taken from each credit, last to expire first. */
  #lastFirst(spend: Spend): Spend['taken'] {
    const place = ({ credit }: Spend['taken'][number]): number => this.credits.indexOf(credit);
    return [...spend.taken].sort((a, b) => b.credit.expiry - a.credit.expiry || place(b) - place(a));
  }

  #current(user: string): Credit[] {
    // Sorting is stable: of those that expire together, the one given first comes first.
    return this.credits
      .filter(({ owner, start, expiry }) => owner === user && start <= this.now && expiry > this.now)
      .sort((a, b) => a.expiry - b.expiry);
  }

  #spendable(user: string, product: string | null): Credit[] {
    return this.#current(user).filter(
      ({ type }) => type.products.length === 0 || (product !== null && type.products.includes(product)),
    );
  }
}

function shown({ covered, captured, refunded }: Spend, expired?: number): Outcome {
  return JSON.stringify([covered, captured, refunded, ...(expired === undefined ? [] : [expired])]);
}
