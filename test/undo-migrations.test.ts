import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { Referrals } from '../lib';
import { AddReviews1816000000001 } from '../migrations/1816000000001-add-reviews';
import { CountVisitors1816000000000 } from '../migrations/1816000000000-count-visitors';
import { MoveCommissions1818000000000 } from '../migrations/1818000000000-move-commissions';
import { ReviewClicks1819000000000 } from '../migrations/1819000000000-review-clicks';
import { couponOf, type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

const staff = { reason: 'Looks made up.', by: 'staff-7' };
const clean = async (referrals: Referrals): Promise<void> =>
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });

/** Undoes a migration and runs it again, each in a transaction. Returns the statements of the second run. */
async function again(
  { dataSource, schema }: EarningsHost,
  migration: { name: string } & MigrationInterface,
  between: (runner: QueryRunner) => Promise<void> = () => Promise.resolve(),
): Promise<string[]> {
  const runner = dataSource.createQueryRunner();
  await runner.startTransaction();
  await migration.down(runner);
  await between(runner);
  await runner.commitTransaction();
  await dataSource.query(`DELETE FROM ${schema}.migrations WHERE name = $1`, [migration.name]);
  const statements: string[] = [];
  const query = runner.query.bind(runner);
  Object.assign(runner, {
    query: (text: string, parameters?: unknown[]) => {
      statements.push(text);
      return query(text, parameters);
    },
  });
  await migration.up(runner);
  await runner.release();
  return statements;
}

test('without reviews, commissions that they held are available as if they had never been held', async () => {
  const host = await startEarnings({
    fraud: { rule: { do: 'hold', find: ({ referee }) => (referee === 'flagged' ? 'a robot' : null) } },
  });
  const { referrals, clock } = host;
  await refer(host, 'anna', 'flagged');
  await refer(host, 'anna', 'known');
  const buy = async (user: string, amount: number) =>
    (await referrals.recordPurchase(user, { amount, reference: fresh('order') })).commission!;
  const [held, both, other] = [await buy('flagged', 40), await buy('flagged', 20), await buy('known', 4)];
  await referrals.commissions.hold(both, staff);
  clock.advanceDays(31);
  const later = await buy('flagged', 12);
  expect(await referrals.accounts.totals('anna')).toMatchObject({ creditsEarned: '1.00' });
  await referrals.runEarnOuts();
  await clean(referrals);
  await again(host, new AddReviews1816000000001());
  await clean(referrals);
  const state = async (commission: { id: number }) => {
    const { status, heldFor, availableAt } = await referrals.commissions.get(commission.id);
    return [status, heldFor, availableAt && (availableAt.getTime() - clock.time.getTime()) / 86_400_000];
  };
  expect(await state(held)).toEqual(['available', [], -1]);
  expect(await state(both)).toEqual(['held', ['staff'], null]);
  expect(await state(later)).toEqual(['pending', [], 30]);
  expect((await state(other))[1]).toEqual([]);
  clock.advanceDays(31);
  await referrals.runEarnOuts();
  expect(await referrals.accounts.of('anna')).toMatchObject({ creditsPaid: '14.00' });
  await referrals.commissions.release(both, staff);
  expect(await referrals.accounts.totals('anna')).toMatchObject({ creditsEarned: '5.00' });
  await clean(referrals);
});

test('visitors of earlier clicks are counted before the responses are locked', async () => {
  const host = await startEarnings();
  const { referrals, clock, dataSource, schema } = host;
  await referrals.referralCodes.create({ code: 'ANNA', label: 'a', user: 'anna' });
  const [one, two] = [host.browser(), host.browser()];
  for (const browser of [one, two, one]) await browser.get('/r/ANNA').expect(302);
  clock.advanceDays(1);
  await two.get('/r/ANNA').expect(302);
  const counts = () =>
    dataSource.query<unknown>(`SELECT clicks, visitors FROM ${schema}.referral_daily_counts ORDER BY day`);
  const expected = [
    { clicks: '3', visitors: '2' },
    { clicks: '1', visitors: '0' },
  ];
  const responses = `${schema}."referral_responses"`;
  const statements = await again(host, new CountVisitors1816000000000());
  expect(await counts()).toEqual(expected);
  const lock = statements.findIndex((text) => text.startsWith('ALTER TABLE'));
  expect(statements.slice(0, lock).filter((text) => text.includes(responses))).toHaveLength(1);
  expect(statements.slice(lock + 1).filter((text) => text.includes(responses))).toEqual([]);
  expect(await dataSource.query(`SELECT FROM pg_class WHERE relname = 'referral_counted_visitors'`)).toEqual([]);
});

test('coupons that refunds gave back before are known: undoing the refund takes them', async () => {
  const host = await startEarnings();
  const { referrals } = host;
  const redeemed = async (terms: object) => {
    const channel = await couponOf(host, 'anna', terms);
    const buyer = fresh();
    await referrals.coupons.apply(buyer, channel.code);
    await referrals.recordPurchase(buyer, { amount: 10, reference: 'order' });
    return { channel, buyer };
  };
  const [byRefund, byStaff] = [await redeemed({ restoreOnRefund: true }), await redeemed({ restoreOnRefund: true })];
  await referrals.recordRefund(byRefund.buyer, { purchase: 'order', reference: 'back' });
  await referrals.recordRefund(byStaff.buyer, { purchase: 'order', reference: 'back', amount: 4 });
  await referrals.coupons.giveBack(byStaff.buyer, staff);
  await again(host, new ReviewClicks1819000000000());
  await clean(referrals);
  for (const { buyer } of [byRefund, byStaff]) await referrals.undoRefund(buyer, { reference: 'back' });
  expect((await byRefund.channel.refresh()).totalUses).toBe(1);
  expect((await byStaff.channel.refresh()).totalUses).toBe(0);
  await clean(referrals);
});

test('what was moved is its new referrer’s, and rewards whose sign-ups have left are counted', async () => {
  const host = await startEarnings();
  const { referrals, clock } = host;
  const type = await referrals.creditTypes.create({ name: 'reward' });
  const limited = async (user: string, period: 'all' | 'month' | 'quarter' | 'year') => {
    const program = await referrals.programs.create({
      ...{ name: fresh('program'), rewardLimit: { count: 3, period }, commission: { ratio: '0.2', signup: '3' } },
      rewardCredit: { amount: 10, durationDays: 100, type },
    });
    return referrals.referralCodes.create({ code: fresh('CODE'), label: fresh(), user, program });
  };
  const [anna, otto] = [await limited('anna', 'all'), await limited('otto', 'month')];
  const users = { there: [otto], back: [otto, anna], nobody: [null], again: [null, otto] };
  for (const user of Object.keys(users)) {
    await referrals.signups.create({ user, code: anna.code });
    await referrals.recordPurchase(user, { reference: 'order', amount: 100 });
    await referrals.recordRefund(user, { purchase: 'order', reference: 'back', amount: 30 });
  }
  for (const period of ['quarter', 'year'] as const) {
    const { code } = await limited('anna', period);
    const [gone, stays] = [fresh(), fresh()];
    for (const user of [gone, stays]) await referrals.signups.create({ user, code });
    await referrals.signups.reassign(gone, { code: null, ...staff });
  }
  for (const [user, way] of Object.entries(users))
    for (const referral of way) await referrals.signups.reassign(user, { referral, past: 'move', ...staff });
  await referrals.recordPurchase('back', { reference: 'more', amount: 100 });
  clock.advanceDays(40);
  await referrals.runEarnOuts(); // what was moved away is in the earn-outs, with its entries
  await clean(referrals);
  const earned = async () => {
    const where = { movedAt: null };
    const rows = await referrals.commissions.search({ where, order: { id: 'ASC' }, take: 100 });
    return rows.map(({ id, userId, amount, earnOutId }) => [id, userId, amount, earnOutId]);
  };
  const before = await earned();
  await again(host, new MoveCommissions1818000000000());
  await clean(referrals);
  expect(await earned()).toEqual(before);
  const refund = await referrals.recordRefund('there', { purchase: 'order', reference: 'rest' });
  expect(refund.commission).toMatchObject({ userId: 'otto', amount: '0.00' });
  await clean(referrals);
});
