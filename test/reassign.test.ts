import { buildCommissionWorld } from './support/commission-world';
import {
  type EarningsHost,
  everyRow,
  expectRefusals,
  fresh,
  refer,
  refusalOf,
  startEarnings,
} from './support/earnings';
import { closeAll, waitFor } from './support/host';

afterAll(closeAll);

const said = { by: 'olga', reason: 'the code of a friend was mistyped' };
let host: EarningsHost;
let typeId: number;
beforeAll(async () => {
  host = await startEarnings({
    isSamePerson: (referrer, referee) => `${referrer}+2` === referee,
    earnOuts: { payout: () => undefined },
  });
  typeId = (await host.referrals.creditTypes.create({ name: 'compute' })).id;
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
const referredBy = async (user: string) => (await host.referrals.accounts.of(user)).usersReferred;
const usesOf = async (id: number) => (await host.referrals.referralCodes.get(id)).uses;

test('later purchases are credited to the new referrer, at the new terms; the past stays', async () => {
  const { referrals, clock } = host;
  const [before, after] = [
    await signedUp({ commissionRatio: '0.2', commissionMaxPerReferee: '50' }),
    await signedUp({ commissionRatio: '0.5' }),
  ];
  const user = before.referee;
  await referrals.recordPurchase(user, { reference: 'p1', amount: '10' });
  clock.advanceDays(1);
  const moved = await referrals.signups.reassign(user, { code: after.code.code.toLowerCase(), ...said });
  expect(moved).toMatchObject({
    referralId: after.code.id,
    referrerId: after.owner,
    commissionRatio: '0.50',
    commissionMaxPerReferee: null,
  });
  expect([await usesOf(before.code.id), await usesOf(after.code.id)]).toEqual([0, 2]);
  // The old referrer has earned of the user, and keeps that.
  expect([await referredBy(before.owner), await referredBy(after.owner)]).toEqual([1, 2]);
  const { commission } = await referrals.recordPurchase(user, { reference: 'p2', amount: '10' });
  expect(commission).toMatchObject({ userId: after.owner, earned: '5.00' });
  const refund = await referrals.recordRefund(user, { purchase: 'p1', reference: 'r1' });
  expect(refund.commission).toMatchObject({ userId: before.owner, amount: '0.00' });

  expect(await referrals.audit.search({ where: { userId: user, call: 'signups.reassign' } })).toMatchObject([
    {
      ...{ call: 'signups.reassign', subject: 'sign-up', subjectId: String(moved.id), by: 'olga', reason: said.reason },
      before: { referralId: before.code.id, referrerId: before.owner },
      after: { referralId: after.code.id, referrerId: after.owner },
    },
  ]);
  const rows = await everyRow(host);
  await referrals.signups.reassign(user, { referral: after.code.id, ...said });
  const versionless = (rows: string[]) => rows.map((row) => row.replace(/"version":\d+/, ''));
  expect(versionless(await everyRow(host))).toEqual(versionless(rows)); // a repeated call
  // And back again.
  await referrals.signups.reassign(user, { referral: before.code, ...said });
  expect([await usesOf(before.code.id), await usesOf(after.code.id)]).toEqual([1, 1]);
});

test('without a purchase the old referrer loses the referee, and nobody gets one twice', async () => {
  const { referrals } = host;
  const [before, after] = [await signedUp(), await signedUp()];
  await referrals.signups.reassign(before.referee, { code: after.code.code, ...said });
  expect([await referredBy(before.owner), await referredBy(after.owner)]).toEqual([0, 2]);
  const other = await referrals.referralCodes.create({ user: after.owner, label: fresh() });
  await referrals.signups.reassign(before.referee, { code: other.code, ...said });
  expect(await referredBy(after.owner)).toBe(2);
});

test('to nobody: the sign-up stays, and neither a link nor a later call brings the referrer back', async () => {
  const { referrals } = host;
  const { referee, owner, code } = await signedUp({ commissionRatio: '0.2' });
  const none = await referrals.signups.reassign(referee, { code: null, ...said });
  expect(none).toMatchObject({ referralId: null, referrerId: null, programId: null, commissionRatio: null });
  expect(await none.referralCode()).toBeNull();
  expect([await usesOf(code.id), await referredBy(owner)]).toEqual([0, 0]);
  const { purchase } = await referrals.recordPurchase(referee, { reference: 'p', amount: '10' });
  expect(purchase.noCommission).toBe('no-referrer');
  expect(await refusalOf(referrals.signups.create({ user: referee, code: code.code }))).toBe('SIGNUP_REFUSED');
  await expect(referrals.signups.delete(none)).rejects.toMatchObject({ code: 'IN_USE' });
  // The purchase waits for a referrer, and gets this one.
  await referrals.signups.reassign(referee, { referral: code, ...said });
  expect(await (await referrals.purchases.get(purchase.id)).commission()).toMatchObject({
    userId: owner,
    earned: '2.00',
  });
});

describe('credits', () => {
  const credit = {
    referralCreditAmount: '25',
    referralCreditDuration: 90,
    rewardCreditAmount: '40',
    rewardCreditDuration: 90,
  };
  const both = () => ({
    ...credit,
    referralCreditType: typeId,
    rewardCreditType: typeId,
    beforeRewardUsageThreshold: '50',
  });

  test('what was granted stays, and the reward is not granted a second time', async () => {
    const { referrals } = host;
    const [before, after] = [await signedUp(both()), await signedUp(both())];
    const user = before.referee;
    await referrals.recordUsage(user, { reference: 'u1', amount: '60' });
    expect(await referrals.credits.balance(before.owner)).toBe('40.00');
    const moved = await referrals.signups.reassign(user, { code: after.code.code, ...said });
    expect(moved).toMatchObject({ rewardCreditAmount: null, referralCreditAmount: null });
    await referrals.recordUsage(user, { reference: 'u1', amount: '60' });
    await referrals.recordUsage(user, { reference: 'u2', amount: '60' });
    expect(await referrals.credits.search({ where: { userId: after.owner } })).toEqual([]);
    expect(await referrals.credits.search({ where: { userId: before.owner } })).toMatchObject([
      { kind: 'grant', initialBalance: '40.00' },
    ]);
    expect(await referrals.credits.search({ where: { userId: user } })).toMatchObject([
      { kind: 'grant', initialBalance: '25.00' },
    ]);
  });

  test.each([
    ['by way of nobody', [null, 1]],
    ['back again', [1, 0]],
    ['twice around', [1, null, 0, 1]],
  ] as const)('the reward is granted once, %s', async (_, way) => {
    const { referrals } = host;
    const codes = [await signedUp(both()), await signedUp(both())] as const;
    const user = codes[0].referee;
    await referrals.recordUsage(user, { reference: 'u1', amount: '60' });
    for (const to of way) {
      await referrals.signups.reassign(user, { referral: to === null ? null : codes[to].code, ...said });
      await referrals.recordUsage(user, { reference: `to-${to}`, amount: '60' });
    }
    expect(await referrals.credits.search({ where: { userId: codes[0].owner } })).toMatchObject([{ kind: 'grant' }]);
    expect(await referrals.credits.search({ where: { userId: codes[1].owner } })).toEqual([]);
    expect(await referrals.credits.search({ where: { userId: user } })).toMatchObject([{ kind: 'grant' }]);
  });

  test('the usage so far counts towards the reward of the new referrer, once', async () => {
    const { referrals } = host;
    const [before, after] = [await signedUp({ ...both(), beforeRewardUsageThreshold: '100' }), await signedUp(both())];
    const user = before.referee;
    await referrals.recordUsage(user, { reference: 'u1', amount: '60' });
    await referrals.signups.reassign(user, { code: after.code.code, ...said });
    await referrals.recordUsage(user, { reference: 'u2', amount: '60' });
    expect(await referrals.credits.search({ where: { userId: after.owner } })).toMatchObject([
      { kind: 'reward', refereeId: user },
    ]);
    expect(await referrals.credits.search({ where: { userId: before.owner } })).toEqual([]);
  });
});

test.each(['suspend', 'ban'] as const)('not to the code of a user whom staff %s', async (call) => {
  const { referrals } = host;
  const [before, after] = [await signedUp(), await signedUp()];
  await referrals.accounts[call](after.owner, said);
  const rows = await everyRow(host);
  await expect(referrals.signups.reassign(before.referee, { referral: after.code, ...said })).rejects.toMatchObject({
    ...{ code: 'SIGNUP_REFUSED', message: expect.stringMatching(/suspended or banned/) },
  });
  expect(await everyRow(host)).toEqual(rows);
  await referrals.accounts.reinstate(after.owner);
  expect(await referrals.signups.reassign(before.referee, { referral: after.code, ...said })).toMatchObject({
    referrerId: after.owner,
  });
});

test('the audit has each of the terms that has changed, and no other', async () => {
  const { referrals } = host;
  const before = await signedUp({ commissionAmount: '2', commissionMonths: 3, commissionPurchases: 4 });
  const after = await signedUp({ commissionAmount: '2', beforeRewardUsageThreshold: '50' });
  const user = before.referee;
  await referrals.signups.reassign(user, { referral: after.code, ...said });
  const [row] = await referrals.audit.search({ where: { userId: user, call: 'signups.reassign' } });
  const ids = ['programId', 'referralId', 'referrerId'];
  const terms = ['beforeRewardUsageThreshold', 'commissionMonths', 'commissionPurchases'];
  expect(Object.keys(row!.after!).sort()).toEqual([...terms, ...ids, 'thresholdReachedAt'].sort());
  expect(row).toMatchObject({
    before: { commissionMonths: 3, commissionPurchases: 4 },
    after: { commissionMonths: null },
  });
});

test('the deletion of a sign-up is the staff’s, with the commission that it takes back', async () => {
  const { referrals } = host;
  const { referee } = await signedUp({ commissionSignup: '3' });
  const [signup] = await referrals.signups.search({ where: { userId: referee } });
  await referrals.signups.delete(signup!, said);
  const rows = await referrals.audit.search({ where: { by: 'olga', call: 'commissions.reject' } });
  expect(rows).toMatchObject([{ actor: 'staff', reason: said.reason }]);
});

test('that deletion locks the code before the account, as a sign-up does', async () => {
  const { referrals, dataSource, schema } = host;
  const { referee, owner, code } = await signedUp({ commissionSignup: '3' });
  const [signup] = await referrals.signups.search({ where: { userId: referee } });
  const waits = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${schema}%'`;
  let deleted: Promise<void> | undefined;
  await dataSource.transaction(async (manager) => {
    await manager.query(`SELECT FROM ${schema}.referrals WHERE id = $1 FOR UPDATE`, [code.id]);
    deleted = referrals.signups.delete(signup!);
    await waitFor(async () => (await dataSource.query(waits)).length > 0);
    await manager.query(`SELECT FROM ${schema}.referral_accounts WHERE user_id = $1 FOR UPDATE NOWAIT`, [owner]);
  });
  await deleted;
});

test('what can’t be is refused, and nothing is written', async () => {
  const { referrals } = host;
  const { referee, code } = await signedUp();
  const own = await referrals.referralCodes.create({ user: referee, label: fresh() });
  const same = await signedUp({}, `${fresh()}+2`);
  const own2 = await referrals.referralCodes.create({ user: same.referee.slice(0, -2), label: fresh() });
  const one = await signedUp({ allowedUses: 1 });
  const before = await everyRow(host);
  const reassign = (input: object, user = referee) => referrals.signups.reassign(user, { ...said, ...input });
  expect(await refusalOf(reassign({ code: own.code }))).toBe('SIGNUP_REFUSED');
  expect(await refusalOf(reassign({ code: own2.code }, same.referee))).toBe('SIGNUP_REFUSED');
  expect(await refusalOf(reassign({ code: one.code.code }))).toBe('SIGNUP_REFUSED');
  expect(await refusalOf(reassign({ code: 'no-such-code' }))).toBe('NOT_FOUND');
  expect(await refusalOf(reassign({ referral: 999_999 }))).toBe('NOT_FOUND');
  expect(await refusalOf(reassign({ code: code.code }, fresh()))).toBe('NOT_FOUND');
  expect(await everyRow(host)).toEqual(before);
  await expectRefusals(
    host,
    [
      ['code', {}],
      ['code', { code: '' }],
      ['code', { code: 7 }],
      ['referral', { code: null, referral: null }],
      ['referral', { referral: -1 }],
      ['reason', { code: null, reason: '' }],
      ['reason', { code: null, reason: undefined }],
      ['reason', { code: null, reason: 'x'.repeat(501) }],
      ['by', { code: null, by: '' }],
    ],
    (input, options) => reassign({ ...input, ...options }),
  );
});

test('purchases, refunds, usage and sign-ups meet reassignments', async () => {
  const { referrals } = host;
  const codes = [await signedUp({ commissionRatio: '0.1' }), await signedUp({ commissionRatio: '0.3' })];
  const users = await Promise.all(
    Array.from({ length: 5 }, async (_, i) => {
      const user = fresh('racer');
      await referrals.signups.create({ user, code: codes[i % 2]!.code.code });
      await referrals.recordPurchase(user, { reference: 'p0', amount: '10' });
      return user;
    }),
  );
  await Promise.all(
    users.flatMap((user) => [
      referrals.recordPurchase(user, { reference: 'p1', amount: '10' }),
      referrals.signups.reassign(user, { code: codes[0]!.code.code, ...said }),
      referrals.recordRefund(user, { purchase: 'p0', reference: 'r0' }),
      referrals.signups.reassign(user, { code: codes[1]!.code.code, ...said }),
      referrals.recordUsage(user, { reference: 'u1', amount: '10' }),
      referrals.signups.create({ user: fresh(), code: codes[0]!.code.code }),
      referrals.signups.reassign(user, { code: null, ...said }),
      referrals.recordPurchase(user, { reference: 'p2', amount: '10' }),
    ]),
  );
});

test('every state of purchases and commissions outlives reassignments', async () => {
  const { referrals } = host;
  await buildCommissionWorld(host);
  const { code } = await signedUp();
  for (const user of ['carl', 'eve', 'nora']) {
    await referrals.signups.reassign(user, { referral: code, ...said });
    await referrals.recordPurchase(user, { reference: 'after', amount: '12' });
  }
});
