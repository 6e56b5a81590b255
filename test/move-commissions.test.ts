import type { ReferralCommission } from '../lib';
import {
  type EarningsHost,
  everyRow,
  expectRefusals,
  fresh,
  refer,
  refusalOf,
  startEarnings,
} from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

const said = { by: 'olga', reason: 'the code of a friend was mistyped' };
const move = { ...said, past: 'move' } as const;
let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
});
afterEach(async () => {
  expect(await host.referrals.verify()).toMatchObject({ problems: [] });
});

/** A code with terms, and a user who has signed up with it. */
async function signedUp(terms: Parameters<typeof refer>[3] = {}, referee = fresh()) {
  const owner = fresh();
  const code = await refer(host, owner, referee, terms);
  return { owner, code, referee };
}
const buy = async (user: string, amount: number | string = 10, reference = fresh('order')) =>
  (await host.referrals.recordPurchase(user, { amount, reference })).commission!;
const again = ({ id }: { id: number }) => host.referrals.commissions.get(id);
const become = async ({ id }: { id: number }): Promise<ReferralCommission | undefined> =>
  (await host.referrals.commissions.search({ where: { movedFrom: id } }))[0];
const totalsOf = (user: string) => host.referrals.accounts.totals(user);

test('what is not paid is taken back and earned by the new referrer, with its terms', async () => {
  const { referrals, clock } = host;
  const before = await signedUp({ commissionRatio: '0.2', commissionSignup: '3' });
  const after = await signedUp({ commissionRatio: '0.5' });
  const user = before.referee;
  const first = await buy(user, 10);
  const second = await buy(user, 20);
  await referrals.recordRefund(user, { purchase: second.purchase, reference: 'half', amount: 10 });
  const [signup] = await referrals.commissions.search({ where: { refereeId: user, kind: 'sign-up' } });
  clock.advanceDays(1);
  const events: unknown[] = [];
  const listen = (...args: unknown[]) => events.push(args);
  referrals.on('signupReassigned', listen);
  const moved = await referrals.signups.reassign(user, { code: after.code.code, ...move });
  referrals.off('signupReassigned', listen);
  expect(moved.past).toEqual({ moved: '7.00', commissions: 3, stays: '0.00' });
  expect(events).toEqual([
    [
      expect.objectContaining({ userId: user, referrerId: after.owner }),
      { referrerId: before.owner, past: moved.past },
    ],
  ]);
  for (const [commission, earned, amount] of [
    [signup!, '3.00', '3.00'],
    [first, '2.00', '2.00'],
    [second, '4.00', '2.00'],
  ] as const) {
    expect(await again(commission)).toMatchObject({
      userId: before.owner,
      earned,
      amount: '0.00',
      status: 'reverted',
      movedAt: clock.time,
    });
    expect(await become(commission)).toMatchObject({
      ...{ userId: after.owner, refereeId: user, referralId: after.code.id, earned, amount, rate: commission.rate },
      ...{
        purchase: commission.purchase,
        kind: commission.kind,
        availableAt: commission.availableAt,
        status: 'pending',
      },
    });
  }
  expect(await totalsOf(before.owner)).toMatchObject({
    totalCreditsEarned: '0.00',
    usersReferred: 0,
    usersUpgraded: 0,
  });
  expect(await totalsOf(after.owner)).toMatchObject({ totalCreditsEarned: '7.00', usersReferred: 2, usersUpgraded: 1 });
  const { commission } = await referrals.recordPurchase(user, { amount: 10, reference: first.purchase });
  expect(commission).toMatchObject({ userId: after.owner, earned: '2.00' });
  const purchase = (await referrals.purchases.search({ where: { userId: user, reference: first.purchase } }))[0]!;
  expect(await purchase.commission()).toMatchObject({ userId: after.owner });
  const rows = await everyRow(host);
  expect((await referrals.signups.reassign(user, { code: after.code.code, ...move })).past).toBeNull();
  const versionless = (all: string[]) => all.map((row) => row.replace(/"version":\d+/, ''));
  expect(versionless(await everyRow(host))).toEqual(versionless(rows));
  const audit = await referrals.audit.search({
    where: { call: 'signups.reassign', subject: 'commission', subjectId: String(first.id) },
  });
  expect(audit).toMatchObject([
    { by: 'olga', userId: before.owner, before: { amount: '2.00' }, after: { amount: '0.00' } },
  ]);
});

test('refunds after the move, and undone ones, are the new referrer’s', async () => {
  const { referrals } = host;
  const [before, after] = [await signedUp({ commissionRatio: '0.3' }), await signedUp()];
  const user = before.referee;
  const commission = await buy(user, '9.99', 'p');
  await referrals.recordRefund(user, { purchase: 'p', reference: 'r1', amount: '3.33' });
  await referrals.signups.reassign(user, { code: after.code.code, ...move });
  const r2 = await referrals.recordRefund(user, { purchase: 'p', reference: 'r2', amount: '3.33' });
  expect(r2.commission).toMatchObject({ userId: after.owner, amount: '1.00' });
  const undone = await referrals.undoRefund(user, { reference: 'r1' });
  expect(undone.commission).toMatchObject({ userId: after.owner, amount: '2.00' });
  await referrals.recordRefund(user, { purchase: 'p', reference: 'rest' });
  expect((await become(commission))!.status).toBe('reverted');
  // One that was refunded as a whole can be moved too: the dispute may be won.
  await referrals.signups.reassign(user, { code: before.code.code, ...move });
  const won = await referrals.undoRefund(user, { reference: 'rest' });
  expect(won.commission).toMatchObject({ userId: before.owner, amount: '2.00' });
  expect((await again(commission)).amount).toBe('0.00');
});

test('what is paid stays, and so does what a coupon has earned, and what is rejected', async () => {
  const { referrals, clock } = host;
  const before = await signedUp({ commissionRatio: '0.2' });
  const after = await signedUp();
  const user = before.referee;
  const paid = await buy(user, 100);
  clock.advanceDays(40);
  await referrals.runEarnOuts();
  const channel = await referrals.channels.create({
    ...{
      user: before.owner,
      code: fresh('c'),
      promoType: 'percent_off',
      promoValue: '0.1',
      initialRate: '0.5',
      ongoingRate: '0.5',
    },
  });
  await referrals.coupons.apply(user, channel.code);
  const byCoupon = await buy(user, 10);
  const [rejected, rest] = [await buy(user, 10), await buy(user, 30)];
  await referrals.commissions.reject(rejected, said);
  const { past } = await referrals.signups.reassign(user, { code: after.code.code, ...move });
  expect(past).toEqual({ moved: '6.00', commissions: 1, stays: '20.00' });
  expect(await again(paid)).toMatchObject({ amount: '20.00', movedAt: null });
  expect(await again(byCoupon)).toMatchObject({ amount: '5.00', movedAt: null });
  expect(await again(rejected)).toMatchObject({ status: 'rejected', movedAt: null });
  expect(await become(rest)).toMatchObject({ userId: after.owner, amount: '6.00' });
  const refund = await referrals.recordRefund(user, { purchase: paid.purchase, reference: 'r' });
  expect(refund.commission).toMatchObject({ userId: before.owner, amount: '0.00' });
});

test('to nobody it is only taken back, and from nobody it is earned again', async () => {
  const { referrals, clock } = host;
  const before = await signedUp({ commissionRatio: '0.2', commissionSignup: '3' });
  const after = await signedUp();
  const user = before.referee;
  const first = await buy(user, 10, 'p');
  const none = await referrals.signups.reassign(user, { code: null, ...move });
  expect(none.past).toEqual({ moved: '5.00', commissions: 2, stays: '0.00' });
  expect(await totalsOf(before.owner)).toMatchObject({ totalCreditsEarned: '0.00', usersReferred: 0 });
  expect((await referrals.recordRefund(user, { purchase: 'p', reference: 'r', amount: 5 })).commission).toBeNull();
  expect(await referrals.verify()).toMatchObject({ problems: [] });
  // It does not wait for a referrer, as a purchase without one does.
  await referrals.signups.reassign(user, { code: after.code.code, ...said });
  expect(await become(first)).toBeUndefined();
  await referrals.signups.reassign(user, { code: null, ...said });
  // An earn-out that has it with its entry has paid nothing for it.
  const rich = fresh();
  await refer(host, before.owner, rich, { commissionRatio: '0.2' });
  await buy(rich, 1000);
  clock.advanceDays(40);
  await referrals.runEarnOuts();
  expect((await again(first)).earnOutId).not.toBeNull();
  const back = await referrals.signups.reassign(user, { code: before.code.code, ...move });
  expect(back.past).toEqual({ moved: '4.00', commissions: 2, stays: '0.00' });
  expect(await become(first)).toMatchObject({ userId: before.owner, earned: '2.00', amount: '1.00' });
  expect(await totalsOf(before.owner)).toMatchObject({ totalCreditsEarned: '204.00', usersReferred: 2 });
});

test('there and back again', async () => {
  const { referrals } = host;
  const [before, after] = [await signedUp({ commissionRatio: '0.2' }), await signedUp()];
  const user = before.referee;
  const first = await buy(user, 10, 'p');
  await referrals.signups.reassign(user, { code: after.code.code, ...move });
  const there = (await become(first))!;
  await buy(user, 10);
  await referrals.signups.reassign(user, { code: before.code.code, ...move });
  expect(await become(there)).toMatchObject({ userId: before.owner, amount: '2.00', movedFrom: there.id });
  expect(await totalsOf(after.owner)).toMatchObject({ totalCreditsEarned: '0.00', usersReferred: 1 });
  expect((await referrals.recordRefund(user, { purchase: 'p', reference: 'r' })).commission).toMatchObject({
    ...{ userId: before.owner, amount: '0.00', movedAt: null },
  });
  for (const call of ['hold', 'reject'] as const)
    expect(await refusalOf(referrals.commissions[call](first, said))).toBe('COMMISSION_MOVED');
  expect(await refusalOf(referrals.commissions.release(first))).toBe('COMMISSION_MOVED');
});

test('what staff hold stays held, and another code of the referrer’s moves nothing', async () => {
  const { referrals, clock } = host;
  const [before, after] = [await signedUp({ commissionRatio: '0.2' }), await signedUp()];
  const user = before.referee;
  const held = await buy(user, 10);
  await referrals.commissions.hold(held, said);
  const other = await referrals.referralCodes.create({ user: before.owner, label: fresh() });
  expect((await referrals.signups.reassign(user, { code: other.code, ...move })).past).toEqual({
    ...{ moved: '0.00', commissions: 0, stays: '2.00' },
  });
  await referrals.signups.reassign(user, { code: after.code.code, ...move });
  const moved = (await become(held))!;
  expect(moved).toMatchObject({ status: 'held', heldFor: ['staff'], heldFrom: held.availableAt });
  clock.advanceDays(40);
  expect(await totalsOf(after.owner)).toMatchObject({ creditsEarned: '0.00', totalCreditsEarned: '2.00' });
  await referrals.commissions.release(moved);
  expect(await totalsOf(after.owner)).toMatchObject({ creditsEarned: '2.00' });
  await referrals.runEarnOuts();
  expect((await referrals.commissions.get(moved.id)).earnOutId).not.toBeNull();
});

test('limits do not lower what is moved, and count it', async () => {
  const { referrals } = host;
  const before = await signedUp({ commissionRatio: '0.5', commissionMaxPerReferrer: '100', commissionPeriod: 'all' });
  const after = await signedUp({
    ...{
      commissionRatio: '0.5',
      commissionMaxPerReferee: '10',
      commissionMaxPerReferrer: '20',
      commissionPeriod: 'all',
    },
  });
  await buy(before.referee, 60);
  await referrals.signups.reassign(before.referee, { code: after.code.code, ...move });
  expect(await totalsOf(after.owner)).toMatchObject({ totalCreditsEarned: '30.00' });
  const one = await referrals.recordPurchase(before.referee, { amount: 10, reference: fresh() });
  expect(one.purchase.noCommission).toBe('limit-reached');
  const other = await referrals.recordPurchase(after.referee, { amount: 10, reference: fresh() });
  expect(other.purchase.noCommission).toBe('referrer-limit');
});

test('it moves between modes and channels, with the revenue', async () => {
  const { referrals } = host;
  const [anna, otto] = [fresh(), fresh()];
  const promo = { promoType: 'percent_off', promoValue: '0.1', initialRate: '0.1', ongoingRate: '0.1' } as const;
  const [from, to] = [
    await referrals.channels.create({ user: anna, code: fresh('c'), ...promo }),
    await referrals.channels.create({ user: otto, code: fresh('c'), ...promo }),
  ];
  const account = await referrals.accounts.of(otto);
  await referrals.accounts.update(account, { mode: 'payout', payoutEmail: 'otto@bank.example' });
  const user = fresh();
  await referrals.signups.create({ user, code: from.code });
  const first = await buy(user, 50);
  await referrals.recordRefund(user, { purchase: first.purchase, reference: 'r', amount: 20 });
  await referrals.signups.reassign(user, { code: to.code, ...move });
  expect(await become(first)).toMatchObject({ mode: 'payout', channelId: to.id, amount: '3.00', termsFrom: 'channel' });
  await referrals.recordRefund(user, { purchase: first.purchase, reference: 'r2', amount: 10 });
  expect(await totalsOf(otto)).toMatchObject({ totalPayoutsEarned: '2.00' });
  expect(await referrals.verify()).toMatchObject({ problems: [] });
  // To a code that is no channel.
  const { code, owner } = await signedUp();
  await referrals.signups.reassign(user, { code: code.code, ...move });
  expect(await totalsOf(owner)).toMatchObject({ totalCreditsEarned: '2.00' });
});

test('moved commissions outlive a merge of the two referrers, of the buyer, and a ban', async () => {
  const { referrals } = host;
  const [before, after] = [await signedUp({ commissionRatio: '0.2' }), await signedUp()];
  const user = before.referee;
  const first = await buy(user, 10, 'p');
  await referrals.signups.reassign(user, { code: after.code.code, ...move });
  await referrals.mergeUsers(before.owner, after.owner, said);
  expect(await referrals.verify()).toMatchObject({ problems: [] });
  const other = await signedUp({}, fresh());
  await referrals.mergeUsers(user, other.referee, said);
  expect(await referrals.verify()).toMatchObject({ problems: [] });
  const refund = await referrals.recordRefund(other.referee, { purchase: 'p', reference: 'r', amount: 5 });
  expect(refund.commission).toMatchObject({ userId: after.owner, amount: '1.00' });
  await referrals.accounts.ban(after.owner, said);
  expect((await become(first))!.status).toBe('rejected');
  expect(await again(first)).toMatchObject({ rejectedAt: null, movedAt: expect.any(Date) });
});

test('the wrong value is refused', async () => {
  const { code, referee } = await signedUp();
  await expectRefusals(
    host,
    [
      ['past', { past: 'drop' as 'keep' }],
      ['past', { past: null as never }],
      ['past', { past: 1 as never }],
    ],
    (input) => host.referrals.signups.reassign(referee, { code: null, ...said, ...input }),
  );
  expect((await host.referrals.signups.reassign(referee, { referral: null, ...said, past: 'keep' })).past).toBeNull();
  expect(code.uses).toBe(0);
});

test('explain says what was moved', async () => {
  const { referrals } = host;
  const [before, after] = [await signedUp({ commissionRatio: '0.2' }), await signedUp()];
  const user = before.referee;
  await buy(user, 10, 'p');
  await referrals.signups.reassign(user, { code: after.code.code, ...move });
  const of = (who: string) => referrals.explain(who);
  const { asReferee, sentences } = await of(user);
  expect(asReferee.reassigned).toMatchObject({ past: { moved: '2.00', commissions: 1, stays: '0.00' } });
  expect(asReferee.purchases).toMatchObject([{ referrer: after.owner, isMoved: true, isLate: false }]);
  expect(sentences).toContain('Of what was earned before, 2.00 was moved, and 0.00 stays as it was.');
  expect(sentences.join(' ')).toMatch(`to which staff have moved it: it earned "${after.owner}" 2.00, available`);
  const old = await of(before.owner);
  expect(old.asReferrer.purchases).toMatchObject([{ referrer: before.owner, commission: { amount: '0.00' } }]);
  expect(old.sentences.join(' ')).toMatch(`it earned "${before.owner}" 2.00, which staff have moved away on `);
  await referrals.signups.reassign(user, { code: null, ...move });
  expect((await of(user)).sentences.join(' ')).toMatch(
    'what it had earned was taken back by staff, who have moved it to nobody.',
  );
});
