import type { ReferralsOptions } from '../lib';
import { Database } from '../lib/database/database';
import { settingsOf } from '../lib/options';
import { bookedDays } from '../lib/rewards/figures/booked-days';
import { couponOf, type EarningsHost, fresh, startEarnings } from './support/earnings';
import { close, closeAtLast, closedUntil, figuresOf } from './support/figures';
import { baseUrl, closeAll, secret } from './support/host';
import { launch } from './support/rewards';

afterAll(closeAll);

const staff = { reason: 'A mistake.', by: 'staff-7' };
const options: Partial<ReferralsOptions> = { commission: { ratio: '0.25' } };
const referrers = ['anna', 'bert', 'cleo'];

/** What the books say about a user, summed up by PostgreSQL from the rows themselves. */
async function fromBooks({ dataSource, schema }: EarningsHost, user: string): Promise<object> {
  const table = (name: string): string => `${schema}.referral_${name}`;
  const [row] = await dataSource.query<object[]>(
    `SELECT (SELECT count(*)::int FROM ${table('signups')} WHERE referrer_id = $1) AS signups,
       (SELECT count(upgraded_at)::int FROM ${table('referees')} WHERE user_id = $1) AS customers,
       (SELECT coalesce(sum(clicks), 0)::int FROM ${table('daily_counts')} WHERE referral_id IN (
         SELECT id FROM ${schema}.referrals WHERE user_id = $1)) AS clicks,
       (SELECT coalesce(sum(visitors), 0)::int FROM ${table('daily_counts')} WHERE referral_id IN (
         SELECT id FROM ${schema}.referrals WHERE user_id = $1)) AS visitors,
       (coalesce((SELECT sum(amount) FROM ${table('account_totals')} WHERE user_id = $1), 0)
         + coalesce((SELECT sum(initial_balance) FROM ${table('credits')} WHERE user_id = $1 AND kind = 'reward'), 0)
       )::numeric(28,2)::text AS earned`,
    [user],
  );
  return row!;
}

/** The same by day. */
async function daysFromBooks(host: EarningsHost, user: string): Promise<object[]> {
  const { tables } = new Database(settingsOf({ dataSource: host.dataSource, secret, baseUrl, user: () => null }), 1000);
  return host.dataSource.query(
    `SELECT to_char(day, 'YYYY-MM-DD') AS day, sum(clicks)::int AS clicks, sum(visitors)::int AS visitors,
       sum(signups)::int AS signups, sum(customers)::int AS customers, sum(earned)::numeric(28,2)::text AS earned
     FROM (
       SELECT user_id, day, 0 AS clicks, 0 AS visitors, signups, customers, earned FROM (${bookedDays(tables)}) AS b
       UNION ALL SELECT r.user_id, d.day, d.clicks, d.visitors, 0, 0, 0
       FROM ${tables.dailyCounts} d JOIN ${tables.referrals} r ON r.id = d.referral_id
     ) AS x WHERE user_id = $1 GROUP BY 1 ORDER BY 1 DESC`,
    [user],
  );
}

async function expectExact(host: EarningsHost): Promise<void> {
  const figures = figuresOf(host, options);
  for (const user of referrers) {
    const expected = await fromBooks(host, user);
    expect((await figures.overview(user, { days: null })).figures).toEqual(expected);
    const days: unknown[] = [];
    for await (const day of figures.statement(user, 'days')) days.push(day);
    expect(days).toEqual(await daysFromBooks(host, user));
    const links = (await figures.links(user, { take: 100 })).rows;
    const coupons = await host.dataSource.query<{ clicks: number }[]>(
      `SELECT coalesce(sum(clicks), 0)::int AS clicks FROM ${host.schema}.referral_daily_counts d
       JOIN ${host.schema}.referral_channels c ON c.id = d.referral_id JOIN ${host.schema}.referrals r ON r.id = c.id
       WHERE r.user_id = $1`,
      [user],
    );
    expect(links.reduce((sum, { clicks }) => sum + clicks, 0) + coupons[0]!.clicks).toBe(
      (expected as { clicks: number }).clicks,
    );
  }
}

/** A generator of numbers below a bound, from a seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

test.each([Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))])(
  'any history: figures are the sums of the books, whatever is closed (seed %i)',
  async (seed) => {
    const random = randomFrom(seed);
    const host = await startEarnings();
    const { referrals, clock } = host;
    const program = await launch(referrals);
    const codes: { user: string; code: string; id: number }[] = [];
    for (const user of referrers)
      for (let i = 0; i < 2; i++) {
        const code = fresh('code');
        codes.push({ user, code, id: (await referrals.referralCodes.create({ code, label: code, user, program })).id });
      }
    const coupon = await couponOf(host, 'anna', { restoreOnRefund: true });
    const friends: string[] = [];
    const purchases: { buyer: string; reference: string }[] = [];
    const refunds: { buyer: string; reference: string }[] = [];
    const pick = <T>(list: readonly T[]): T | undefined => list[random(list.length || 1)];
    const steps: (() => Promise<unknown>)[] = [
      () =>
        host
          .browser()
          .get(`/r/${pick(codes)!.code}`)
          .expect(302),
      async () => {
        const friend = fresh('friend');
        await referrals.signups.create({ user: friend, code: pick(codes)!.code });
        friends.push(friend);
      },
      async () => {
        const buyer = pick(friends) ?? fresh('buyer');
        if (random(4) === 0) await referrals.coupons.apply(buyer, coupon.code).catch(() => undefined);
        const reference = fresh('order');
        await referrals.recordPurchase(buyer, { amount: 1 + random(20_000) / 100, reference });
        purchases.push({ buyer, reference });
      },
      async () => {
        const purchase = pick(purchases);
        if (!purchase) return;
        const reference = fresh('refund');
        const made = await referrals
          .recordRefund(purchase.buyer, { purchase: purchase.reference, reference, ...(random(2) && { amount: 1 }) })
          .then(
            () => true,
            () => false,
          );
        if (made) refunds.push({ buyer: purchase.buyer, reference });
      },
      async () => {
        const refund = pick(refunds);
        if (refund)
          await referrals.undoRefund(refund.buyer, { reference: refund.reference, ...staff }).catch(() => undefined);
      },
      async () => {
        const friend = pick(friends);
        if (friend) await referrals.recordUsage(friend, { amount: 20 + random(20), reference: fresh('usage') });
      },
      () =>
        referrals.commissions.adjust(pick(referrers)!, { amount: random(20) - 10.5, reference: fresh('a'), ...staff }),
      async () => {
        const [commission] = await referrals.commissions.search({ take: 1, skip: random(5) });
        if (commission) await referrals.commissions.reject(commission, staff).catch(() => undefined);
      },
      async () => {
        const friend = pick(friends);
        const code = random(4) ? pick(codes)!.code : null;
        if (friend) await referrals.signups.reassign(friend, { code, past: random(2) ? 'move' : 'keep', ...staff });
      },
      async () => {
        const friend = pick(friends);
        const [signup] = friend ? await referrals.signups.search({ where: { userId: friend } }) : [];
        if (signup && random(3) === 0) await referrals.signups.delete(signup.id).catch(() => undefined);
      },
      async () => {
        const [from, into] = [pick(friends), pick(friends)];
        if (!from || !into || from === into || random(3) > 0) return;
        const isMerged = await referrals.mergeUsers(from, into, staff).then(
          () => true,
          () => false,
        );
        if (isMerged) friends.splice(friends.indexOf(from), 1);
      },
      async () => {
        if (codes.length > 3 && random(4) === 0) {
          const at = random(codes.length);
          const isDeleted = await referrals.referralCodes.delete(codes[at]!.id).then(
            () => true,
            () => false,
          );
          if (isDeleted) codes.splice(at, 1);
        }
      },
      () => Promise.resolve(clock.advanceDays(1)),
      () => close(host, pick(referrers)!),
    ];
    for (let step = 0; step < 150; step++) {
      await pick(steps)!();
      if (step % 30 === 29) await expectExact(host);
    }
    for (const user of referrers) await close(host, user);
    await expectExact(host);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    clock.advanceDays(3);
    for (const user of referrers) await closeAtLast(host, user);
    await expectExact(host);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
    // One user who has referred becomes another.
    await referrals.mergeUsers('bert', 'cleo', staff);
    await referrals.renameUser('anna', 'dora', staff);
    referrers.splice(0, 3, 'dora', 'cleo', 'bert');
    await expectExact(host);
    await close(host, 'cleo');
    await expectExact(host);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  },
);

test('a day is not closed while a transaction that may have written on it is in progress', async () => {
  const host = await startEarnings();
  const { referrals, clock, dataSource } = host;
  await referrals.referralCodes.create({ code: 'EVE', label: 'e', user: 'eve' });
  await referrals.signups.create({ user: 'fred', code: 'EVE' });
  const { figures } = await figuresOf(host, options).overview('eve', { days: null });
  expect(figures.earned).toBe('0.00');
  await dataSource.transaction(async (manager) => {
    await referrals.recordPurchase('fred', { amount: 100, reference: 'order', manager });
    clock.advanceDays(2);
    await close(host, 'eve');
    await close(host, 'eve');
    expect(await closedUntil(host, 'eve')).toBeNull();
  });
  await closeAtLast(host, 'eve');
  expect((await figuresOf(host, options).overview('eve', { days: null })).figures.earned).toBe('25.00');
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('while a transaction opens days again, none is closed, and no page waits for it', async () => {
  const host = await startEarnings();
  const { referrals, clock, dataSource } = host;
  for (const [code, user] of [
    ['GINA', 'gina'],
    ['HUGO', 'hugo'],
  ] as const)
    await referrals.referralCodes.create({ code, label: 'x', user });
  await referrals.signups.create({ user: 'ivan', code: 'GINA' });
  clock.advanceDays(2);
  await dataSource.transaction(async (manager) => {
    await referrals.signups.reassign('ivan', { code: 'HUGO', ...staff, manager });
    await close(host, 'gina'); // there is no row yet
    expect(await closedUntil(host, 'gina')).toBeNull();
  });
  await closeAtLast(host, 'gina');
  expect((await figuresOf(host, options).overview('gina', { days: null })).figures.signups).toBe(0);
  clock.advanceDays(2);
  await dataSource.transaction(async (manager) => {
    await referrals.signups.reassign('ivan', { code: 'GINA', ...staff, manager });
    await close(host, 'gina');
  });
  expect((await figuresOf(host, options).overview('gina', { days: null })).figures.signups).toBe(1);
  await referrals.signups.reassign('ivan', { code: 'HUGO', ...staff });
  for (const user of ['gina', 'hugo']) await closeAtLast(host, user);
  const figures = figuresOf(host, options);
  expect((await figures.overview('gina', { days: null })).figures.signups).toBe(0);
  expect((await figures.overview('hugo', { days: null })).figures.signups).toBe(1);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

test('a click that is made up for at sign-in counts on its day, also if that is closed', async () => {
  const host = await startEarnings();
  const { referrals, clock, dataSource, schema } = host;
  const { id } = await referrals.referralCodes.create({ code: 'NOA', label: 'n', user: 'noa' });
  const browser = host.browser();
  await host.browser().get('/r/NOA').expect(302);
  await dataSource.query(`ALTER TABLE ${schema}.referral_responses RENAME TO away`);
  await browser.get('/r/NOA').expect(302); // the visitor carries it
  await dataSource.query(`ALTER TABLE ${schema}.away RENAME TO referral_responses`);
  clock.advanceDays(2);
  await closeAtLast(host, 'noa');
  await browser.post('/login/otto');
  await browser.get('/whose');
  const figures = figuresOf(host, options);
  expect((await figures.overview('noa', { days: null })).figures).toMatchObject({ clicks: 2, visitors: 2 });
  expect((await figures.links('noa')).rows).toMatchObject([{ id, clicks: 2 }]);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  await closeAtLast(host, 'noa');
  expect((await figures.overview('noa', { days: null })).figures).toMatchObject({ clicks: 2, visitors: 2 });
});

test('an id of which only forgotten days are left is free for another user', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  for (const [code, user] of [
    ['PIA', 'pia'],
    ['QUIN', 'quin'],
  ] as const)
    await referrals.referralCodes.create({ code, label: 'x', user });
  const { id } = await referrals.referralCodes.getByCode('QUIN');
  await referrals.referralCodes.delete(id);
  await close(host, 'pia');
  expect((await referrals.renameUser('pia', 'quin', staff)).rows).toBeGreaterThan(0);
  expect((await figuresOf(host, options).links('quin')).rows).toMatchObject([{ code: 'PIA' }]);
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

describe('what verify finds in closed days', () => {
  const damages: [string, string, string][] = [
    ['signups', 'a closed day is the sum of its rows', 'UPDATE @user_days SET signups = signups + 1'],
    ['customers', 'a closed day is the sum of its rows', 'UPDATE @user_days SET customers = customers + 1'],
    ['earned', 'a closed day is the sum of its rows', 'UPDATE @user_days SET earned = earned + 1 WHERE earned > 0'],
    ['day', 'a closed day is the sum of its rows', 'UPDATE @user_days SET day = day - 100'],
    ['clicks', 'a closed day has all clicks of its links', 'UPDATE @user_days SET clicks = 0, visitors = 0'],
    ['links', 'the clicks of a link on closed days are all of them', 'DELETE FROM @user_links'],
    [
      'clicks that are too many',
      'the clicks of closed days are those of links',
      'UPDATE @user_days SET clicks = clicks + 1',
    ],
    ['until', 'a closed day is the sum of its rows', 'DELETE FROM @user_days'],
  ];
  let host: EarningsHost;
  beforeAll(async () => {
    host = await startEarnings();
    const { referrals, clock } = host;
    await referrals.referralCodes.create({ code: 'KIM', label: 'k', user: 'kim' });
    await referrals.signups.create({ user: 'leo', code: 'KIM' });
    await referrals.recordPurchase('leo', { amount: 100, reference: 'order' });
    await host.browser().get('/r/KIM').expect(302);
    clock.advanceDays(2);
    await closeAtLast(host, 'kim');
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  test.each(damages)('%s', async (_what, invariant, damage) => {
    const undone = new Error('undone');
    const rolledBack = host.dataSource.transaction(async (manager) => {
      await manager.query(damage.replaceAll('@', `${host.schema}.referral_`));
      const { problems } = await host.referrals.verify({ manager });
      expect(problems.map((problem) => problem.invariant)).toContain(invariant);
      throw undone;
    });
    await expect(rolledBack).rejects.toBe(undone);
  });
});
