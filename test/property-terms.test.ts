import { randomInt } from 'node:crypto';
import type { CommissionTerms, LimitPeriod, ReferralAccount } from '../lib';
import { type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

/** `SEED=… npx jest test/property-terms` for the same sequences again. */
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
console.log(`SEED=${seed}`);

/** A whole number from 0 up to, not including, `below`: always the same ones for a seed. */
let state = seed;
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return Math.floor(((state >>> 8) / 2 ** 23) * below);
}
const oneOf = <T>(...values: readonly T[]): T => values[random(values.length)]!;

/** Terms in whole cents and hundredths: plain arithmetic, without the package. */
interface Terms {
  percent: number | null;
  flat: number | null;
  months: number | null;
  purchases: number | null;
  perReferee: number | null;
  signup: number | null;
  qualify: boolean;
  limit: { amount: number; period: LimitPeriod } | null;
}

const optionTerms: Terms = {
  ...{
    percent: 25,
    flat: null,
    months: null,
    purchases: null,
    perReferee: null,
    signup: 0,
    qualify: false,
    limit: null,
  },
};

function randomTerms(): Terms | null {
  if (random(6) === 0) return null;
  const kind = random(5);
  const isSet = kind > 0;
  return {
    percent: isSet && kind < 3 ? random(101) : null,
    flat: kind >= 3 ? 1 + random(900) : null,
    months: isSet && random(3) === 0 ? 1 + random(3) : null,
    purchases: isSet && random(3) === 0 ? 1 + random(3) : null,
    perReferee: isSet && random(3) === 0 ? 1 + random(3000) : null,
    signup: kind === 0 || random(2) === 0 ? random(700) : null,
    qualify: random(2) === 0,
    limit: random(2) === 0 ? { amount: 1 + random(4000), period: oneOf('month', 'quarter', 'year', 'all') } : null,
  };
}

const money = (cents: number): string => (cents / 100).toFixed(2);

function toInput(terms: Terms): CommissionTerms {
  return {
    ...(terms.percent !== null && { ratio: money(terms.percent) }),
    ...(terms.flat !== null && { amount: money(terms.flat) }),
    ...(terms.months !== null && { months: terms.months }),
    ...(terms.purchases !== null && { purchases: terms.purchases }),
    ...(terms.perReferee !== null && { maxPerReferee: money(terms.perReferee) }),
    ...(terms.signup !== null && { signup: money(terms.signup), qualify: terms.qualify }),
    ...(terms.limit && { maxPerReferrer: { amount: money(terms.limit.amount), period: terms.limit.period } }),
  };
}

/** The same moment some calendar months later, in UTC; the last day of the month if there is no such day. */
function later(date: Date, months: number): Date {
  const moved = new Date(date);
  moved.setUTCMonth(date.getUTCMonth() + months, 1);
  const days = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate();
  moved.setUTCDate(Math.min(date.getUTCDate(), days));
  return moved;
}

function periodOf(period: LimitPeriod, at: Date): string {
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  return { month: `${year}/${month}`, quarter: `${year} ${Math.floor(month / 3)}`, year: `${year}`, all: 'all' }[
    period
  ];
}

interface Pair {
  earned: number;
  purchases: number;
  first: Date | null;
  isDecided: boolean;
}
interface Bought {
  paid: number;
  refunded: number;
  earned: number;
  back: number;
  period: string | null;
}

/** What one referrer earns, by plain arithmetic. */
class Model {
  account: Terms | null = null;
  readonly pairs = new Map<string, Pair>();
  readonly periods = new Map<string, number>();
  readonly bought = new Map<string, Bought>();

  #terms(): { purchase: Terms; signup: Terms; limit: Terms['limit'] } {
    const { account } = this;
    const hasRate = account !== null && (account.percent !== null || account.flat !== null);
    return {
      purchase: hasRate ? account : optionTerms,
      signup: account !== null && account.signup !== null ? account : optionTerms,
      limit: account?.limit ?? optionTerms.limit,
    };
  }

  /** What is left of a whole amount within the limits; a text says why nothing is. */
  #within(whole: number, pair: Pair, perReferee: number | null, at: Date): [number | string, string | null] {
    const { limit } = this.#terms();
    const period = limit && periodOf(limit.period, at);
    const room = perReferee === null ? Infinity : perReferee - pair.earned;
    if (room <= 0) return ['limit-reached', null];
    const ofReferrer = limit === null ? Infinity : limit.amount - (this.periods.get(period!) ?? 0);
    if (ofReferrer <= 0) return ['referrer-limit', null];
    const earned = Math.min(whole, room, ofReferrer);
    pair.earned += earned;
    if (period !== null) this.periods.set(period, (this.periods.get(period) ?? 0) + earned);
    return [earned, period];
  }

  buy(user: string, reference: string, paid: number, at: Date): number | string {
    const { purchase: terms } = this.#terms();
    const pair = this.pairs.get(user)!;
    const first = pair.first === null || at < pair.first ? at : pair.first;
    const left = terms.purchases === null ? Infinity : terms.purchases - pair.purchases;
    if (paid > 0) Object.assign(pair, { first, purchases: pair.purchases + 1 });
    const whole = terms.flat === null ? Math.floor((paid * terms.percent! + 50) / 100) : paid > 0 ? terms.flat : 0;
    const [earned, period] = ((): [number | string, string | null] => {
      if (terms.percent === 0) return ['no-rate', null];
      if (terms.months !== null && at >= later(first, terms.months)) return ['term-ended', null];
      if (left <= 0) return ['purchases-used', null];
      if (whole === 0) return ['too-small', null];
      return this.#within(whole, pair, terms.perReferee, at);
    })();
    this.bought.set(`${user}/${reference}`, {
      ...{ paid, refunded: 0, earned: typeof earned === 'number' ? earned : 0, back: 0, period },
    });
    return earned;
  }

  refund(user: string, reference: string, amount: number): number {
    const bought = this.bought.get(`${user}/${reference}`)!;
    bought.refunded += amount;
    const back = Math.floor((2 * bought.earned * bought.refunded + bought.paid) / (2 * bought.paid));
    const more = back - bought.back;
    bought.back = back;
    this.pairs.get(user)!.earned -= more;
    if (bought.period !== null) this.periods.set(bought.period, this.periods.get(bought.period)! - more);
    return bought.earned - back;
  }

  signUp(user: string, at: Date): number | string | null {
    this.pairs.set(user, { earned: 0, purchases: 0, first: null, isDecided: false });
    const { signup } = this.#terms();
    return signup.qualify || signup.signup === 0 ? null : this.qualify(user, at);
  }

  qualify(user: string, at: Date): number | string | null {
    const pair = this.pairs.get(user)!;
    if (pair.isDecided) return null;
    pair.isDecided = true;
    const { signup, purchase } = this.#terms();
    return signup.signup === 0 ? 'no-rate' : this.#within(signup.signup!, pair, purchase.perReferee, at)[0];
  }
}

async function sequence(host: EarningsHost): Promise<void> {
  const { referrals, clock } = host;
  const referrer = fresh('referrer');
  const model = new Model();
  const { code } = await refer(host, referrer, fresh('somebody'));
  let account: ReferralAccount = await referrals.accounts.of(referrer);
  const users: string[] = [];
  const paid: { user: string; reference: string; left: number }[] = [];
  const signUp = async (): Promise<void> => {
    const user = fresh('user');
    users.push(user);
    const expected = model.signUp(user, clock.time);
    await referrals.signups.create({ user, code });
    const [commission] = await referrals.commissions.search({ where: { refereeId: user } });
    expect(commission?.earned ?? null).toEqual(typeof expected === 'number' ? money(expected) : null);
  };
  await signUp();
  for (let step = 0; step < 14; step++) {
    clock.time = new Date(clock.time.getTime() + random(20) * 86_400_000 + 1000);
    const user = oneOf(...users);
    const what = random(10);
    if (what === 0) await signUp();
    else if (what < 3) {
      model.account = randomTerms();
      account = await referrals.accounts.update(account, { commission: model.account && toInput(model.account) });
    } else if (what === 3) {
      const expected = model.qualify(user, clock.time);
      const { commission, signup } = await referrals.qualify(user, { reference: fresh('q') });
      if (expected !== null)
        expect(commission?.earned ?? signup.noCommission).toBe(
          typeof expected === 'number' ? money(expected) : expected,
        );
    } else if (what < 6 && paid.length > 0) {
      const { reference, user: buyer, left } = paid[random(paid.length)]!;
      const amount = 1 + random(left);
      const expected = model.refund(buyer, reference, amount);
      const { commission } = await referrals.recordRefund(buyer, {
        ...{ purchase: reference, reference: fresh('r'), amount: money(amount) },
      });
      expect(commission?.amount ?? '0.00').toBe(money(expected));
      const index = paid.findIndex((one) => one.reference === reference);
      if (left === amount) paid.splice(index, 1);
      else paid[index]!.left -= amount;
    } else {
      const amount = oneOf(0, 1, 10, 1 + random(9999));
      const reference = fresh('p');
      const at = new Date(clock.time.getTime() - random(3) * random(100) * 86_400_000);
      const expected = model.buy(user, reference, amount, at);
      const { purchase, commission } = await referrals.recordPurchase(user, { amount: money(amount), reference, at });
      expect(commission?.earned ?? purchase.noCommission).toBe(
        typeof expected === 'number' ? money(expected) : expected,
      );
      if (amount > 0) paid.push({ user, reference, left: amount });
    }
  }
}

test('60 sequences earn what plain arithmetic says', async () => {
  const host = await startEarnings();
  for (let index = 0; index < 60; index++) await sequence(host);
  expect((await host.referrals.verify()).problems).toEqual([]);
});
