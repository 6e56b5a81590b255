import { randomInt } from 'node:crypto';
import { In } from 'typeorm';
import { buildCommissionWorld } from './support/commission-world';
import { couponOf, type EarningsHost, everyRow, fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { closeAll, openDataSource } from './support/host';

afterAll(closeAll);

const said = { by: 'olga', reason: 'two accounts of one person' };
let host: EarningsHost;
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
});

async function verified(): Promise<void> {
  expect(await host.referrals.verify()).toMatchObject({ problems: [] });
}
afterEach(verified);

/** Merges, and expects that nothing but the audit has the id. */
async function merge(from: string, into: string): Promise<void> {
  await host.referrals.mergeUsers(from, into, said);
  await verified();
  const rows = (await everyRow(host)).filter((row) => !row.includes('"actor"'));
  expect(rows.filter((row) => row.includes(`"${from}"`))).toEqual([]);
}

const buy = (user: string, amount: string, reference = fresh('order')) =>
  host.referrals.recordPurchase(user, { reference, amount });

test('ledgers, purchases, earnings and counts add up', async () => {
  const { referrals, clock } = host;
  const [anna, bea, carl, dora] = [fresh(), fresh(), fresh(), fresh()];
  const type = await referrals.creditTypes.create({ name: fresh() });
  for (const [user, amount] of [
    [anna, '10'],
    [bea, '5'],
  ] as const) {
    await referrals.credits.create({ user, creditType: type, initialBalance: amount, durationDays: 90 });
    await referrals.credits.spend(user, { amount: 2, reference: fresh() });
    await refer(host, user, fresh());
  }
  // Both have referred the same user: one by the sign-up, one by a coupon.
  await refer(host, anna, carl);
  const coupon = await couponOf(host, bea);
  await referrals.coupons.apply(carl, coupon.code);
  await buy(carl, '100');
  await buy(carl, '10');
  await refer(host, bea, dora);
  await buy(dora, '20');
  clock.advanceDays(31);
  await referrals.runEarnOuts();
  await buy(dora, '40');
  const sum = async (...users: string[]) => {
    const accounts = await referrals.accounts.search({ where: { userId: In(users) } });
    return accounts.reduce((total, account) => total + Number(account.creditsPaid), 0);
  };
  const paid = await sum(anna, bea);
  await merge(bea, anna);
  const account = await referrals.accounts.of(anna);
  expect(account).toMatchObject({ usersReferred: 4, usersUpgraded: 2 });
  expect(Number(account.creditsPaid)).toBe(paid);
  expect(await referrals.signups.count({ where: { referrerId: anna } })).toBe(4);
  const { commission } = await buy(dora, '10');
  expect(commission).toMatchObject({ userId: anna });
  clock.advanceDays(100);
  await referrals.runEarnOuts();
  expect(await referrals.audit.search({ where: { subjectId: bea } })).toMatchObject([
    { call: 'mergeUsers', userId: anna, by: 'olga' },
  ]);
});

test('usersMerged is emitted once the merge is committed, and for users who had something', async () => {
  const { referrals, dataSource } = host;
  const [from, into] = [fresh(), fresh()];
  await buy(from, '10');
  const told: unknown[] = [];
  const listen = (users: unknown): void => void told.push(users);
  referrals.on('usersMerged', listen);
  const undone = dataSource.transaction(async (manager) => {
    await referrals.mergeUsers(from, into, { ...said, manager });
    throw new Error('the host rolls back');
  });
  await expect(undone).rejects.toThrow('the host rolls back');
  expect(told).toEqual([]);
  const { rows } = await dataSource.transaction(async (manager) => {
    const change = await referrals.mergeUsers(from, into, { ...said, manager });
    expect(told).toEqual([]);
    return change;
  });
  expect(rows).toBeGreaterThan(0);
  await referrals.mergeUsers(from, into, said); // nothing is left of it
  referrals.off('usersMerged', listen);
  expect(told).toEqual([{ from, into, rows }]);
});

test('if the books stay busy, it gives up with an error that says so, and nothing has happened', async () => {
  const { referrals, dataSource, schema } = host;
  const [from, into] = [fresh(), fresh()];
  await buy(from, '10');
  const before = await everyRow(host);
  await dataSource.transaction(async (manager) => {
    await manager.query(`LOCK TABLE ${schema}.referral_buyers IN ROW EXCLUSIVE MODE`);
    await expect(referrals.mergeUsers(from, into, said)).rejects.toMatchObject({
      ...{ name: 'ReferralError', code: 'DATABASE_UNAVAILABLE', outcome: 'none', cause: { code: '55P03' } },
    });
  });
  expect(await everyRow(host)).toEqual(before);
}, 300_000);

test('the first sign-up stays, and the other code gets its use back', async () => {
  const { referrals, clock } = host;
  const [anna, bea, first, second] = [fresh(), fresh(), fresh(), fresh()];
  const a = await refer(host, anna, first);
  clock.advanceDays(1);
  const b = await refer(host, bea, second, { commissionRatio: '0.5' });
  await referrals.recordUsage(second, { reference: fresh(), amount: 7 });
  await buy(first, '10');
  await buy(second, '10');
  await merge(second, first);
  expect((await buy(first, '10')).commission).toMatchObject({ userId: anna });
  expect((await referrals.referralCodes.get(a.id)).uses).toBe(1);
  expect((await referrals.referralCodes.get(b.id)).uses).toBe(0);
  // And in the other direction: the sign-up of the user who goes is the first.
  const [third, fourth] = [fresh(), fresh()];
  await refer(host, anna, third);
  clock.advanceDays(1);
  await refer(host, bea, fourth);
  await merge(third, fourth);
  expect((await buy(fourth, '10')).commission).toMatchObject({ userId: anna });
  expect(await referrals.accounts.of(bea)).toMatchObject({ usersReferred: 1 });
});

test.each([false, true])('nobody becomes their own referrer (the referrer goes: %s)', async (referrerGoes) => {
  const { referrals, clock } = host;
  const [anna, bob] = [fresh(), fresh()];
  await refer(host, anna, bob);
  await buy(bob, '100', 'paid');
  clock.advanceDays(31);
  await referrals.runEarnOuts();
  const { commission } = await buy(bob, '40', 'open');
  await (referrerGoes ? merge(anna, bob) : merge(bob, anna));
  const into = referrerGoes ? bob : anna;
  expect(await referrals.commissions.get(commission!.id)).toMatchObject({
    userId: into,
    amount: '0.00',
    status: 'rejected',
  });
  expect(await referrals.signups.search({ where: { userId: into } })).toEqual([]);
  expect((await buy(into, '10')).purchase.noCommission).toBe('no-referrer');
  await referrals.recordRefund(into, { purchase: 'paid', reference: 'back' });
  clock.advanceDays(100);
  await referrals.runEarnOuts();
});

test('the reward that a dropped sign-up has granted is not granted again by the one that stays', async () => {
  const { referrals, clock } = host;
  const type = await referrals.creditTypes.create({ name: fresh() });
  const reward = {
    ...{ rewardCreditAmount: '40', rewardCreditDuration: 90, rewardCreditType: type.id },
    ...{ beforeRewardUsageThreshold: '50', rewardLimit: { count: 5, period: 'all' } as const },
  };
  const [anna, otto, first, second] = [fresh('anna'), fresh('otto'), fresh('first'), fresh('second')];
  await refer(host, anna, first, reward);
  clock.advanceDays(1);
  const code = await refer(host, otto, second, reward);
  await referrals.recordUsage(second, { reference: 'enough', amount: 60 });
  await merge(second, first);
  await referrals.recordUsage(first, { reference: 'more', amount: 60 });
  const rewarded = async (user: string) => (await referrals.credits.search({ where: { userId: user } })).length;
  expect([await rewarded(anna), await rewarded(otto)]).toEqual([0, 1]);
  // Nor by a later referrer, or after another merge.
  const other = fresh();
  clock.advanceDays(-1);
  await refer(host, fresh(), other, reward);
  clock.advanceDays(1);
  await merge(first, other);
  await referrals.signups.reassign(other, { referral: code, ...said });
  await referrals.recordUsage(other, { reference: 'most', amount: 600 });
  expect(await rewarded(otto)).toBe(1);
});

test('credits of both sign-ups stay, and no reward is granted twice', async () => {
  const { referrals, clock } = host;
  const type = await referrals.creditTypes.create({ name: fresh() });
  const terms = {
    ...{
      referralCreditAmount: '25',
      referralCreditDuration: 90,
      referralCreditType: type.id,
      beforeRewardUsageThreshold: '50',
    },
    ...{ rewardCreditAmount: '40', rewardCreditDuration: 90, rewardCreditType: type.id },
  };
  const [anna, one, two] = [fresh(), fresh(), fresh()];
  await refer(host, anna, one, terms);
  clock.advanceDays(1);
  await refer(host, anna, two, terms);
  await referrals.recordUsage(one, { reference: 'u1', amount: 60 });
  await referrals.recordUsage(two, { reference: 'u2', amount: 60 });
  await merge(two, one);
  await referrals.recordUsage(one, { reference: 'u2', amount: 60 });
  const kinds = async (userId: string) =>
    (await referrals.credits.search({ where: { userId } })).map(({ kind }) => kind).sort();
  expect(await kinds(one)).toEqual(['grant', 'referral']);
  expect(await kinds(anna)).toEqual(['grant', 'reward']);
});

test('coupons: both redeemed the same, one is their own, and each has one applied', async () => {
  const { referrals } = host;
  const [owner, anna, bea] = [fresh(), fresh(), fresh()];
  const shared = await couponOf(host, owner, { isRecurring: true });
  const own = await couponOf(host, anna);
  for (const user of [anna, bea]) {
    await referrals.coupons.apply(user, shared.code);
    await buy(user, '10');
  }
  await referrals.coupons.apply(bea, own.code);
  await buy(bea, '10');
  await referrals.coupons.apply(bea, (await couponOf(host, owner)).code);
  await merge(bea, anna);
  expect(await referrals.coupons.of(anna)).toMatchObject({ code: shared.code });
  await buy(anna, '10');
  // The applied coupon is one that the other has redeemed.
  const [carl, dora] = [fresh(), fresh()];
  const once = await couponOf(host, owner);
  await referrals.coupons.apply(carl, once.code);
  await buy(carl, '10');
  await referrals.coupons.apply(dora, once.code);
  await merge(carl, dora);
  expect(await referrals.coupons.of(dora)).toBeNull();
  expect(await refusalOf(referrals.coupons.apply(dora, once.code))).toBe('COUPON_REDEEMED');
  // The last one was their own: later purchases credit nobody.
  const [emil, fred] = [fresh(), fresh()];
  const emils = await couponOf(host, emil);
  await referrals.coupons.apply(fred, emils.code);
  await buy(fred, '10');
  await merge(fred, emil);
  expect((await buy(emil, '10')).purchase.noCommission).toBe('no-referrer');
});

test('both codes go on working, also where they differ only in the user', async () => {
  const { referrals } = host;
  const [anna, bea] = [fresh(), fresh()];
  await referrals.accounts.of(anna);
  await referrals.accounts.of(bea);
  const code = async (user: string) =>
    (await referrals.referralCodes.search({ where: { userId: user } })).map((c) => c.code);
  const codes = [...(await code(anna)), ...(await code(bea))];
  await merge(bea, anna);
  expect((await code(anna)).sort()).toEqual(codes.sort());
  await referrals.signups.create({ user: fresh(), code: codes[1]! });
});

test('a shared reference is refused with its name, and nothing is written', async () => {
  const { referrals } = host;
  const [anna, bea] = [fresh(), fresh()];
  await buy(anna, '10', 'order-1');
  await buy(bea, '20', 'order-1');
  const before = await everyRow(host);
  await expect(referrals.mergeUsers(anna, bea, said)).rejects.toMatchObject({
    code: 'REFERENCES_CLASH',
    message: expect.stringContaining('the purchase "order-1"') as string,
  });
  expect(await refusalOf(referrals.mergeUsers(anna, anna, said))).toBe('INVALID_INPUT into');
  expect(await refusalOf(referrals.mergeUsers(anna, bea, { reason: '' }))).toBe('INVALID_INPUT reason');
  expect(await everyRow(host)).toEqual(before);
});

test('a repeated merge does nothing, a repeated purchase is known, and a later call starts a new user', async () => {
  const { referrals } = host;
  const [guest, anna, bob] = [fresh('guest'), fresh(), fresh()];
  await refer(host, anna, guest);
  await buy(guest, '10', 'guest-order');
  await merge(guest, bob);
  const before = await everyRow(host);
  expect(await referrals.mergeUsers(guest, bob, said)).toEqual({ rows: 0 });
  expect(await everyRow(host)).toEqual(before);
  expect((await buy(bob, '10', 'guest-order')).commission).toMatchObject({ userId: anna });
  expect((await buy(guest, '10', 'guest-order')).purchase.noCommission).toBe('no-referrer');
});

test('merges of several processes meet sign-ups, purchases, refunds and earn-outs', async () => {
  const schema = JSON.parse(host.schema) as string;
  const dataSource = await openDataSource({ schema, migrate: false });
  const second = await startEarnings({ dataSource, clock: host.clock.read });
  const one = host.referrals;
  const two = second.referrals;
  const [anna, bea] = [fresh(), fresh()];
  const codes = [await refer(host, anna, fresh()), await refer(host, bea, fresh())];
  const users = Array.from({ length: 4 }, () => [fresh('guest'), fresh('known')] as const);
  for (const [guest, known] of users) {
    await one.signups.create({ user: guest, code: codes[0]!.code });
    await one.recordPurchase(guest, { reference: `${guest}-0`, amount: '50' });
    await one.recordPurchase(known, { reference: `${known}-0`, amount: '5' });
  }
  host.clock.advanceDays(31);
  const results = await Promise.allSettled([
    two.runEarnOuts(),
    one.mergeUsers(bea, anna, said),
    ...users.flatMap(([guest, known], i) => [
      one.recordPurchase(guest, { reference: `${guest}-1`, amount: '10' }),
      two.mergeUsers(guest, known, said),
      one.mergeUsers(guest, known, said),
      two.signups.create({ user: known, code: codes[i % 2]!.code }),
      one.recordRefund(known, { purchase: `${known}-0`, reference: `${known}-r` }),
      two.recordPurchase(known, { reference: `${known}-1`, amount: '10' }),
      two.signups.reassign(guest, { code: codes[1]!.code, ...said }),
      one.signups.create({ user: fresh(), code: codes[i % 2]!.code }),
    ]),
  ]);
  const reasons = results
    .filter((result) => result.status === 'rejected')
    .map(({ reason }) => (reason as { code: string }).code);
  // A merge can meet an earn-out under way, and a call the other user.
  expect(reasons.filter((code) => !['NOT_FOUND', 'EARN_OUT_IN_PROGRESS', 'SIGNUP_REFUSED'].includes(code))).toEqual([]);
  await verified();
  for (const [guest, known] of users) await one.mergeUsers(guest, known, said);
  await one.runEarnOuts();
  await second.referrals.close();
});

test('sign-ups that earn, limits of referrers, holds, adjustments and reviews add up', async () => {
  const { referrals, dataSource, schema } = host;
  const terms = {
    commissionSignup: '5',
    commissionRatio: '0.1',
    commissionMaxPerReferrer: '8',
    commissionPeriod: 'month',
  } as const;
  const [anna, bea, one, two] = [fresh(), fresh(), fresh(), fresh()];
  await refer(host, anna, one, terms);
  await refer(host, bea, two, terms);
  const { commission } = await buy(one, '20');
  await buy(two, '50');
  await referrals.commissions.hold(commission!.id, { reason: 'a doubt' });
  for (const user of [anna, bea])
    await referrals.commissions.adjust(user, { amount: '3', reference: fresh(), reason: 'a bonus' });
  // Both referrers are one person.
  await merge(bea, anna);
  await referrals.commissions.release(commission!.id, { reason: 'no doubt' });
  await verified();
  await buy(two, '50');
  // So are both referees: one of the two sign-ups goes, and what it has earned by itself.
  for (const [user, key] of [
    [one, 'a'],
    [two, 'a'],
  ] as const)
    await dataSource.query(
      `INSERT INTO ${schema}.referral_reviews (rule, subject, user_id, referee_id, evidence, is_holding)
       VALUES ('rule', $1, $2, $3, $4, false)`,
      [`pair ${JSON.stringify([anna, user])}`, anna, user, JSON.stringify({ key })],
    );
  await merge(two, one);
  const leads = await referrals.commissions.search({ where: { userId: anna, kind: 'sign-up' } });
  expect(leads.map(({ status }) => status).sort()).toEqual(['pending', 'rejected']);
  const reviews = await dataSource.query<{ subject: string }[]>(
    `SELECT subject FROM ${schema}.referral_reviews WHERE user_id = $1 ORDER BY id`,
    [anna],
  );
  expect(reviews.map(({ subject }) => subject.replace(/ \d+$/, ''))).toEqual([
    `pair ${JSON.stringify([anna, one])}`,
    `pair ${JSON.stringify([anna, one])} merged`,
  ]);
  const moved = await refer(host, fresh(), fresh(), terms);
  await referrals.signups.reassign(one, { referral: moved, ...said });
  await buy(one, '20');
  host.clock.advanceDays(100);
  await referrals.runEarnOuts();
});

test.each([false, true])(
  'of two reviews of one rule, who has the name keeps it (from’s is first: %s)',
  async (fromFirst) => {
    const { dataSource, schema } = host;
    const [anna, from, into] = [fresh(), fresh(), fresh()];
    for (const user of [from, into]) {
      await refer(host, anna, user);
      await host.referrals.accounts.of(user);
    }
    for (const user of fromFirst ? [from, into] : [into, from])
      await dataSource.query(
        `INSERT INTO ${schema}.referral_reviews (rule, subject, user_id, referee_id, evidence, is_holding)
       VALUES ('rule', $1, $2, $3, '{}', false), ('rule', $4, $3, NULL, '{}', false)`,
        [`pair ${JSON.stringify([anna, user])}`, anna, user, `account ${user}`],
      );
    const subjects = async (user: string) => {
      const rows = await dataSource.query<{ subject: string }[]>(
        `SELECT subject FROM ${schema}.referral_reviews WHERE $1 IN (user_id, referee_id) ORDER BY subject`,
        [user],
      );
      return rows.map(({ subject }) => subject.replace(/ \d+$/, ''));
    };
    await merge(from, into);
    const expected = (user: string) => {
      const names = [`account ${user}`, `pair ${JSON.stringify([anna, user])}`];
      return names.flatMap((name) => [name, `${name} merged`]);
    };
    expect(await subjects(into)).toEqual(expected(into));
    // The names stay free for no other finding after the next change of the id.
    const renamed = fresh();
    await host.referrals.renameUser(into, renamed, said);
    expect(await subjects(renamed)).toEqual(expected(renamed));
  },
);

test('what a review holds of one is held of the other too, until the review is allowed', async () => {
  const second = await startEarnings({
    fraud: { rule: { do: 'hold', find: ({ referee }) => (referee === 'flagged' ? 'a robot' : null) } },
  });
  const { referrals, clock } = second;
  await refer(second, 'anna', 'known');
  clock.advanceDays(1);
  await refer(second, 'anna', 'flagged');
  const { commission } = await referrals.recordPurchase('known', { reference: 'k', amount: 100 });
  expect(commission).toMatchObject({ heldFor: [], status: 'pending' });
  await referrals.mergeUsers('flagged', 'known', said);
  const [review] = await referrals.reviews.search({});
  const heldFor = [`review:${review!.id}`];
  expect(await referrals.commissions.get(commission!.id)).toMatchObject({ heldFor, status: 'held' });
  const table = `${second.schema}.referral_signups`;
  expect(await second.dataSource.query(`SELECT user_id, held_for FROM ${table}`)).toEqual([
    { user_id: 'known', held_for: heldFor },
  ]);
  expect((await referrals.verify()).problems).toEqual([]);
  await referrals.reviews.allow(review!);
  expect(await referrals.commissions.get(commission!.id)).toMatchObject({ heldFor: [], status: 'pending' });
  expect((await referrals.verify()).problems).toEqual([]);
});

test('a shared reference of corrections of credit is refused', async () => {
  const { referrals } = host;
  const [anna, bea] = [fresh(), fresh()];
  const type = await referrals.creditTypes.create({ name: fresh() });
  for (const user of [anna, bea]) {
    for (const initialBalance of [5, 6])
      await referrals.credits.create({ user, creditType: type, initialBalance, durationDays: 90 });
    await referrals.credits.adjust(user, { amount: -7, reference: 'goodwill', reason: 'so' });
  }
  await expect(referrals.mergeUsers(anna, bea, said)).rejects.toMatchObject({
    code: 'REFERENCES_CLASH',
    message: expect.stringContaining(': the credit adjustment "goodwill". ') as string,
  });
});

test('the account keeps what staff have set, and the audit has both accounts before and the one after', async () => {
  const { referrals } = host;
  const [from, into] = [fresh(), fresh()];
  const commission = { amount: '3', months: 12, maxPerReferrer: { amount: '90', period: 'year' } } as const;
  await (await referrals.accounts.of(from)).update({ minimum: 12, commission });
  await referrals.accounts.of(into);
  await merge(from, into);
  const kept = { minimum: '12.00', commissionAmount: '3.00', commissionMonths: 12, commissionPeriod: 'year' };
  expect(await referrals.accounts.of(into)).toMatchObject(kept);
  const [row] = await referrals.audit.search({ where: { subjectId: from, call: 'mergeUsers' } });
  expect(row).toMatchObject({
    before: { userId: from, account: kept, intoAccount: { minimum: null, commissionAmount: null, bannedAt: null } },
    after: { userId: into, account: null, intoAccount: kept },
  });
  // What both have set stays that of the user who stays, as a whole.
  const third = fresh();
  await (await referrals.accounts.of(third)).update({ minimum: 5, commission: { ratio: '0.5', maxPerReferee: 7 } });
  await merge(into, third);
  expect(await referrals.accounts.of(third)).toMatchObject({
    ...{ minimum: '5.00', commissionRatio: '0.50', commissionMaxPerReferee: '7.00' },
    ...{ commissionAmount: null, commissionMonths: null, commissionPeriod: null },
  });
});

test.each(['from', 'into'] as const)(
  'a ban goes on, and what is not paid to the other is rejected (%s)',
  async (banned) => {
    const { referrals, clock } = host;
    const users = { from: fresh(), into: fresh() };
    const [one, two] = [fresh(), fresh()];
    await refer(host, users.from, one);
    await refer(host, users.into, two);
    for (const buyer of [one, two]) await buy(buyer, '40');
    const account = await referrals.accounts.ban(users[banned], said);
    clock.advanceDays(1);
    await merge(users.from, users.into);
    expect(await referrals.accounts.of(users.into)).toMatchObject({
      suspendedAt: account.suspendedAt,
      bannedAt: account.bannedAt,
    });
    const commissions = await referrals.commissions.search({ where: { userId: users.into } });
    expect(commissions.map(({ status, amount }) => [status, amount])).toEqual([
      ['rejected', '0.00'],
      ['rejected', '0.00'],
    ]);
    const rows = await referrals.audit.search({ where: { call: 'commissions.reject', by: 'olga' } });
    const ids = commissions.map(({ id }) => String(id));
    expect(rows.filter(({ subjectId }) => ids.includes(subjectId))).toHaveLength(2);
    expect((await buy(one, '40')).purchase.noCommission).toBe('suspended');
    clock.advanceDays(100);
    await referrals.runEarnOuts();
    expect(await referrals.earnOuts.count({ where: { userId: users.into } })).toBe(0);
  },
);

test('every state of purchases and commissions can be merged', async () => {
  await buildCommissionWorld(host);
  for (const [from, into] of [
    ['gina', 'dora'],
    ['fred', 'carl'],
    ['otto', 'anna'],
    ['eve', 'anna'],
    ['nobody', 'hugo'],
    ['carl', 'anna'],
    ['dora', 'hugo'],
    ['hugo', 'anna'],
  ] as const)
    await merge(from, into);
});

/** `SEED=… npx jest test/merge-users` for the same calls again. */
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
test(`random calls, merges and reassignments (SEED=${seed})`, async () => {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor(((state >>> 8) / 2 ** 23) * below);
  };
  const { referrals, clock } = host;
  for (let sequence = 0; sequence < Number(process.env['SEQUENCES'] ?? 6); sequence++) {
    const users = Array.from({ length: 6 }, () => fresh('any'));
    const one = (): string => users[random(users.length)]!;
    /** What each person has bought, net of refunds: plain arithmetic. */
    const bought = new Map(users.map((user) => [user, 0]));
    const person = new Map(users.map((user) => [user, user]));
    const now = (user: string): string => person.get(user)!;
    const codes = await Promise.all(users.map((user) => referrals.referralCodes.create({ user, label: 'any' })));
    const coupons = await Promise.all(users.slice(0, 2).map((user) => couponOf(host, user, { isRecurring: true })));
    const ownerOf = async (id: number): Promise<string> => (await referrals.referralCodes.get(id)).userId!;
    const purchases: { user: string; reference: string; amount: number }[] = [];
    for (let step = 0; step < 30; step++) {
      clock.advanceDays(random(3));
      const user = now(one());
      const code = codes[random(codes.length)]!;
      const call = random(9);
      if (call < 2) await referrals.signups.create({ user, code: code.code }).catch(isRefused);
      else if (call < 5) {
        const amount = random(4000) / 100;
        const reference = fresh('any-order');
        await buy(user, amount.toFixed(2), reference);
        purchases.push({ user, reference, amount });
        bought.set(user, bought.get(user)! + amount);
      } else if (call === 5 && purchases.length > 0) {
        const { user: buyer, reference, amount } = purchases.splice(random(purchases.length), 1)[0]!;
        if (amount > 0) await referrals.recordRefund(now(buyer), { purchase: reference, reference: fresh() });
      } else if (call === 6)
        await referrals.signups
          .reassign(user, { referral: random(4) ? code : null, past: random(2) ? 'move' : 'keep', ...said })
          .catch(isRefused);
      else if (call === 7) {
        await referrals.coupons.apply(user, coupons[random(2)]!.code).catch(isRefused);
        if (random(2)) await referrals.runEarnOuts();
      } else if (step > 10 && random(2)) {
        const other = now(one());
        if (other === user) continue;
        await referrals.mergeUsers(other, user, said);
        bought.set(user, bought.get(user)! + bought.get(other)!);
        bought.delete(other);
        for (const [name, is] of person) if (is === other) person.set(name, user);
      }
    }
    await verified();
    for (const [user, sum] of bought) {
      const all = await referrals.purchases.search({ where: { userId: user }, take: 1000 });
      expect(all.reduce((total, { amount }) => total + Number(amount), 0)).toBeCloseTo(sum, 2);
    }
    for (const [i, code] of codes.entries()) expect(await ownerOf(code.id)).toBe(now(users[i]!));
  }
});

function isRefused(error: unknown): void {
  if (!/^(SIGNUP_REFUSED|NOT_FOUND|COUPON_)/.test((error as { code: string }).code)) throw error;
}
