import { closeAll } from './support/host';
import { type EarningsHost, refer, startEarnings } from './support/earnings';

afterAll(closeAll);

type Step = 'purchase' | 'mature' | 'earn out' | 'partial refund' | 'full refund' | 'another purchase';
const steps: readonly Step[] = ['purchase', 'mature', 'earn out', 'partial refund', 'full refund'];
/** The steps after each order: a later earn-out subtracts the refunds of paid commissions. */
const epilogue: readonly Step[] = ['another purchase', 'mature', 'earn out'];

function permutations<T>(of: readonly T[]): T[][] {
  if (of.length === 0) return [[]];
  return of.flatMap((one, index) => permutations(of.toSpliced(index, 1)).map((rest) => [one, ...rest]));
}

const isBefore = (order: readonly Step[], first: Step, second: Step): boolean =>
  order.indexOf(first) < order.indexOf(second);
const orders = permutations(steps).filter(
  (order) => isBefore(order, 'purchase', 'partial refund') && isBefore(order, 'purchase', 'full refund'),
);

const pendingDays = 30;
const minimum = 100;

interface Commission {
  earned: number;
  amount: number;
  availableOn: number;
  isReverted: boolean;
}

/** What is expected of one referrer and one buyer, in cents. */
class Model {
  #days = 0;
  #paid = 0;
  readonly #commissions: Commission[] = [];
  readonly #earnOuts: number[] = [];

  /** Answers the code of an error, where one is expected. */
  do(step: Step): string | null {
    switch (step) {
      case 'purchase':
        this.#earn(2500); // a quarter of 100.00
        return null;
      case 'another purchase':
        this.#earn(5000);
        return null;
      case 'mature':
        this.#days += pendingDays;
        return null;
      case 'earn out': {
        // The account is as old as the sign-up, and in its first week nothing is due.
        const waiting = this.#waiting();
        if (this.#days > 0 && waiting >= minimum) {
          this.#earnOuts.push(waiting);
          this.#paid += waiting;
        }
        return null;
      }
      case 'partial refund': {
        const [first] = this.#commissions;
        if (first!.isReverted) return 'NOTHING_TO_REFUND';
        first!.amount = 2500 - 833; // 33.33 of 100.00 takes 8.3325 back
        return null;
      }
      case 'full refund':
        Object.assign(this.#commissions[0]!, { amount: 0, isReverted: true });
        return null;
    }
  }

  shown(): object {
    const money = (cents: number): string => (cents / 100).toFixed(2);
    const total = this.#commissions.reduce((sum, { amount }) => sum + amount, 0);
    const status = (one: Commission): string =>
      one.isReverted ? 'reverted' : this.#isAvailable(one) ? 'available' : 'pending';
    return {
      totals: {
        ...{ creditsEarned: money(this.#waiting()), totalCreditsEarned: money(total) },
        ...{ payoutsEarned: '0.00', totalPayoutsEarned: '0.00', blocked: null },
        ...{ usersReferred: 1, usersUpgraded: this.#commissions.length > 0 ? 1 : 0 },
      },
      commissions: this.#commissions.map((one) => [status(one), money(one.earned), money(one.amount)]),
      earnOuts: this.#earnOuts.map((cents) => [money(cents), 'completed']),
      balance: money(this.#paid),
    };
  }

  #earn(earned: number): void {
    this.#commissions.push({ earned, amount: earned, availableOn: this.#days + pendingDays, isReverted: false });
  }

  #isAvailable({ availableOn }: Commission): boolean {
    return this.#days >= availableOn;
  }

  #waiting(): number {
    const available = this.#commissions.filter((one) => this.#isAvailable(one));
    return available.reduce((sum, { amount }) => sum + amount, 0) - this.#paid;
  }
}

let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings({
    commission: { pendingDays },
    earnOuts: { minimum: minimum / 100, takeBackCredit: false },
  });
});

function real(step: Step, buyer: string): Promise<unknown> {
  const { referrals, clock } = host;
  switch (step) {
    case 'purchase':
      return referrals.recordPurchase(buyer, { amount: '100', reference: 'inv' });
    case 'another purchase':
      return referrals.recordPurchase(buyer, { amount: '200', reference: 'inv 2' });
    case 'mature':
      return Promise.resolve(clock.advanceDays(pendingDays));
    case 'earn out':
      return referrals.runEarnOuts();
    case 'partial refund':
      return referrals.recordRefund(buyer, { purchase: 'inv', reference: 'part', amount: '33.33' });
    case 'full refund':
      return referrals.recordRefund(buyer, { purchase: 'inv', reference: 'rest' });
  }
}

async function shown(referrer: string): Promise<object> {
  const { referrals } = host;
  const { nextEarnOutAt: _, ...totals } = await referrals.accounts.totals(referrer);
  const commissions = await referrals.commissions.search({ where: { userId: referrer } });
  const earnOuts = await referrals.earnOuts.search({ where: { userId: referrer } });
  return {
    totals,
    commissions: commissions.map(({ status, earned, amount }) => [status, earned, amount]),
    earnOuts: earnOuts.map(({ amount, status }) => [amount, status]),
    balance: await referrals.credits.balance(referrer),
  };
}

// Of 5! orders, a third has the purchase before both refunds.
test('there are 40 orders', () => {
  expect(new Set(orders.map(String)).size).toBe(40);
});

test.each(orders.map((order) => [order.join(', '), order] as const))('%s', async (name, order) => {
  const [referrer, buyer] = [`referrer: ${name}`, `buyer: ${name}`];
  await refer(host, referrer, buyer);
  const model = new Model();
  for (const [index, step] of [...order, ...epilogue].entries()) {
    const wanted = model.do(step);
    const refused = await real(step, buyer).then(
      () => null,
      (error: { code: string }) => error.code,
    );
    expect([index, step, refused, await shown(referrer)]).toEqual([index, step, wanted, model.shown()]);
  }
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
