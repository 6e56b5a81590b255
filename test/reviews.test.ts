import type { Request, Response } from 'express';
import {
  createReferrals,
  PayoutRefused,
  type Payout,
  Referral,
  type ReferralReview,
  type ReferralSignup,
  type Referrals,
  type ReferralsOptions,
} from '../lib';
import { firefox } from './support/browser';
import {
  baseUrl,
  closeAll,
  type Host,
  openDataSource,
  patient,
  secret,
  startHost,
  TestClock,
  waitFor,
} from './support/host';

afterEach(closeAll);

let host: Host;
let referrals: Referrals;
let clock: TestClock;
let opened: ReferralReview[];

type Fraud = NonNullable<ReferralsOptions['fraud']>;

const options = (fraud?: Fraud, payout?: Payout): Partial<ReferralsOptions> => ({
  ...{ clock: clock.read, commission: { ratio: '0.10', pendingDays: 0 }, ...(fraud && { fraud }) },
  earnOuts: { ...(payout && { payout }), every: { days: 1 } },
});

const begin = async (fraud?: Fraud, payout: Payout = () => ({ reference: 'paid' })): Promise<void> => {
  clock = new TestClock();
  opened = [];
  host = await startHost(options(fraud, payout), (app) => {
    app.post('/sign-up/:id', async (req: Request<{ id: string }>, res: Response) => {
      const signup = await Referral.recordSignup(req, req.params.id, { code: req.get('x-code') });
      res.json({ referrer: signup?.referrerId ?? null });
    });
  });
  referrals = host.referrals;
  referrals.on('reviewOpened', (review) => void opened.push(review));
};

const create = async (threshold = '0'): Promise<{ id: number }> => {
  const type = await referrals.creditTypes.create({ name: 'for anything' });
  return referrals.programs.create({
    ...{ name: 'spring', beforeRewardUsageThreshold: threshold },
    referralCredit: { amount: '5.00', durationDays: 30, type },
    rewardCredit: { amount: '7.00', durationDays: 30, type },
  });
};

const linkOf = async (user: string | null, code: string): Promise<Referral> => {
  const [found] = await referrals.programs.search({ where: { name: 'spring' } });
  const program = found ?? (await create());
  return Referral.create({ user, redirectTo: '/spring', code, program: program.id });
};

const signUp = async (user: string, code: string, { ip = '192.0.2.7', agent = firefox } = {}): Promise<void> => {
  const browser = host.browser();
  await browser
    .post(`/sign-up/${user}`)
    .set('x-code', code)
    .set('X-Forwarded-For', ip)
    .set('User-Agent', agent)
    .expect(200);
};

const buy = (user: string, amount: string, reference: string) => referrals.recordPurchase(user, { amount, reference });

const payTo = async (user: string, payoutEmail: string): Promise<number> => {
  const { id } = await referrals.accounts.of(user);
  await referrals.accounts.update(id, { payoutEmail, mode: 'payout' });
  return id;
};

const balances = (...users: string[]): Promise<string[]> =>
  Promise.all(users.map((user) => referrals.credits.balance(user)));

const rulesOf = (reviews: readonly ReferralReview[]) =>
  reviews.map(({ rule, userId, refereeId }) => [rule, userId, refereeId]);
const clean = async (): Promise<void> => expect((await referrals.verify()).problems).toEqual([]);

describe('a shared payout address', () => {
  test('is flagged by default, for the account and its pairs, without regard to case, and holds nothing', async () => {
    await begin();
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await payTo('anna', 'Anna@shop.example');
    await payTo('carl', 'carl@shop.example');
    expect(opened).toEqual([]);
    await payTo('bob', 'ANNA@shop.example');
    expect(rulesOf(opened)).toEqual([
      ['sharedPayoutAddress', 'bob', null],
      ['sharedPayoutAddress', 'anna', 'bob'],
    ]);
    expect(opened.map(({ isHolding, status }) => [isHolding, status])).toEqual([
      [false, 'open'],
      [false, 'open'],
    ]);
    const { commission } = await buy('bob', '100.00', 'p1');
    expect(commission).toMatchObject({ amount: '10.00', status: 'available', heldFor: [] });
    await clean();
  });

  test('is found by the sign-up and by the purchase that make a pair', async () => {
    await begin();
    await payTo('anna', 'a@shop.example');
    await payTo('bob', 'A@shop.example');
    await payTo('carl', 'a@SHOP.example');
    const link = await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await referrals.recordPurchase('carl', { amount: '10.00', reference: 'p', referral: link });
    expect(rulesOf(opened)).toEqual([
      ['sharedPayoutAddress', 'bob', null],
      ['sharedPayoutAddress', 'carl', null],
      ['sharedPayoutAddress', 'anna', 'bob'],
      ['sharedPayoutAddress', 'anna', 'carl'],
    ]);
    expect(opened[1]!.evidence).toEqual({ sharedWith: ['anna', 'bob'] });
    await clean();
  });

  test.each(['flag', 'hold'] as const)('is found where a purchase gets its referrer later, %s', async (mode) => {
    await begin({ sharedPayoutAddress: mode });
    await payTo('anna', 'a@shop.example');
    await payTo('bob', 'a@shop.example');
    await payTo('carl', 'a@shop.example');
    const { code } = await linkOf('anna', 'ANNA');
    const before = opened.length;
    // By a sign-up, whose own pair is looked at too, and by a sign-in with the cookie of a link.
    await buy('bob', '100.00', 'p1');
    await signUp('bob', 'ANNA');
    await buy('carl', '100.00', 'p2');
    const browser = host.browser();
    await browser.get(`/r/${code}`).expect(302);
    await browser.post('/login/carl').expect(204);
    await browser.get('/whose').expect(200);
    expect(rulesOf(opened.slice(before))).toEqual([
      ['sharedPayoutAddress', 'anna', 'bob'],
      ['sharedPayoutAddress', 'anna', 'carl'],
    ]);
    const { p1, p2 } = Object.fromEntries(
      (await referrals.commissions.search()).map(({ purchase, status }) => [purchase, status]),
    );
    const status = mode === 'hold' ? 'held' : 'available';
    expect({ p1, p2 }).toEqual({ p1: status, p2: status });
    await clean();
  });

  test("'off' finds nothing", async () => {
    await begin({ sharedPayoutAddress: 'off' });
    await payTo('anna', 'a@shop.example');
    await payTo('bob', 'a@shop.example');
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await buy('bob', '10.00', 'p');
    expect(await referrals.reviews.count()).toBe(0);
  });

  test("'hold' holds the account's payouts and the pair's commissions and credits, until staff have decided", async () => {
    await begin({ sharedPayoutAddress: 'hold' });
    await payTo('anna', 'a@shop.example');
    await linkOf('bob', 'BOB');
    await signUp('fred', 'BOB');
    await buy('fred', '100.00', 'f1');
    await payTo('bob', 'a@shop.example');
    const [ofAccount] = await referrals.reviews.search({ where: { userId: 'bob' } });
    await buy('fred', '50.00', 'f2');
    clock.advanceDays(2);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 }); // of the mode credits, as it was before
    expect((await referrals.accounts.totals('bob')).blocked).toEqual({ amount: '5.00', reason: 'review' });
    clock.advanceDays(2);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await clean();
    await referrals.reviews.allow(ofAccount!.id, { by: 'staff' });
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    await clean();

    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    const { commission } = await buy('bob', '100.00', 'p1');
    const [pair] = await referrals.reviews.search({ where: { refereeId: 'bob' } });
    expect(commission).toMatchObject({ status: 'held', heldFor: [`review:${pair!.id}`] });
    await clean();
  });

  test('accounts that have shared one since before the rule are flagged before they are paid, but for the oldest', async () => {
    await begin({ sharedPayoutAddress: 'off' });
    for (const user of ['anna', 'bob', 'carl']) {
      await linkOf(user, user.toUpperCase());
      await payTo(user, 'one@shop.example');
      await signUp(`friend of ${user}`, user.toUpperCase());
      await buy(`friend of ${user}`, '100.00', 'p');
    }
    await referrals.close();
    referrals = createReferrals({
      ...{ dataSource: host.dataSource, baseUrl, secret, user: () => null, ...patient() },
      ...options({ sharedPayoutAddress: 'hold' }, () => ({ reference: 'paid' })),
    });
    clock.advanceDays(2);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    expect(rulesOf(await referrals.reviews.search())).toEqual([
      ['sharedPayoutAddress', 'bob', null],
      ['sharedPayoutAddress', 'carl', null],
    ]);
    clock.advanceDays(2);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await clean();
    const [review] = await referrals.reviews.search({ where: { userId: 'bob' } });
    await referrals.reviews.allow(review!);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 1 });
    expect(await referrals.reviews.count()).toBe(2);
    await clean();
    await referrals.close();
  });

  test('two accounts that take it at once: one of them is flagged', async () => {
    await begin();
    const ids = await Promise.all(['a', 'b', 'c', 'd'].map(async (user) => (await referrals.accounts.of(user)).id));
    await Promise.all(ids.map((id) => referrals.accounts.update(id, { payoutEmail: 'x@shop.example' })));
    expect(await referrals.reviews.count()).toBe(3);
  });
});

describe('sign-ups', () => {
  test.each(['off', 'flag', 'hold'] as const)('of the referrer’s device, %s', async (sameDevice) => {
    await begin({ sameDevice });
    await linkOf('site', 'SITE');
    await linkOf('anna', 'ANNA');
    await signUp('anna', 'SITE');
    await signUp('other', 'ANNA', { ip: '192.0.9.9' });
    await signUp('browser', 'ANNA', { agent: 'Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/140.0 Safari/537.36' });
    clock.advanceDays(0.9);
    await signUp('bob', 'ANNA', { ip: '192.0.2.200' }); // the same /24
    clock.advanceDays(0.2);
    await signUp('late', 'ANNA');
    const reviews = await referrals.reviews.search({ where: { userId: 'anna' } });
    expect(rulesOf(reviews)).toEqual(sameDevice === 'off' ? [] : [['sameDevice', 'anna', 'bob']]);
    expect(await balances('bob', 'other')).toEqual([sameDevice === 'hold' ? '0.00' : '5.00', '5.00']);
    if (sameDevice !== 'off') expect(reviews[0]!.evidence).toEqual({ ipAddress: '192.0.2.0', userAgent: firefox });
    await clean();
  });

  test('of the device with which the referrer clicked somewhere', async () => {
    await begin({ sameDevice: 'flag' });
    await linkOf('anna', 'ANNA');
    const other = await linkOf('zoe', 'ZOE');
    const browser = host.browser();
    await browser.post('/login/anna').expect(204);
    await browser.get(`/r/${other.code}`).set('X-Forwarded-For', '192.0.2.7').set('User-Agent', firefox).expect(302);
    await signUp('bob', 'ANNA');
    expect(rulesOf(opened)).toEqual([['sameDevice', 'anna', 'bob']]);
  });

  test.each(['off', 'flag', 'hold'] as const)(
    'of one address, more than so many a day, also at once, %s',
    async (mode) => {
      await begin({ signupsFromAddress: { do: mode, max: 2 } });
      await linkOf('anna', 'ANNA');
      await linkOf('zoe', 'ZOE');
      await Promise.all(['a', 'b', 'c', 'd', 'e'].map((user) => signUp(user, 'ANNA')));
      await signUp('f', 'ANNA', { ip: '198.51.100.1' });
      await signUp('g', 'ZOE');
      clock.advanceDays(1);
      await signUp('h', 'ANNA');
      const found = await referrals.reviews.count();
      expect(mode === 'flag' ? found >= 3 : found === (mode === 'off' ? 0 : 3)).toBe(true);
      const held = (await balances('a', 'b', 'c', 'd', 'e')).filter((balance) => balance === '0.00').length;
      expect(held).toBe(mode === 'hold' ? 3 : 0);
      await clean();
    },
  );

  test.each(['off', 'flag', 'hold'] as const)('so many seconds after the click, %s', async (mode) => {
    await begin({ fastSignup: { do: mode, seconds: 5 } });
    await linkOf('anna', 'ANNA');
    for (const [user, seconds] of [
      ['slow', 5],
      ['fast', 4],
    ] as const) {
      const browser = host.browser();
      await browser.get('/r/ANNA').expect(302);
      clock.advance(seconds * 1000);
      await browser.post(`/sign-up/${user}`).expect({ referrer: 'anna' });
    }
    await signUp('typed', 'ANNA');
    expect(rulesOf(opened)).toEqual(mode === 'off' ? [] : [['fastSignup', 'anna', 'fast']]);
    if (mode !== 'off') expect(opened[0]!.evidence).toMatchObject({ seconds: 4 });
    expect(await balances('slow', 'fast')).toEqual(['5.00', mode === 'hold' ? '0.00' : '5.00']);
  });
});

describe('the host’s own rule', () => {
  test('is told of sign-ups and purchases, with nothing of ours held, and its sentence is kept', async () => {
    const seen: object[] = [];
    await begin({
      rule: async (facts) => {
        seen.push(facts);
        await host.dataSource.query('SELECT 1');
        return facts.referee === 'bob' ? `Bob, again: ${facts.about}.` : null;
      },
    });
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await signUp('carl', 'ANNA');
    await buy('bob', '10.00', 'p1');
    await buy('bob', '10.00', 'p1');
    await buy('bob', '20.00', 'p2');
    expect(rulesOf(opened)).toEqual([['rule', 'anna', 'bob']]);
    expect(opened[0]!.evidence).toEqual({ sentence: 'Bob, again: sign-up.' });
    expect(seen[0]).toMatchObject({
      ...{ about: 'sign-up', referrer: 'anna', referee: 'bob', referral: { code: 'ANNA' }, source: 'code' },
      ...{ ipAddress: '192.0.2.0', userAgent: firefox },
    });
    expect(seen[2]).toMatchObject({
      about: 'purchase',
      referrer: 'anna',
      referee: 'bob',
      amount: '10.00',
      currency: 'USD',
      reference: 'p1',
    });
    await clean();
  });

  test.each(['flag', 'hold'] as const)('is asked again where a purchase gets its referrer later, %s', async (mode) => {
    const asked: object[] = [];
    await begin({
      rule: {
        do: mode,
        find: async (facts) => {
          await host.dataSource.query('SELECT 1');
          if (facts.about === 'sign-up' || facts.referrer === null) return null;
          asked.push([facts.referrer, facts.referee, facts.reference, facts.amount, facts.currency, facts.at]);
          return facts.amount === '100.00' ? `Too much: ${facts.reference}.` : null;
        },
      },
    });
    const { code } = await linkOf('anna', 'ANNA');
    const at = clock.read();
    for (const user of ['bob', 'carl']) {
      await buy(user, '20.00', 'p1');
      await buy(user, '100.00', 'p2');
    }
    expect(asked).toEqual([]);
    await signUp('bob', 'ANNA');
    const browser = host.browser();
    await browser.get(`/r/${code}`).expect(302);
    await browser.post('/login/carl').expect(204);
    await browser.get('/whose').expect(200);
    expect(asked).toEqual([
      ['anna', 'bob', 'p1', '20.00', 'USD', at],
      ['anna', 'bob', 'p2', '100.00', 'USD', at],
      ['anna', 'carl', 'p1', '20.00', 'USD', at],
      ['anna', 'carl', 'p2', '100.00', 'USD', at],
    ]);
    expect(opened.map(({ userId, refereeId, evidence }) => [userId, refereeId, evidence])).toEqual([
      ['anna', 'bob', { sentence: 'Too much: p2.', purchase: 'p2' }],
      ['anna', 'carl', { sentence: 'Too much: p2.', purchase: 'p2' }],
    ]);
    const statuses = (await referrals.commissions.search()).map(({ status }) => status);
    expect(statuses).toEqual(Array.from({ length: 4 }, () => (mode === 'hold' ? 'held' : 'available')));
    expect(host.errors).toEqual([]);
    await clean();
  });

  test('that throws is reported, and flags nothing', async () => {
    await begin({
      rule: {
        do: 'hold',
        find: () => {
          throw new Error('the rule failed');
        },
      },
    });
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    expect((await buy('bob', '10.00', 'p')).commission).toMatchObject({ status: 'available' });
    expect(host.errors.map(String)).toEqual(['Error: the rule failed', 'Error: the rule failed']);
    expect(await referrals.reviews.count()).toBe(0);
  });
});

describe('what is held', () => {
  let signup: ReferralSignup | null;
  let review: ReferralReview;

  const hold = async (): Promise<void> => {
    await begin({ rule: { do: 'hold', find: ({ referee }) => (referee === 'bob' ? 'Bob.' : null) } });
    await create('10.00');
    await linkOf('anna', 'ANNA');
    signup = await Referral.recordSignup(null, 'bob', { code: 'ANNA' });
    await referrals.recordUsage('bob', { amount: '10.00', reference: 'u1' });
    await buy('bob', '100.00', 'p1');
    await buy('bob', '50.00', 'p2');
    [review] = (await referrals.reviews.search()) as [ReferralReview];
  };

  test('is neither granted nor paid, whatever its age, also by repeated calls', async () => {
    await hold();
    await Referral.recordSignup(null, 'bob', { code: 'ANNA' });
    await referrals.recordUsage('bob', { amount: '10.00', reference: 'u1' });
    clock.advanceDays(40);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    expect(await balances('anna', 'bob')).toEqual(['0.00', '0.00']);
    expect((await referrals.commissions.search()).map(({ status, heldFor }) => [status, heldFor])).toEqual([
      ['held', [`review:${review.id}`]],
      ['held', [`review:${review.id}`]],
    ]);
    expect(signup).toMatchObject({ referrerId: 'anna' });
    await clean();
  });

  test('is released and granted when it is allowed, and not flagged again', async () => {
    await hold();
    clock.advanceDays(40);
    const allowed = await referrals.reviews.allow(review, { by: 'staff-1', reason: 'a colleague' });
    expect(allowed).toMatchObject({
      status: 'allowed',
      isHolding: false,
      decidedBy: 'staff-1',
      decidedReason: 'a colleague',
    });
    expect(await referrals.reviews.allow(review, { by: 'staff-2' })).toMatchObject({ decidedBy: 'staff-1' });
    await expect(referrals.reviews.refuse(review, { by: 'staff-2' })).rejects.toMatchObject({ code: 'REVIEW_DECIDED' });
    expect(await balances('anna', 'bob')).toEqual(['7.00', '5.00']);
    expect((await referrals.commissions.search()).map(({ status }) => status)).toEqual(['available', 'available']);
    expect((await buy('bob', '10.00', 'p3')).commission).toMatchObject({ status: 'available' });
    expect(await referrals.reviews.count()).toBe(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    const audit = await referrals.audit.search({ where: { subject: 'review' } });
    expect(audit.map(({ call, actor, by, reason }) => [call, actor, by, reason])).toEqual([
      ['fraud.rule', 'program', null, null],
      ['reviews.allow', 'staff', 'staff-1', 'a colleague'],
    ]);
    await clean();
  });

  test('is rejected when it is refused, and what is earned later is held', async () => {
    await hold();
    const refused = await referrals.reviews.refuse(review.id, { by: 'staff-1', reason: 'Bob is Anna' });
    expect(refused).toMatchObject({ status: 'refused', isHolding: true });
    await referrals.reviews.refuse(review.id);
    await expect(referrals.reviews.allow(review.id)).rejects.toMatchObject({ code: 'REVIEW_DECIDED' });
    expect((await referrals.commissions.search()).map(({ status, amount }) => [status, amount])).toEqual([
      ['rejected', '0.00'],
      ['rejected', '0.00'],
    ]);
    await Referral.recordSignup(null, 'bob', { code: 'ANNA' });
    expect(await balances('anna', 'bob')).toEqual(['0.00', '0.00']);
    expect((await buy('bob', '10.00', 'p3')).commission).toMatchObject({ status: 'held' });
    clock.advanceDays(40);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await clean();
  });

  describe('goes with the pair', () => {
    const said = { by: 'staff-1', reason: 'mistyped' };
    const reassign = async (to: string | null) => referrals.signups.reassign('bob', { code: to, ...said });

    test.each([[null], ['ZOE']])('by way of %s and back', async (other) => {
      await hold();
      await linkOf('zoe', 'ZOE');
      await reassign(other);
      await clean();
      expect(await balances('anna', 'bob')).toEqual(['0.00', other === null ? '0.00' : '5.00']);
      await reassign('ANNA');
      await clean();
      await referrals.recordUsage('bob', { amount: '10.00', reference: 'u2' });
      expect(await balances('anna', 'bob')).toEqual(['0.00', other === null ? '0.00' : '5.00']);
      expect((await buy('bob', '10.00', 'p3')).commission).toMatchObject({ status: 'held' });
      await referrals.reviews.allow(review);
      // One reward for the user: Zoe's, if she was in between, because no review has held her pair.
      expect(await balances('anna', 'zoe', 'bob')).toEqual(
        other === null ? ['7.00', '0.00', '5.00'] : ['0.00', '7.00', '5.00'],
      );
      await clean();
    });

    test('to a sign-up whose commission alone was held, and to one without a purchase', async () => {
      await begin({ rule: { do: 'hold', find: ({ referee }) => (referee === 'bob' ? 'Bob.' : null) } });
      await linkOf('anna', 'ANNA');
      await linkOf('zoe', 'ZOE');
      await signUp('bob', 'ANNA'); // no purchase, so that the pair is deleted
      await reassign(null);
      await reassign('ANNA');
      await clean();
      expect(await balances('anna', 'bob')).toEqual(['0.00', '0.00']);
      await referrals.reviews.allow(opened[0]!);
      expect(await balances('anna', 'bob')).toEqual(['7.00', '5.00']);
      await clean();
    });

    test('not to the credit of a refused one', async () => {
      await hold();
      await linkOf('zoe', 'ZOE');
      await referrals.reviews.refuse(review);
      await reassign('ZOE');
      expect(await balances('bob')).toEqual(['0.00']);
      await reassign('ANNA');
      expect(await balances('anna', 'bob')).toEqual(['0.00', '0.00']);
      await clean();
    });

    test('and a sign-up that it holds is not deleted', async () => {
      await begin({ rule: { do: 'hold', find: () => 'Everybody.' } });
      await referrals.referralCodes.create({ code: 'PLAIN', label: 'plain', user: 'anna' });
      signup = await Referral.recordSignup(null, 'bob', { code: 'PLAIN' });
      await expect(referrals.signups.delete(signup!)).rejects.toMatchObject({
        ...{ code: 'IN_USE', message: expect.stringMatching(/a review holds it/) },
      });
      await referrals.reviews.allow(opened[0]!);
      await referrals.signups.delete(signup!);
      await clean();
    });
  });

  test('of a pair that a purchase has made, also the sign-up that comes later', async () => {
    await begin({ rule: { do: 'hold', find: ({ about }) => (about === 'purchase' ? 'Bought.' : null) } });
    const link = await linkOf('anna', 'ANNA');
    await referrals.recordPurchase('bob', { amount: '10.00', reference: 'p', referral: link });
    await signUp('bob', 'ANNA');
    expect(await balances('anna', 'bob')).toEqual(['0.00', '0.00']);
    await clean();
    await referrals.reviews.allow(opened[0]!);
    expect(await balances('anna', 'bob')).toEqual(['7.00', '5.00']);
    await clean();
  });

  test.each(['flag', 'hold'] as const)('a suspended referrer makes no pair, and later a held one, %s', async (mode) => {
    await begin({ sharedPayoutAddress: mode });
    const link = await linkOf('anna', 'ANNA');
    await payTo('anna', 'a@shop.example');
    await payTo('bob', 'a@shop.example');
    await referrals.accounts.suspend('anna', { reason: 'looks made up' });
    const before = opened.length;
    const pay = (reference: string) => referrals.recordPurchase('bob', { amount: '10.00', reference, referral: link });
    await pay('p1');
    expect(opened.length).toBe(before);
    await referrals.accounts.reinstate('anna');
    const { commission } = await pay('p2');
    expect(rulesOf(opened.slice(before))).toEqual([['sharedPayoutAddress', 'anna', 'bob']]);
    expect(commission).toMatchObject({ status: mode === 'hold' ? 'held' : 'available' });
    await clean();
  });

  test('the reward of a referrer who is banned before it is allowed is not granted', async () => {
    await hold();
    await referrals.accounts.ban('anna', { reason: 'made up' });
    await referrals.reviews.allow(review);
    expect(await balances('anna', 'bob')).toEqual(['0.00', '5.00']);
    const [made] = await referrals.signups.search({ where: { userId: 'bob' } });
    expect(made).toMatchObject({ noReward: 'suspended' });
    await referrals.accounts.reinstate('anna');
    await Referral.recordSignup(null, 'bob', { code: 'ANNA' });
    expect(await balances('anna')).toEqual(['0.00']);
    await clean();
  });

  test('a refusal waits for the account before it locks what a purchase locks after it', async () => {
    await hold();
    const { schema } = host.dataSource.options as { schema: string };
    const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`;
    let refused: Promise<ReferralReview> | undefined;
    await host.dataSource.transaction(async (manager) => {
      await manager.query(`SELECT FROM "${schema}".referral_accounts WHERE user_id = 'anna' FOR UPDATE`);
      refused = referrals.reviews.refuse(review);
      await waitFor(async () => (await host.dataSource.query(waits)).length > 0);
      for (const table of ['referral_referees', 'referral_signups', 'referral_commissions'])
        await manager.query(`SELECT FROM "${schema}".${table} FOR UPDATE NOWAIT`);
    });
    expect(await refused).toMatchObject({ status: 'refused' });
    await clean();
  });

  test('one that only flags is refused too', async () => {
    await begin({ rule: () => 'Everybody.' });
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await buy('bob', '100.00', 'p1');
    await referrals.reviews.refuse(opened[0]!.id);
    expect(await balances('anna', 'bob')).toEqual(['7.00', '5.00']); // granted before
    expect((await referrals.commissions.search()).map(({ status }) => status)).toEqual(['rejected']);
    await clean();
  });

  test('what was in an earn-out is held when its payout fails', async () => {
    let isRefused = false;
    await begin(
      {
        rule: { do: 'hold', find: (facts) => (facts.about === 'purchase' && facts.reference === 'p2' ? 'Two.' : null) },
      },
      () => {
        if (isRefused) throw new PayoutRefused('no such account');
        return { status: 'submitted', reference: 'later' };
      },
    );
    await payTo('anna', 'anna@shop.example');
    await linkOf('anna', 'ANNA');
    await signUp('bob', 'ANNA');
    await buy('bob', '100.00', 'p1');
    clock.advanceDays(2);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1 });
    isRefused = true;
    await buy('bob', '50.00', 'p2');
    const [earnOut] = await referrals.earnOuts.search();
    await clean();
    await referrals.earnOuts.settle({ key: earnOut!.idempotencyKey, status: 'failed', reason: 'no' });
    expect((await referrals.commissions.search()).map(({ status }) => status)).toEqual(['held', 'held']);
    clock.advanceDays(9);
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 0 });
    await clean();
  });

  test('an account’s payout that nobody has asked for waits; one that was asked for goes on', async () => {
    const asked: string[] = [];
    await begin({ sharedPayoutAddress: 'hold' }, ({ userId }) => {
      asked.push(userId);
      if (asked.length === 1) throw new Error('no answer');
      return { reference: `paid ${asked.length}` };
    });
    const earn = async (referrer: string, buyer: string): Promise<void> => {
      await linkOf(referrer, referrer.toUpperCase());
      await signUp(buyer, referrer.toUpperCase());
      await payTo(referrer, `${referrer}@shop.example`);
      await buy(buyer, '100.00', 'p');
      clock.advanceDays(2);
    };
    const takeAddressOf = async (other: string, user: string): Promise<ReferralReview> => {
      await payTo(other, `${other}@shop.example`);
      await payTo(user, `${other}@shop.example`);
      const [review] = await referrals.reviews.search({ where: { userId: user } });
      expect(review).toMatchObject({ isHolding: true });
      return review!;
    };
    await earn('carl', 'dora');
    expect(await referrals.runEarnOuts({ approve: 'all' })).toMatchObject({ bound: 1, completed: 0 });
    await earn('anna', 'bob');
    expect(await referrals.runEarnOuts()).toMatchObject({ bound: 1, completed: 0 });
    await takeAddressOf('zoe', 'anna');
    const review = await takeAddressOf('yann', 'carl');
    const [earnOut] = await referrals.earnOuts.search({ where: { userId: 'carl' } });
    await referrals.earnOuts.approve(earnOut!, { by: 'staff-1' });
    clock.advanceDays(1);
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    expect(asked).toEqual(['anna', 'anna']);
    await clean();
    await referrals.reviews.allow(review, { by: 'staff-1' });
    expect(await referrals.runEarnOuts()).toMatchObject({ completed: 1 });
    expect(asked).toEqual(['anna', 'anna', 'carl']);
    await clean();
  });

  test('verify() finds a hold that is missing, and one of no review', async () => {
    await hold();
    const { schema } = host.dataSource.options as { schema: string };
    const damage = async (text: string): Promise<(string | number)[][]> => {
      const runner = host.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query(text.replace(/@/g, `"${schema}".`));
      const { problems } = await referrals.verify({ manager: runner.manager });
      await runner.rollbackTransaction();
      await runner.release();
      return problems.map(({ invariant, table }) => [invariant, table]);
    };
    const missing = 'a review that holds has a hold on what it is about';
    const without = 'what a review holds is of one that holds';
    expect(await damage(`UPDATE @referral_referees SET held_for = '{}'`)).toEqual([[missing, 'referral_referees']]);
    expect(await damage(`UPDATE @referral_signups SET was_rewarded = true`)).toEqual([
      ['a reward is granted once, whoever gets the sign-up', 'referral_signups'],
    ]);
    expect(await damage(`UPDATE @referral_signups SET held_for = '{}'`)).toContainEqual([missing, 'referral_signups']);
    expect(await damage(`UPDATE @referral_commissions SET held_for = '{staff}' WHERE purchase = 'p1'`)).toEqual([
      [missing, 'referral_commissions'],
    ]);
    expect(await damage(`UPDATE @referral_accounts SET held_for = '{review:99}'`)).toEqual([
      [without, 'referral_accounts'],
    ]);
    expect(await damage(`UPDATE @referral_reviews SET is_holding = false`)).toEqual([
      [without, 'referral_signups'],
      [without, 'referral_referees'],
      [without, 'referral_commissions'],
      [without, 'referral_commissions'],
    ]);
    await clean();
  });

  test('in the host’s transaction, all of it comes and goes with it', async () => {
    await begin({ rule: { do: 'hold', find: () => 'Everybody.' } });
    await linkOf('anna', 'ANNA');
    const within = host.dataSource.transaction(async (manager) => {
      await Referral.recordSignup(null, 'bob', { code: 'ANNA', manager });
      const { commission } = await referrals.recordPurchase('bob', { amount: '10.00', reference: 'p', manager });
      expect(commission).toMatchObject({ status: 'held' });
      throw new Error('rolled back');
    });
    await expect(within).rejects.toThrow('rolled back');
    expect(opened).toEqual([]);
    expect(await referrals.reviews.count()).toBe(0);
    await clean();
  });

  test('two of the staff at once, in two processes, beside purchases: one decision', async () => {
    await hold();
    const { schema } = host.dataSource.options as { schema: string };
    const second = createReferrals({
      ...{
        dataSource: await openDataSource({ schema, migrate: false }),
        baseUrl,
        secret,
        user: () => null,
        ...patient(),
      },
      ...options({ rule: { do: 'hold', find: () => null } }),
    });
    const results = await Promise.allSettled([
      referrals.reviews.allow(review, { by: 'one' }),
      second.reviews.refuse(review, { by: 'two' }),
      ...Array.from({ length: 4 }, (_, n) => buy('bob', '10.00', `more-${n}`)),
    ]);
    const [allowed, refused, ...purchases] = results;
    expect([allowed.status, refused.status].sort()).toEqual(['fulfilled', 'rejected']);
    expect(purchases.every(({ status }) => status === 'fulfilled')).toBe(true);
    const { status } = await referrals.reviews.get(review.id);
    const left = await referrals.commissions.search();
    if (status === 'allowed') expect(left.every((one) => one.status === 'available')).toBe(true);
    else expect(left.every((one) => one.status === 'rejected' || one.status === 'held')).toBe(true);
    await clean();
    await second.close();
  });
});
