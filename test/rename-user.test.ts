import { buildCommissionWorld } from './support/commission-world';
import { type EarningsHost, everyRow, fresh, refer, refusalOf, startEarnings } from './support/earnings';
import { closeAll, openDataSource } from './support/host';

afterAll(closeAll);

const said = { by: 'olga', reason: 'the shop has new ids' };
let host: EarningsHost;
beforeAll(async () => {
  const payout = () => ({ reference: 'paid' });
  host = await startEarnings({ selfReferral: 'flag', earnOuts: { payout: () => Promise.resolve(payout()) } });
});

async function verified(): Promise<void> {
  expect(await host.referrals.verify()).toMatchObject({ problems: [] });
}

/** All rows but those of the audit, as text. */
async function books(): Promise<string> {
  const rows = await everyRow(host);
  return rows.filter((row) => !row.includes('"actor"')).join('\n');
}

test('everything of a user gets the new id, in every table, and nothing else changes', async () => {
  const { referrals } = host;
  await buildCommissionWorld(host);
  const type = await referrals.creditTypes.create({ name: 'compute', refundable: true });
  for (const user of ['anna', 'carl', 'dora', 'otto']) {
    await referrals.credits.create({ user, creditType: type, initialBalance: 50, durationDays: 90 });
    await referrals.credits.spend(user, { amount: '12.50', reference: `spend-${user}` });
    await referrals.credits.hold(user, { amount: 1, reference: `hold-${user}` });
    await referrals.recordUsage(user, { amount: 5, reference: `usage-${user}` });
  }
  await verified();
  for (const user of ['anna', 'carl', 'dora', 'otto', 'fred']) {
    const before = await books();
    const { rows } = await referrals.renameUser(user, `${user}-2`, said);
    expect(rows).toBeGreaterThan(3);
    const after = await books();
    expect(after).not.toContain(`"${user}"`);
    const sorted = (text: string): string[] => text.split('\n').sort();
    expect(sorted(after)).toEqual(sorted(before.replaceAll(`"${user}"`, `"${user}-2"`)));
    await verified();
  }
  expect(await referrals.audit.search({ where: { subjectId: 'anna' } })).toMatchObject([
    {
      ...{ call: 'renameUser', subject: 'user', userId: 'anna-2', before: { userId: 'anna' } },
      ...{ after: { userId: 'anna-2' }, actor: 'staff', by: 'olga', reason: 'the shop has new ids' },
    },
  ]);

  // Everything goes on under the new id, and each reference is known.
  const known = await referrals.recordPurchase('carl-2', { reference: 'c1', amount: '40' });
  expect(known.commission).toMatchObject({ userId: 'anna-2', refereeId: 'carl-2' });
  await referrals.recordRefund('carl-2', { purchase: 'c2', reference: 'after' });
  await referrals.recordPurchase('carl-2', { reference: 'c9', amount: '1' });
  await referrals.recordPurchase('dora-2', { reference: 'd9', amount: '1' });
  host.clock.advanceDays(100);
  await referrals.runEarnOuts();
  await verified();
});

test('a repeated call does nothing, and a later call with the old id starts a new user', async () => {
  const { referrals } = host;
  const [anna, bob, next] = [fresh(), fresh(), fresh()];
  await refer(host, anna, bob);
  expect((await referrals.renameUser(bob, next, said)).rows).toBe(2); // sign-up and pair
  const before = await everyRow(host);
  expect(await referrals.renameUser(bob, next, said)).toEqual({ rows: 0 });
  expect(await referrals.renameUser(fresh(), fresh(), said)).toEqual({ rows: 0 });
  expect(await everyRow(host)).toEqual(before);
  const { purchase } = await referrals.recordPurchase(bob, { reference: 'new', amount: '10' });
  expect(purchase.noCommission).toBe('no-referrer');
  await verified();
});

test('an id that has rows is refused, whatever rows, and nothing is written', async () => {
  const { referrals, dataSource } = host;
  const anna = fresh();
  await refer(host, anna, fresh());
  const taken = fresh();
  await referrals.recordUsage(taken, { amount: 1, reference: 'r' });
  const visitor = fresh();
  await dataSource.query(
    `INSERT INTO ${host.schema}.referral_visitors (visitor_id, user_id) VALUES (gen_random_uuid(), '${visitor}')`,
  );
  const before = await everyRow(host);
  expect(await refusalOf(referrals.renameUser(anna, taken, said))).toBe('USER_EXISTS');
  expect(await refusalOf(referrals.renameUser(anna, visitor, said))).toBe('USER_EXISTS');
  expect(await refusalOf(referrals.renameUser(anna, anna, said))).toBe('INVALID_INPUT to');
  expect(await refusalOf(referrals.renameUser('', anna, said))).toBe('INVALID_INPUT from');
  expect(await refusalOf(referrals.renameUser(anna, 'x'.repeat(129), said))).toBe('INVALID_INPUT to');
  expect(await refusalOf(referrals.renameUser(anna, fresh(), { by: 'olga' }))).toBe('INVALID_INPUT reason');
  expect(await everyRow(host)).toEqual(before);
});

test('a user to whom a payment is under way keeps the id until it is settled', async () => {
  const { referrals, dataSource } = host;
  const [anna, bob, next] = [fresh(), fresh(), fresh()];
  await refer(host, anna, bob);
  await referrals.recordPurchase(bob, { reference: 'p', amount: '100' });
  host.clock.advanceDays(100);
  await referrals.runEarnOuts();
  const earnOut = `${host.schema}.referral_earn_outs`;
  // As a process leaves it that dies before it gives the credit.
  await dataSource.query(`UPDATE ${earnOut} SET status = 'processing', settled_at = NULL WHERE user_id = '${anna}'`);
  expect(await refusalOf(referrals.renameUser(anna, next, said))).toBe('EARN_OUT_IN_PROGRESS');
  await dataSource.query(
    `UPDATE ${earnOut} SET status = 'completed', settled_at = updated_at WHERE user_id = '${anna}'`,
  );
  expect((await referrals.renameUser(anna, next, said)).rows).toBeGreaterThan(3);
  await verified();
});

test('it commits and rolls back with the host’s transaction, whose lock_timeout stays', async () => {
  const { referrals, dataSource } = host;
  const [anna, next] = [fresh(), fresh()];
  await refer(host, anna, fresh());
  const before = await everyRow(host);
  await expect(
    dataSource.transaction(async (manager) => {
      await manager.query(`SET LOCAL lock_timeout = '7s'`);
      await referrals.renameUser(anna, next, { ...said, manager });
      expect(await manager.query('SHOW lock_timeout')).toEqual([{ lock_timeout: '7s' }]);
      throw new Error('changed my mind');
    }),
  ).rejects.toThrow('changed my mind');
  expect(await everyRow(host)).toEqual(before);
});

test('purchases, sign-ups and usage of several processes meet renames, and the books stay right', async () => {
  const { referrals } = host;
  const second = await startEarnings({
    dataSource: await openDataSource({ schema: JSON.parse(host.schema) as string, migrate: false }),
  });
  const referrers = [fresh(), fresh(), fresh()];
  const codes = await Promise.all(referrers.map((user) => refer(host, user, fresh())));
  const users = Array.from({ length: 6 }, () => fresh('racer'));
  await Promise.all(users.map((user, i) => referrals.signups.create({ user, code: codes[i % 3]!.code })));
  const calls = users.flatMap((user, i) => [
    () => referrals.recordPurchase(user, { reference: 'p1', amount: '10' }),
    () => second.referrals.recordPurchase(user, { reference: 'p2', amount: '20' }),
    () => second.referrals.recordUsage(user, { reference: 'u1', amount: '20' }),
    () => second.referrals.signups.create({ user: fresh(), code: codes[i % 3]!.code }),
    () => referrals.renameUser(user, `${user}-2`, said),
  ]);
  const renames = referrers.map((user) => () => referrals.renameUser(user, `${user}-2`, said));
  await Promise.all([...calls, ...renames].map((call) => call()));
  await verified();
  await second.referrals.close();
});
