import request from 'supertest';
import type { EntityManager } from 'typeorm';
import {
  type Payout,
  PayoutRefused,
  type RecordedPurchase,
  ReferralAccountTotal,
  type ReferralEarnOut,
  type ReferralsOptions,
} from '../lib';
import { closeAll, openDataSource, waitFor } from './support/host';
import {
  couponOf,
  type EarningsHost,
  fresh,
  refer,
  refusalOf,
  seedCommissions,
  startEarnings,
} from './support/earnings';

afterAll(closeAll);

const day = 86_400_000;
let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings({ commission: { pendingDays: 0 } });
});

afterEach(async () => {
  expect(host.errors).toEqual([]);
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

/**
 * Does the first in a transaction, begins the second, and commits, or rolls back, once the second waits for a lock.
 * Before that, it does `last` in the transaction.
 */
async function whileWaiting<T>(
  first: (manager: EntityManager) => Promise<unknown>,
  second: () => Promise<T>,
  { of = host, isRolledBack = false, last }: Waiting = {},
): Promise<T> {
  const { dataSource } = of;
  let began: Promise<T> | undefined;
  const done = dataSource.transaction(async (manager) => {
    await first(manager);
    began = second();
    began.catch(() => undefined);
    await untilWaiting(of, 1);
    await last?.(manager);
    if (isRolledBack) throw new Error('changed my mind');
  });
  if (isRolledBack) await expect(done).rejects.toThrow('changed my mind');
  else await done;
  return began!;
}

/** Waits until so many statements of a host wait for a lock. */
function untilWaiting({ dataSource, schema }: EarningsHost, count: number): Promise<void> {
  return waitFor(async () => {
    const [row] = await dataSource.query<{ waiting: number }[]>(
      `SELECT count(*)::int AS waiting FROM pg_locks l JOIN pg_stat_activity a USING (pid)
       WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%' || $1 || '%'`,
      [schema],
    );
    return row!.waiting >= count;
  });
}

interface Waiting {
  of?: EarningsHost;
  isRolledBack?: boolean;
  last?: (manager: EntityManager) => Promise<unknown>;
}

/** So many calls at once, each second one in a transaction of the host's. */
function atOnce<T>(calls: number, call: (index: number, manager?: EntityManager) => Promise<T>): Promise<T[]> {
  return Promise.all(
    Array.from({ length: calls }, (_, index) =>
      index % 2 === 0 ? call(index) : host.dataSource.transaction((manager) => call(index, manager)),
    ),
  );
}

const tally = (words: readonly unknown[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[String(word)] = (counts[String(word)] ?? 0) + 1;
  return counts;
};

const buy = (buyer: string, amount: number, reference: string, manager?: EntityManager): Promise<RecordedPurchase> =>
  host.referrals.recordPurchase(buyer, { amount, reference, manager });

const counts = async (user: string): Promise<number[]> => {
  const { usersReferred, usersUpgraded } = await host.referrals.accounts.totals(user);
  return [usersReferred, usersUpgraded];
};

describe('one purchase reference', () => {
  test('from many calls at once is one purchase, with one commission; all answer it', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer);
    host.told.length = 0;
    const made = await atOnce(20, (_, manager) => buy(buyer, 40, 'inv', manager));
    expect(tally(made.map(({ purchase, commission }) => `${purchase.id} ${commission!.id}`))).toEqual({
      [`${made[0]!.purchase.id} ${made[0]!.commission!.id}`]: 20,
    });
    expect(host.told).toEqual([`purchase ${buyer} 40.00`, `earned ${referrer} 10.00`]);
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('10.00');
  });

  test('with several amounts at once stands for one of them', async () => {
    const buyer = fresh('buyer');
    const made = await atOnce(20, async (index, manager) => {
      const refusal = await refusalOf(buy(buyer, (index % 4) + 1, 'inv', manager));
      return refusal === 'nothing' ? (index % 4) + 1 : refusal;
    });
    const [purchase] = await host.referrals.purchases.search({ where: { userId: buyer } });
    expect(tally(made)).toEqual({ [Number(purchase!.amount)]: 5, REFERENCE_REUSED: 15 });
  });

  test('is answered to who waits for it; and made by who waits, if it is rolled back', async () => {
    const buyer = fresh('buyer');
    let first: RecordedPurchase | undefined;
    const second = await whileWaiting(
      async (manager) => (first = await buy(buyer, 4, 'inv', manager)),
      () => buy(buyer, 4, 'inv'),
    );
    expect(second).toEqual(first);
    const third = await whileWaiting(
      (manager) => buy(buyer, 9, 'other', manager),
      () => buy(buyer, 10, 'other'),
      { isRolledBack: true },
    );
    expect(third.purchase.amount).toBe('10.00');
  });
});

describe('a limit', () => {
  test('holds for many purchases of one buyer at once', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer, { commissionRatio: '0.25', commissionMaxPerReferee: '90' });
    const made = await atOnce(20, (index, manager) => buy(buyer, 100, `inv-${index}`, manager));
    expect(tally(made.map(({ purchase, commission }) => commission?.earned ?? purchase.noCommission))).toEqual({
      ...{ '25.00': 3, '15.00': 1, 'limit-reached': 16 },
    });
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('90.00');
  });

  test('holds for purchases and refunds of one buyer at once', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer, { commissionRatio: '0.25', commissionMaxPerReferee: '90' });
    await buy(buyer, 200, 'first');
    await atOnce(20, async (index, manager) => {
      if (index % 3 === 0)
        await host.referrals.recordRefund(buyer, { purchase: 'first', reference: `re-${index}`, amount: 7, manager });
      else await buy(buyer, 37, `inv-${index}`, manager);
    });
    const earned = Number((await host.referrals.accounts.totals(referrer)).totalCreditsEarned);
    expect(earned).toBeGreaterThan(70);
    expect(earned).toBeLessThanOrEqual(90);
  });
});

describe('a coupon', () => {
  test.each([
    [false, { 'coupon': 1, 'earlier-coupon': 9 }],
    [true, { coupon: 10 }],
  ])('is redeemed once by first purchases at once; recurring %s', async (isRecurring, sources) => {
    const buyer = fresh('buyer');
    const channel = await couponOf(host, fresh('owner'), { isRecurring });
    await host.referrals.coupons.apply(buyer, channel.code);
    const made = await atOnce(10, (index, manager) => buy(buyer, 100, `inv-${index}`, manager));
    expect(tally(made.map(({ purchase }) => purchase.source))).toEqual(sources);
    expect(await channel.refresh()).toMatchObject({
      ...{ totalUses: 1, totalCommission: '300.00', totalRevenue: '1000.00' },
    });
    expect(await counts(channel.userId)).toEqual([1, 1]);
  });

  test('of many buyers at once is counted for each', async () => {
    const channel = await couponOf(host, fresh('owner'));
    const buyers = Array.from({ length: 20 }, () => fresh('buyer'));
    await atOnce(20, async (index, manager) => {
      await host.referrals.coupons.apply(buyers[index]!, channel.code, { manager });
      await buy(buyers[index]!, 10, 'inv', manager);
    });
    expect(await channel.refresh()).toMatchObject({ totalUses: 20, totalCommission: '60.00', totalRevenue: '200.00' });
    expect(await counts(channel.userId)).toEqual([20, 20]);
  });

  test('applied by many calls at once is on; the purchase meanwhile takes it or leaves it', async () => {
    const channel = await couponOf(host, fresh('owner'));
    const sources: unknown[] = [];
    for (let n = 0; n < 10; n++) {
      const buyer = fresh('buyer');
      const [{ purchase }] = await Promise.all([
        buy(buyer, 10, 'inv'),
        refusalOf(host.referrals.coupons.apply(buyer, channel.code)),
        refusalOf(host.referrals.coupons.apply(buyer, channel.code)),
      ]);
      sources.push(purchase.source);
      const coupon = await host.referrals.coupons.of(buyer);
      expect(coupon === null).toBe(purchase.source === 'coupon');
    }
    expect((await channel.refresh()).totalUses).toBe(sources.filter((source) => source === 'coupon').length);
  });

  test('that a purchase waits for is taken off, or redeemed, as it was then', async () => {
    const { coupons } = host.referrals;
    const [one, two] = [await couponOf(host, fresh('one')), await couponOf(host, fresh('two'))];
    const buyer = fresh('buyer');
    await coupons.apply(buyer, one.code);
    const replaced = await whileWaiting(
      (manager) => coupons.apply(buyer, two.code, { manager }),
      () => buy(buyer, 10, 'a'),
    );
    expect(replaced.purchase).toMatchObject({ source: 'coupon', channelId: two.id });
    await coupons.apply(buyer, one.code);
    const removed = await whileWaiting(
      (manager) => coupons.remove(buyer, { manager }),
      () => buy(buyer, 10, 'b'),
    );
    expect(removed.purchase).toMatchObject({ source: 'earlier-coupon', channelId: two.id });
    await coupons.apply(buyer, one.code);
    const redeemed = whileWaiting(
      (manager) => buy(buyer, 10, 'c', manager),
      () => coupons.apply(buyer, one.code),
    );
    await expect(redeemed).rejects.toMatchObject({ code: 'COUPON_REDEEMED' });
    expect((await one.refresh()).totalUses).toBe(1);
  });

  test('takes its discount off one of two checkouts at once', async () => {
    const channel = await couponOf(host, fresh('owner'));
    const checkout = (buyer: string, reference: string): Promise<string> =>
      host.dataSource.transaction(async (manager) => {
        const { total } = await host.referrals.quote(buyer, 100, { manager });
        await buy(buyer, Number(total), reference, manager);
        return total;
      });
    for (let n = 0; n < 10; n++) {
      const buyer = fresh('buyer');
      await host.referrals.coupons.apply(buyer, channel.code);
      const totals = await Promise.all([checkout(buyer, 'a'), checkout(buyer, 'b')]);
      expect(tally(totals)).toEqual({ '80.00': 1, '100.00': 1 });
    }
    expect((await channel.refresh()).totalUses).toBe(10);
  });

  test('is not deleted while somebody redeems it', async () => {
    const channel = await couponOf(host, fresh('owner'));
    const buyer = fresh('buyer');
    await host.referrals.coupons.apply(buyer, channel.code);
    const deleted = whileWaiting(
      (manager) => buy(buyer, 10, 'inv', manager),
      () => channel.delete(),
    );
    await expect(deleted).rejects.toMatchObject({ code: 'IN_USE' });
    const other = await couponOf(host, fresh('owner'));
    await whileWaiting(
      (manager) => host.referrals.coupons.apply(buyer, other.code, { manager }),
      () => other.delete(),
    );
    expect(await host.referrals.coupons.of(buyer)).toBeNull();
  });
});

describe('a sign-up and a purchase of the same user', () => {
  const prepared = async () => {
    const [owner, buyer] = [fresh('owner'), fresh('buyer')];
    const { code } = await host.referrals.referralCodes.create({ code: fresh('LINK'), user: owner });
    await host.referrals.coupons.apply(buyer, (await couponOf(host, owner)).code);
    const signUp = (manager?: EntityManager) => host.referrals.signups.create({ user: buyer, code }, { manager });
    return { owner, buyer, signUp };
  };

  test('at once count the user once', async () => {
    const all = await Promise.all(Array.from({ length: 15 }, prepared));
    await Promise.all(all.flatMap(({ buyer, signUp }) => [buy(buyer, 10, 'inv'), signUp(), buy(buyer, 10, 'inv-2')]));
    for (const { owner, buyer } of all) {
      expect(await counts(owner)).toEqual([1, 1]);
      expect(await host.referrals.purchases.count({ where: { userId: buyer } })).toBe(2);
    }
  });

  test('whichever waits for the other', async () => {
    const one = await prepared();
    const { commission } = await whileWaiting(
      (manager) => one.signUp(manager),
      () => buy(one.buyer, 10, 'inv'),
    );
    expect(commission!.earned).toBe('3.00');
    expect(await counts(one.owner)).toEqual([1, 1]);
    const two = await prepared();
    await whileWaiting(
      (manager) => buy(two.buyer, 10, 'inv', manager),
      () => two.signUp(),
    );
    expect(await counts(two.owner)).toEqual([1, 1]);
  });

  test('many users of one referrer at once', async () => {
    const owner = fresh('owner');
    const { code } = await host.referrals.referralCodes.create({ code: fresh('LINK'), user: owner });
    const channel = await couponOf(host, owner);
    const buyers = Array.from({ length: 20 }, () => fresh('buyer'));
    for (const buyer of buyers) await host.referrals.coupons.apply(buyer, channel.code);
    await Promise.all(
      buyers.flatMap((user) => [host.referrals.signups.create({ user, code }), buy(user, 10, 'inv'), counts(owner)]),
    );
    expect(await counts(owner)).toEqual([20, 20]);
  });
});

describe('refunds at once', () => {
  test('take no more than was paid', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer);
    await buy(buyer, 100, 'inv');
    const refund = (reference: string, amount?: number, manager?: EntityManager) =>
      refusalOf(host.referrals.recordRefund(buyer, { purchase: 'inv', reference, amount, manager }));
    expect(tally(await atOnce(10, (index, manager) => refund(`re-${index}`, 30, manager)))).toEqual({
      ...{ 'nothing': 3, 'INVALID_INPUT amount': 7 },
    });
    expect(tally(await atOnce(10, (index, manager) => refund(`rest-${index}`, undefined, manager)))).toEqual({
      ...{ nothing: 1, NOTHING_TO_REFUND: 9 },
    });
    expect((await host.referrals.accounts.totals(referrer)).totalCreditsEarned).toBe('0.00');
  });

  test('under one reference are one', async () => {
    const [referrer, buyer] = [fresh('referrer'), fresh('buyer')];
    await refer(host, referrer, buyer);
    await buy(buyer, 100, 'inv');
    host.told.length = 0;
    const made = await atOnce(10, (_, manager) =>
      host.referrals.recordRefund(buyer, { purchase: 'inv', reference: 're', amount: 20, manager }),
    );
    for (const { refund, commission } of made) expect([refund, commission!.amount]).toEqual([made[0]!.refund, '20.00']);
    expect(host.told).toEqual([`lowered ${referrer} to 20.00 by re 20.00`]);
  });

  test('with their purchase at once come after it, or find none', async () => {
    for (let n = 0; n < 10; n++) {
      const buyer = fresh('buyer');
      const [, refused] = await Promise.all([
        buy(buyer, 10, 'inv'),
        refusalOf(host.referrals.recordRefund(buyer, { purchase: 'inv', reference: 're' })),
      ]);
      expect(['nothing', 'NOT_FOUND']).toContain(refused);
    }
  });
});

/** Another process, as far as the database can tell: connections and an instance of its own. */
async function another(of: EarningsHost, options: Partial<ReferralsOptions> = {}): Promise<EarningsHost> {
  const { schema } = of.dataSource.options as { schema: string };
  const dataSource = await openDataSource({ schema, migrate: false });
  return startEarnings({ dataSource, clock: of.clock.read, ...options });
}

describe('an earn-out', () => {
  test('that waits for a refund pays what was earned, and the refund is netted by the next', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals, clock } = own;
    await refer(own, 'anna', 'boris');
    await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
    clock.advanceDays(7);
    const done = await whileWaiting(
      (manager) => referrals.recordRefund('boris', { purchase: 'a', reference: 're', amount: 40, manager }),
      () => referrals.runEarnOuts(),
      { of: own },
    );
    const { creditsEarned } = await referrals.accounts.totals('anna');
    expect(Number(done.amount) + Number(creditsEarned)).toBe(15);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    await referrals.recordPurchase('boris', { amount: 100, reference: 'b' });
    clock.advanceDays(7);
    await referrals.runEarnOuts();
    expect(await referrals.credits.balance('anna')).toBe('40.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('of an account that a sign-up holds for a moment is made by the same run', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals, clock } = own;
    const { code } = await refer(own, 'anna', 'boris');
    await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
    clock.advanceDays(7);
    const done = await whileWaiting(
      (manager) => referrals.signups.create({ user: 'dora', code }, { manager }),
      () => referrals.runEarnOuts(),
      { of: own },
    );
    expect(done).toEqual({ bound: 1, completed: 1, failed: 0, amount: '25.00' });
    expect(await referrals.accounts.totals('anna')).toMatchObject({ usersReferred: 2, creditsEarned: '0.00' });
    expect(own.errors).toEqual([]);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  // After `deadlock_timeout`, a waiting transaction checks for a deadlock, and is the one that fails. Here the host's
  // never checks.
  const neverMine = (manager: EntityManager) => manager.query(`SET LOCAL deadlock_timeout = '100min'`);

  /**
   * Holds a run before it sets an earn-out to a status. Each wait is checked for a deadlock only once, so the run must
   * be the last to wait: it continues when a call of the host waits for it.
   */
  async function holdRun(own: EarningsHost, status: 'processing' | 'failed') {
    const { dataSource, schema } = own;
    const key = `hashtext('${schema}')`;
    const holder = dataSource.createQueryRunner();
    await holder.query(`SELECT pg_advisory_lock(${key})`);
    await dataSource.query(`CREATE FUNCTION ${schema}.hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${key}); RETURN NEW; END $$`);
    await dataSource.query(`CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON ${schema}.referral_earn_outs FOR EACH ROW
      WHEN (NEW.status = '${status}') EXECUTE FUNCTION ${schema}.hold()`);
    return async (call: Promise<unknown>): Promise<void> => {
      await untilWaiting(own, 2);
      await holder.query(`SELECT pg_advisory_unlock(${key})`);
      await holder.release();
      await call;
    };
  }

  test('in a deadlock with a refund and a sign-up is made after all', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals, clock } = own;
    const { code } = await refer(own, 'anna', 'boris');
    await refer(own, 'clara', 'carl');
    for (const buyer of ['boris', 'carl']) await referrals.recordPurchase(buyer, { amount: 100, reference: 'a' });
    clock.advanceDays(7);
    const closeCircle = await holdRun(own, 'processing');
    const done = await whileWaiting(
      async (manager) => {
        await neverMine(manager);
        await referrals.recordRefund('boris', { purchase: 'a', reference: 're', amount: 40, manager });
      },
      () => referrals.runEarnOuts(),
      { of: own, last: (manager) => closeCircle(referrals.signups.create({ user: 'dora', code }, { manager })) },
    );
    expect(done).toEqual({ bound: 2, completed: 2, failed: 0, amount: '40.00' });
    expect(await referrals.credits.balance('anna')).toBe('15.00');
    expect(await referrals.credits.balance('clara')).toBe('25.00');
    expect(own.errors).toEqual([]);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test.each(['credits', 'payout'] as const)('that fails in a deadlock undoes no other; %s', async (mode) => {
    const payout = ({ userId }: ReferralEarnOut): void => {
      if (userId === 'boris') throw new PayoutRefused('boris is under review');
    };
    const own = await startEarnings({ commission: { pendingDays: 0 }, earnOuts: { payout } });
    const { referrals, clock, dataSource, schema } = own;
    await dataSource.query(`CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN RAISE EXCEPTION ''% is under review'', NEW.user_id USING ERRCODE = ''RF001''; END'`);
    await dataSource.query(`CREATE TRIGGER refuse BEFORE INSERT ON ${schema}.referral_credits FOR EACH ROW
      WHEN (NEW.user_id = 'boris') EXECUTE FUNCTION ${schema}.refuse()`);
    for (const referrer of ['anna', 'boris', 'clara']) {
      const account = await referrals.accounts.of(referrer);
      await account.update({ mode, payoutEmail: 'someone@example.org' });
      await refer(own, referrer, `buyer of ${referrer}`);
      await referrals.recordPurchase(`buyer of ${referrer}`, { amount: 100, reference: 'a' });
    }
    const { code } = await referrals.referralCodes.create({ code: 'MORE', label: 'more', user: 'boris' });
    const closeCircle = await holdRun(own, 'failed');
    clock.advanceDays(7);
    own.told.length = 0;
    // A transaction that stays open refunds a part of the bound commissions before they are paid.
    let [begin, goOn] = [() => {}, () => {}];
    const isBound = new Promise<void>((resolve) => (begin = resolve));
    const isHeld = new Promise<void>((resolve) => (goOn = resolve));
    const onProgress = (): Promise<void> => {
      begin();
      return isHeld;
    };
    const run = referrals.runEarnOuts({ onProgress });
    await isBound;
    const done = await whileWaiting(
      async (manager) => {
        await neverMine(manager);
        await referrals.recordRefund('buyer of boris', { purchase: 'a', reference: 're', amount: 40, manager });
      },
      () => {
        goOn();
        return run;
      },
      { of: own, last: (manager) => closeCircle(referrals.signups.create({ user: 'dora', code }, { manager })) },
    );
    expect(done).toEqual({ bound: 3, completed: 2, failed: 1, amount: '50.00' });
    expect(own.told.filter((one) => one.startsWith('earn-out')).sort()).toEqual([
      `earn-out anna ${mode} 25.00 completed`,
      `earn-out boris ${mode} 25.00 failed`,
      `earn-out clara ${mode} 25.00 completed`,
    ]);
    const isCredit = mode === 'credits';
    expect(own.errors.map(String)).toEqual(isCredit ? [expect.stringContaining('boris is under review')] : []);
    expect(await referrals.credits.balance('anna')).toBe(isCredit ? '25.00' : '0.00');
    const { creditsEarned, payoutsEarned } = await referrals.accounts.totals('boris');
    expect(isCredit ? creditsEarned : payoutsEarned).toBe('15.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('and refunds and purchases at once, round after round', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals, clock } = own;
    const referrers = Array.from({ length: 5 }, (_, index) => `referrer ${index}`);
    for (const referrer of referrers) await refer(own, referrer, `buyer of ${referrer}`);
    for (let round = 0; round < 6; round++) {
      for (const referrer of referrers)
        await referrals.recordPurchase(`buyer of ${referrer}`, { amount: 100, reference: `inv ${round}` });
      clock.advanceDays(7);
      await Promise.all([
        referrals.runEarnOuts(),
        ...referrers.flatMap((referrer) => [
          referrals.recordRefund(`buyer of ${referrer}`, {
            ...{ purchase: `inv ${round}`, reference: `re ${round}`, amount: 8 },
          }),
          referrals.recordPurchase(`buyer of ${referrer}`, { amount: 4, reference: `small ${round}` }),
        ]),
        referrals.runEarnOuts(),
      ]);
      expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    }
    // After one more purchase, an earn-out subtracts the last round's refunds of paid commissions.
    for (const referrer of referrers)
      await referrals.recordPurchase(`buyer of ${referrer}`, { amount: 40, reference: 'last' });
    clock.advanceDays(7);
    await referrals.runEarnOuts();
    for (const referrer of referrers) {
      expect(await referrals.credits.balance(referrer)).toBe('154.00'); // 6 × (25 − 2 + 1) + 10
      expect(await referrals.accounts.totals(referrer)).toMatchObject({ creditsEarned: '0.00' });
    }
  });

  test('of many accounts by several runs at once: each commission is paid once', async () => {
    const paid: ReferralEarnOut[] = [];
    const earnOuts = { payout: async (earnOut: ReferralEarnOut) => void (await Promise.resolve(paid.push(earnOut))) };
    const own = await startEarnings({ earnOuts });
    const others = await Promise.all([1, 2, 3].map(() => another(own, { earnOuts })));
    await seedCommissions(own, { prefix: 'c', referrers: 1200, each: 2 });
    await seedCommissions(own, { prefix: 'p', referrers: 60, each: 2, mode: 'payout' });
    own.clock.advanceDays(30);
    const runs = await Promise.all([own, ...others, own].map(({ referrals }) => referrals.runEarnOuts()));
    const sum = (field: 'bound' | 'completed' | 'failed' | 'amount'): number =>
      runs.reduce((all, run) => all + Number(run[field]), 0);
    expect([sum('bound'), sum('completed'), sum('failed'), sum('amount')]).toEqual([1260, 1260, 0, 2520]);
    expect(paid).toHaveLength(60);
    expect(new Set(paid.map(({ userId }) => userId)).size).toBe(60);
    const { referrals } = own;
    expect(await referrals.credits.count()).toBe(1200);
    expect(await referrals.earnOuts.count({ where: { status: 'completed' } })).toBe(1260);
    expect(await referrals.commissions.count({ where: { earnOutId: null } })).toBe(0);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    expect([own, ...others].flatMap(({ errors }) => errors)).toEqual([]);
  });

  test.each<[string, () => Error, string]>([
    ['refused', () => new PayoutRefused('no such account'), 'failed'],
    ['without an answer', () => new Error('the provider is away'), 'processing'],
  ])('%s is asked for once by several runs at once, and again once it has waited', async (_what, error, status) => {
    const asked: string[] = [];
    const payout: Payout = ({ userId, idempotencyKey }) => {
      asked.push(`${userId} ${idempotencyKey}`);
      return Promise.reject(error());
    };
    const own = await startEarnings({ earnOuts: { payout } });
    const others = await Promise.all([1, 2].map(() => another(own, { earnOuts: { payout } })));
    const hosts = [own, ...others];
    await seedCommissions(own, { prefix: 'p', referrers: 20, each: 1, mode: 'payout' });
    own.clock.advanceDays(30);
    const runAll = async (): Promise<number> => {
      const runs = await Promise.all(hosts.map(({ referrals }) => referrals.runEarnOuts()));
      return runs.reduce((all, { failed }) => all + failed, 0);
    };
    const isRefused = status === 'failed';
    for (const round of [1, 2]) {
      // A run that binds later than another one fails does not bind the same again.
      expect(await runAll()).toBe(isRefused ? 20 : 0);
      expect(asked).toHaveLength(round * 20);
      expect(await runAll()).toBe(0);
      expect(asked).toHaveLength(round * 20);
      own.clock.advance(isRefused ? 3_600_000 : 60_000);
    }
    expect(new Set(asked).size).toBe(isRefused ? 40 : 20); // without an answer, under the same key
    expect(await own.referrals.earnOuts.count()).toBe(isRefused ? 40 : 20);
    expect(await own.referrals.earnOuts.count({ where: { status: status as never } })).toBe(isRefused ? 40 : 20);
    expect(await own.referrals.commissions.count({ where: { earnOutId: null } })).toBe(isRefused ? 20 : 0);
    const told = hosts.flatMap(({ errors }) => errors) as { code?: string }[];
    expect(told.map(({ code }) => code)).toEqual(isRefused ? [] : Array(40).fill('PAYOUT_UNCLEAR'));
    expect(await own.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('a commission that is held while its owner is paid', () => {
  const held = { by: 'staff-1', reason: 'looked into' };

  test('by a run that has added it up already: only the rest is paid, and it once it is released', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const other = await another(own, { commission: { ratio: '0.25', pendingDays: 0 } });
    const { referrals, clock } = own;
    await refer(own, 'anna', 'boris');
    const { commission } = await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
    await referrals.recordPurchase('boris', { amount: 40, reference: 'b' });
    clock.advanceDays(7);
    const run = await whileWaiting(
      (manager) => referrals.commissions.hold(commission!, { ...held, manager }),
      () => other.referrals.runEarnOuts(),
      { of: own },
    );
    expect(run).toMatchObject({ bound: 1, completed: 1, amount: '10.00' });
    expect(await referrals.credits.balance('anna')).toBe('10.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    await referrals.commissions.release(commission!, held);
    clock.advanceDays(7);
    await referrals.runEarnOuts();
    expect(await referrals.credits.balance('anna')).toBe('35.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    expect([...own.errors, ...other.errors]).toEqual([]);
  });

  test('by the report of a payout that failed before: the payment is a debt, and it stays held', async () => {
    const payout: Payout = () => Promise.reject(new PayoutRefused('no'));
    const own = await startEarnings({ commission: { pendingDays: 0 }, earnOuts: { payout } });
    const { referrals, clock } = own;
    await refer(own, 'anna', 'boris');
    await (await referrals.accounts.of('anna')).update({ mode: 'payout', payoutEmail: 'anna@example.org' });
    const { commission } = await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
    clock.advanceDays(7);
    expect(await referrals.runEarnOuts()).toMatchObject({ failed: 1 });
    const [earnOut] = await referrals.earnOuts.search();
    await whileWaiting(
      (manager) => referrals.commissions.hold(commission!, { ...held, manager }),
      () => referrals.earnOuts.settle({ key: earnOut!.idempotencyKey, status: 'completed' }),
      { of: own },
    );
    expect(await commission!.refresh()).toMatchObject({ status: 'held', earnOutId: null });
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    await referrals.commissions.release(commission!, held);
    expect(await referrals.accounts.totals('anna')).toMatchObject({ payoutsEarned: '0.00' });
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('a rejection takes the locks of', () => {
  const staff = { by: 'staff-1', reason: 'made up' };
  /** Locks rows in the transaction of a manager, as another call does. */
  const lock =
    ({ schema }: EarningsHost, table: string, user: string) =>
    (manager: EntityManager) =>
      manager.query(`SELECT FROM ${schema}.referral_${table} WHERE user_id = $1 FOR NO KEY UPDATE`, [user]);

  test('a purchase in its order: periods, then totals', async () => {
    const maxPerReferrer = { amount: 1000, period: 'year' } as const;
    const own = await startEarnings({ commission: { pendingDays: 0, maxPerReferrer } });
    const { referrals } = own;
    await refer(own, 'anna', 'boris');
    const { commission } = await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
    await whileWaiting(
      lock(own, 'referrer_periods', 'anna'),
      () => own.dataSource.transaction((manager) => referrals.commissions.reject(commission!, { ...staff, manager })),
      { of: own, last: lock(own, 'account_totals', 'anna') },
    );
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('a refund in its order: the account, then the credit', async () => {
    const own = await startEarnings({ commission: { pendingDays: 0 } });
    const { referrals } = own;
    const [first, second] = await Promise.all(
      ['boris', 'carl'].map(async (buyer) => {
        await refer(own, 'anna', buyer);
        return (await referrals.recordPurchase(buyer, { amount: 100, reference: 'a' })).commission!;
      }),
    );
    own.clock.advanceDays(7);
    await referrals.runEarnOuts();
    expect(await referrals.credits.balance('anna')).toBe('50.00');
    await whileWaiting(
      lock(own, 'accounts', 'anna'),
      () =>
        own.dataSource.transaction((manager) =>
          referrals.recordRefund(first!.refereeId, { purchase: 'a', reference: 're', amount: 40, manager }),
        ),
      { of: own, last: (manager) => referrals.commissions.reject(second!, { ...staff, manager }) },
    );
    expect(await referrals.credits.balance('anna')).toBe('15.00');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });
});

describe('totals of very many commissions', () => {
  const many = 1500;
  const total = (user: string) =>
    host.dataSource.getRepository(ReferralAccountTotal).findOneByOrFail({ userId: user, channelId: 0 });

  /** A referrer with many commissions that have just become available, and two buyers. */
  const crowded = async () => {
    const prefix = fresh('crowd');
    await seedCommissions(host, {
      prefix,
      referrers: 1,
      each: many,
      at: new Date(host.clock.time.getTime() - 31 * day),
    });
    const referrer = `${prefix} 1`;
    const buyers = [fresh('buyer'), fresh('buyer')] as const;
    for (const buyer of buyers) await refer(host, referrer, buyer);
    return { referrer, buyers };
  };
  const long = (days = 60): Date => new Date(host.clock.time.getTime() - days * day);

  test('are counted once: the moment up to which they are known moves', async () => {
    const { referrer } = await crowded();
    expect((await total(referrer)).matured).toBe(0);
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('1500.00');
    expect(await total(referrer)).toMatchObject({
      ...{ matured: many, maturedAmount: '1500.00', maturedUntil: host.clock.time },
    });
    expect((await host.referrals.accounts.totals(referrer)).creditsEarned).toBe('1500.00');
  });

  test('wait for a purchase and a refund of long ago that are under way', async () => {
    const { referrer, buyers } = await crowded();
    await host.referrals.recordPurchase(buyers[1], { amount: 40, reference: 'known', at: long() });
    const read = () => host.referrals.accounts.totals(referrer);
    await whileWaiting(async (manager) => {
      await host.referrals.recordPurchase(buyers[0], { amount: 4, reference: 'a', at: long(), manager });
      await host.referrals.recordRefund(buyers[1], { purchase: 'known', reference: 're', amount: 20, manager });
    }, read);
    expect(await total(referrer)).toMatchObject({ matured: many + 2, maturedAmount: '1506.00' });
    expect((await read()).creditsEarned).toBe('1506.00');
  });

  test('are answered at once while a purchase is under way', async () => {
    const mounted: { referrals?: EarningsHost['referrals'] } = {};
    const own = await startEarnings(
      { commission: { pendingDays: 0 }, user: (req) => req.get('authorization') ?? null },
      (app) => app.use('/api', (req, res, next) => void mounted.referrals!.api(req, res, next)),
    );
    const { referrals, dataSource, clock, errors } = own;
    mounted.referrals = referrals;
    await seedCommissions(own, { prefix: 'c', referrers: 1, each: many });
    await refer(own, 'c 1', 'boris');
    await referrals.accounts.of('c 1');
    clock.advanceDays(31);
    const read = async (): Promise<unknown[]> => {
      const { body } = await request(own.app).get('/api/config/').set('authorization', 'c 1').expect(200);
      const { credits_earned: asked } = body as Record<string, unknown>;
      return [(await referrals.accounts.totals('c 1')).creditsEarned, asked];
    };
    const matured = async (): Promise<number> =>
      (await dataSource.getRepository(ReferralAccountTotal).findOneByOrFail({ userId: 'c 1' })).matured;
    await dataSource.transaction(async (manager) => {
      await referrals.recordPurchase('boris', { amount: 4, reference: 'a', manager });
      expect(await read()).toEqual(['1500.00', 1500]);
    });
    // A reader that waits for the transaction, which waits for the reader, would exceed a time limit.
    expect(errors).toEqual([]);
    expect(await matured()).toBe(0);
    expect(await read()).toEqual(['1501.00', 1501]);
    expect(await matured()).toBe(many + 1);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test('move while purchases of any time, and refunds, are recorded', async () => {
    for (let round = 0; round < 4; round++) {
      const { referrer, buyers } = await crowded();
      await host.referrals.recordPurchase(buyers[0], { amount: 400, reference: 'first', at: long() });
      const read = () => host.referrals.accounts.totals(referrer);
      await Promise.all([
        ...Array.from({ length: 12 }, (_, index) =>
          host.referrals.recordPurchase(buyers[index % 2]!, {
            ...{ amount: 4, reference: `inv ${index}`, at: long(index % 3 === 0 ? -5 : 60 - index) },
          }),
        ),
        ...[1, 2, 3, 4].map((n) =>
          host.referrals.recordRefund(buyers[0], { purchase: 'first', reference: `re ${n}`, amount: 40 }),
        ),
        ...Array.from({ length: 6 }, read),
      ]);
      const { maturedUntil } = await total(referrer);
      expect(maturedUntil).toEqual(host.clock.time);
      // Of 12 there are 4 that are paid, and with that available, in 5 days; of 100 there are 60 left.
      expect(await read()).toMatchObject({ creditsEarned: '1568.00', totalCreditsEarned: '1572.00' });
      expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
      host.clock.advanceDays(1);
    }
  });

  test('are right also for a clock that is behind', async () => {
    const { referrer, buyers } = await crowded();
    const { clock, referrals } = host;
    await referrals.recordPurchase(buyers[0], { amount: 4, reference: 'a', at: long(10) });
    expect((await referrals.accounts.totals(referrer)).creditsEarned).toBe('1501.00');
    clock.advanceDays(-20);
    expect((await referrals.accounts.totals(referrer)).creditsEarned).toBe('0.00');
    await referrals.recordRefund(buyers[0], { purchase: 'a', reference: 're', amount: 2 });
    clock.advanceDays(20);
    expect((await referrals.accounts.totals(referrer)).creditsEarned).toBe('1500.50');
  });
});

test('an account that many ask for at once is one', async () => {
  const user = fresh('user');
  const made = await atOnce(12, (_, manager) => host.referrals.accounts.of(user, { manager }));
  expect(tally(made.map(({ id, referralId }) => `${id} ${referralId}`))).toEqual({
    [`${made[0]!.id} ${made[0]!.referralId}`]: 12,
  });
});

test('the host’s isolation of transactions is not ours', async () => {
  const extra = { options: '-c default_transaction_isolation=repeatable\\ read' };
  const own = await startEarnings({ dataSource: await openDataSource({ extra }), commission: { pendingDays: 0 } });
  const { referrals, dataSource, clock } = own;
  expect(await dataSource.query('SHOW transaction_isolation')).toEqual([{ transaction_isolation: 'repeatable read' }]);
  const channels = [await couponOf(own, 'owner', { isRecurring: true }), await couponOf(own, 'other')];
  await refer(own, 'anna', 'boris');
  await referrals.recordPurchase('boris', { amount: 100, reference: 'a' });
  const tenth = Array.from({ length: 10 }, (_, index) => index);
  clock.advanceDays(7);
  const runs = [referrals.runEarnOuts(), referrals.runEarnOuts(), referrals.runEarnOuts()];
  await Promise.all([
    ...tenth.map((n) => referrals.recordRefund('boris', { purchase: 'a', reference: `re ${n}`, amount: 4 })),
    ...tenth.map((n) => referrals.coupons.apply('boris', channels[n % 2]!.code)),
    ...runs,
  ]);
  await referrals.recordPurchase('boris', { amount: 200, reference: 'b' });
  clock.advanceDays(7);
  await Promise.all([1, 2, 3].map(() => referrals.runEarnOuts()));
  expect((await referrals.purchases.search({ where: { reference: 'a' } }))[0]!.refunded).toBe('40.00');
  expect(own.errors).toEqual([]);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('everything of a few users at once, in transactions and not, ends without a deadlock', async () => {
  const { referrals, clock } = host;
  const owners = [fresh('owner'), fresh('owner'), fresh('owner')];
  const channels = await Promise.all(owners.map((owner) => couponOf(host, owner, { isRecurring: true })));
  const buyers = [fresh('buyer'), fresh('buyer'), fresh('buyer'), fresh('buyer')];
  for (const [index, buyer] of buyers.entries()) await refer(host, owners[index % 3]!, buyer);
  for (const buyer of buyers) await buy(buyer, 1000, 'big');
  const failures = new Set<unknown>();
  const worker = async (seed: number): Promise<void> => {
    for (let n = 0; n < 20; n++) {
      const at = seed * 7 + n * 13;
      const [buyer, owner, channel] = [buyers[at % 4]!, owners[at % 3]!, channels[(at >> 2) % 3]!];
      const work = async (manager?: EntityManager): Promise<unknown> => {
        switch (at % 6) {
          case 0:
            return referrals.coupons.apply(buyer, channel.code, { manager });
          case 1:
            return referrals.recordRefund(buyer, { purchase: 'big', reference: `${seed} ${n}`, amount: 3, manager });
          case 2:
            return referrals.accounts.totals(owner, { manager });
          case 3:
            return n % 5 === 0 ? referrals.runEarnOuts() : referrals.channels.ofUser(owner, { manager });
          default:
            return buy(buyer, (at % 50) + 1, `${seed} ${n}`, manager);
        }
      };
      const done = n % 2 === 0 ? work() : host.dataSource.transaction((manager) => work(manager));
      await done.catch((error: { code?: string }) => failures.add(error.code ?? error));
    }
  };
  clock.advanceDays(7);
  await Promise.all([1, 2, 3, 4, 5, 6].map(worker));
  expect([...failures].filter((code) => code !== 'COUPON_REDEEMED')).toEqual([]);
});
