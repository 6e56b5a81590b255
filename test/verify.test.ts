import type { EntityManager } from 'typeorm';
import { PayoutRefused, Referral, type Problem } from '../lib';
import { Database } from '../lib/database/database';
import type { Settings } from '../lib/options';
import { constraintInvariants } from '../lib/rewards/verify/constraint-invariants';
import { earnOutInvariants } from '../lib/rewards/verify/earn-out-invariants';
import { couponOf, type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll, type Host } from './support/host';
import { type RewardsHost, startRewards } from './support/rewards';

afterAll(closeAll);

let host: RewardsHost;
let table: (name: string) => string;

/** Carl signed up with Anna's code, used enough, spent, held, released and was refunded. */
beforeAll(async () => {
  host = await startRewards();
  const { referrals, dataSource, program } = host;
  table = (name) => `"${(dataSource.options as { schema: string }).schema}".${name}`;
  const { code } = await Referral.create({ user: 'anna', redirectTo: '/', program, allowedUses: 5 });
  await Referral.recordSignup(null, 'carl', { code });
  await Referral.recordSignup(null, 'dora', { code });
  await referrals.recordUsage('carl', { amount: '60', reference: 'used' });
  await referrals.recordUsage('nobody', { amount: '1', reference: 'early' });
  const { credits } = referrals;
  await credits.spend('carl', { amount: '3', reference: 'spent' });
  await credits.spend('carl', { amount: '4', reference: 'refunded' });
  await credits.refund({ reference: 'refunded' });
  await credits.hold('carl', { amount: '2', reference: 'held' });
  await credits.hold('carl', { amount: '5', reference: 'captured' });
  await credits.capture({ reference: 'captured', amount: '1' });
  await credits.spend('anna', { amount: '10', reference: 'annas' });
  const [reward] = await credits.search({ where: { userId: 'anna' } });
  await referrals.creditTransactions.create({ credit: reward!, value: '5', reference: 'spent' });
});

test('finds a code that leads to another referral', async () => {
  const { dataSource, referrals } = host;
  const { schema } = dataSource.options as { schema: string };
  const alias = (id: string): Promise<unknown> =>
    dataSource.query(`UPDATE "${schema}".referral_aliases SET referral_id = referral_id ${id}`);
  await alias('+ 1');
  const { problems } = await referrals.verify();
  expect(problems).toMatchObject([{ invariant: 'a code leads to its referral', table: 'referrals' }]);
  await alias('- 1');
});

test('finds nothing where nothing is wrong, and says how much it looked at', async () => {
  // 1 type, 1 program, 1 referral, 2 sign-ups, 2 referees, 1 account, 2 usages, 1 row of counts, 3 credits, 5 spends, and of
  // the entries 3 opening balances, 5 of spends, a refund, a release, an adjustment; and a refund.
  expect(await host.referrals.verify()).toEqual({ ok: true, checked: 34, problems: [] });
});

const dropped = (of: string, ...constraints: string[]): string =>
  constraints.map((name) => `ALTER TABLE ${of} DROP CONSTRAINT ${name} CASCADE;`).join(' ');

/** For each damage to the data: its description, the SQL that causes it, and the problem that `verify` must report. */
const broken: [what: string, sql: () => string, problem: Partial<Problem>][] = [
  [
    'a balance',
    () => `UPDATE ${table('referral_credits')} SET current_balance = 24 WHERE user_id = 'carl'`,
    { invariant: 'balance = initial + entries', table: 'referral_credits', expected: '19.00', found: '24.00' },
  ],
  [
    'an opening balance',
    () => `UPDATE ${table('referral_credits')} SET initial_balance = 30, current_balance = 24 WHERE user_id = 'carl'`,
    { table: 'referral_signups', expected: '25.00', found: '30.00' },
  ],
  [
    'an entry that is gone',
    () => `DELETE FROM ${table('referral_credit_transactions')} WHERE reference = 'annas'`,
    {
      invariant: 'spend = its entries',
      table: 'referral_credit_spends',
      id: 'anna/annas',
      expected: '10.00',
      found: '0',
    },
  ],
  [
    'an entry that is there twice',
    () => `INSERT INTO ${table('referral_credit_transactions')} (user_id, credit_id, kind, value, reference)
      SELECT user_id, credit_id, kind, value, reference FROM ${table('referral_credit_transactions')} WHERE reference = 'annas'`,
    { invariant: 'balance = initial + entries', table: 'referral_credits', expected: '25.00', found: '35.00' },
  ],
  [
    'an entry that was changed',
    () => `UPDATE ${table('referral_credit_transactions')} SET value = -9 WHERE reference = 'annas'`,
    { invariant: 'spend = its entries', table: 'referral_credit_spends', expected: '10.00', found: '9.00' },
  ],
  [
    'a balance below 0',
    () => `${dropped(table('referral_credits'), 'ck_referral_credits_balance')}
      UPDATE ${table('referral_credits')} SET current_balance = -1 WHERE user_id = 'carl'`,
    { invariant: 'balance from 0', table: 'referral_credits', expected: '0', found: '-1.00' },
  ],
  [
    'a life that ends before it begins',
    () => `${dropped(table('referral_credits'), 'ck_referral_credits_dates')}
      UPDATE ${table('referral_credits')} SET expiry_date = start_date WHERE user_id = 'carl'`,
    { invariant: 'expiry after start', table: 'referral_credits' },
  ],
  [
    'a credit that is gone, and its entries are not',
    () => `${dropped(table('referral_credit_transactions'), 'fk_referral_credit_transactions_credit')}
      DELETE FROM ${table('referral_credits')} WHERE user_id = 'anna'`,
    { invariant: 'every entry is of a credit', table: 'referral_credit_transactions', found: null },
  ],
  [
    'a reward that is gone, with all that was on it',
    () => `DELETE FROM ${table('referral_credit_transactions')} WHERE user_id = 'anna';
      DELETE FROM ${table('referral_credit_spends')} WHERE user_id = 'anna';
      DELETE FROM ${table('referral_credits')} WHERE user_id = 'anna'`,
    { table: 'referral_signups', expected: '40.00', found: null },
  ],
  [
    'a reward that is not due',
    () => `UPDATE ${table('referral_signups')} SET threshold_reached_at = NULL WHERE user_id = 'carl'`,
    {
      invariant: 'enough usage reaches the threshold',
      table: 'referral_signups',
      expected: '50.00',
      found: '60.00',
    },
  ],
  [
    'a credit that became another user’s',
    () => `${dropped(table('referral_credit_transactions'), 'fk_referral_credit_transactions_credit')}
      UPDATE ${table('referral_credits')} SET user_id = 'mallory' WHERE user_id = 'dora'`,
    {
      invariant: 'every credit of a sign-up is of its referee or referrer',
      table: 'referral_credits',
      expected: 'dora',
      found: 'mallory',
    },
  ],
  [
    'a spend for which too much was taken',
    () => `UPDATE ${table('referral_credit_spends')} SET covered = 2, captured = 2 WHERE reference = 'spent'`,
    {
      invariant: 'spend = its entries',
      table: 'referral_credit_spends',
      id: 'carl/spent',
      expected: '2.00',
      found: '3.00',
    },
  ],
  [
    'more covered than was taken for a hold that is captured',
    () => `UPDATE ${table('referral_credit_spends')} SET covered = 6, amount = 6 WHERE reference = 'captured'`,
    { invariant: 'spend = its entries', table: 'referral_credit_spends', expected: '6.00', found: '5.00' },
  ],
  [
    'a spend that became a hold',
    () => `UPDATE ${table('referral_credit_spends')} SET kind = 'hold' WHERE reference = 'spent'`,
    {
      invariant: 'spend = its entries',
      table: 'referral_credit_spends',
      id: 'carl/spent',
      expected: '3.00',
      found: '0',
    },
  ],
  [
    'a release that became a refund',
    () => `UPDATE ${table('referral_credit_transactions')} SET kind = 'refund' WHERE kind = 'release'`,
    { invariant: 'spend = its entries', table: 'referral_credit_spends', expected: '4.00', found: '0' },
  ],
  [
    'an entry of no spend',
    () => `UPDATE ${table('referral_credit_transactions')} SET reference = NULL WHERE reference = 'annas'`,
    { invariant: 'spend = its entries', table: 'referral_credit_spends', id: 'anna/' },
  ],
  [
    'a spend that is there twice',
    () => `${dropped(table('referral_credit_spends'), 'pk_referral_credit_spends')}
      INSERT INTO ${table('referral_credit_spends')} SELECT * FROM ${table('referral_credit_spends')} WHERE reference = 'spent'`,
    { invariant: 'one spend a reference of a user', table: 'referral_credit_spends', id: 'carl/spent', found: '2' },
  ],
  [
    'a spend that did not capture what it covers',
    () => `UPDATE ${table('referral_credit_spends')} SET captured = 1 WHERE reference = 'spent'`,
    { invariant: 'a spend captures what it covers', table: 'referral_credit_spends', expected: '3.00', found: '1.00' },
  ],
  [
    'a reward below the threshold',
    () => `UPDATE ${table('referral_signups')} SET before_reward_usage_threshold = 61 WHERE user_id = 'carl'`,
    { invariant: 'the threshold is reached by usage', table: 'referral_signups', expected: '61.00', found: '60.00' },
  ],
  [
    'a balance that is no number',
    () => `${dropped(table('referral_credits'), 'ck_referral_credits_finite')}
      UPDATE ${table('referral_credits')} SET current_balance = 'NaN' WHERE user_id = 'carl'`,
    { invariant: 'balance from 0', table: 'referral_credits' },
  ],
  [
    'a credit of another type than was promised',
    () => `INSERT INTO ${table('referral_credit_types')} (name) VALUES ('other');
      UPDATE ${table('referral_credits')} SET type_id = (SELECT max(id) FROM ${table('referral_credit_types')}) WHERE user_id = 'dora'`,
    {
      invariant: 'every credit has a type, of a sign-up the one of its terms',
      table: 'referral_credits',
      expected: '1',
      found: '2',
    },
  ],
  [
    'a credit whose type is gone',
    () => `${dropped(table('referral_credits'), 'fk_referral_credits_type')}
      UPDATE ${table('referral_credits')} SET type_id = 4711 WHERE user_id = 'dora'`,
    {
      invariant: 'every credit has a type, of a sign-up the one of its terms',
      table: 'referral_credits',
      expected: '1',
      found: null,
    },
  ],
  [
    'a spend that is gone',
    () => `DELETE FROM ${table('referral_credit_spends')} WHERE reference = 'spent'`,
    {
      invariant: 'spend = its entries',
      table: 'referral_credit_spends',
      id: 'carl/spent',
      expected: '0',
      found: '3.00',
    },
  ],
  [
    'a refund of more than was spent',
    () => `${dropped(table('referral_credit_spends'), 'ck_referral_credit_spends_amounts')}
      UPDATE ${table('referral_credit_spends')} SET refunded = 5 WHERE reference = 'refunded'`,
    { invariant: 'refunded <= captured <= covered <= amount', table: 'referral_credit_spends', id: 'carl/refunded' },
  ],
  [
    'an entry that gives back to a credit that nothing was taken from',
    () => `INSERT INTO ${table('referral_credit_transactions')} (user_id, credit_id, kind, value, reference)
      SELECT user_id, id, 'refund', 1, 'never' FROM ${table('referral_credits')} WHERE user_id = 'dora'`,
    {
      invariant: 'nothing goes back where it did not come from',
      table: 'referral_credit_transactions',
      found: '1.00',
    },
  ],
  [
    'uses that nobody made',
    () => `UPDATE ${table('referrals')} SET uses = 3`,
    { invariant: 'uses = sign-ups', table: 'referrals', expected: '2', found: '3' },
  ],
  [
    'more uses than are allowed',
    () => `${dropped(table('referrals'), 'ck_referrals_uses')} UPDATE ${table('referrals')} SET allowed_uses = 1`,
    { invariant: 'uses <= allowed uses', table: 'referrals', expected: '1', found: '2' },
  ],
  [
    'a sum of usage',
    () => `UPDATE ${table('referral_signups')} SET recorded_usage = 61 WHERE user_id = 'carl'`,
    { invariant: 'recorded usage = counted usages', table: 'referral_signups', expected: '60.00', found: '61.00' },
  ],
  [
    'usage that counts for nobody',
    () => `UPDATE ${table('referral_usages')} SET is_counted = true WHERE user_id = 'nobody'`,
    { invariant: 'usage is counted for a sign-up', table: 'referral_usages', id: 'nobody/early', expected: 'nobody' },
  ],
  [
    'a sign-up that is gone',
    () => `DELETE FROM ${table('referral_signups')} WHERE user_id = 'dora'`,
    {
      invariant: 'every credit of a sign-up is of its referee or referrer',
      table: 'referral_credits',
      expected: null,
      found: 'dora',
    },
  ],
  [
    'a sign-up of a referral that is gone',
    () => `${dropped(table('referral_signups'), 'fk_referral_signups_referral')} DELETE FROM ${table('referrals')}`,
    { invariant: 'every sign-up is of a referral', table: 'referral_signups', found: null },
  ],
  [
    'a second sign-up of a user',
    () => `${dropped(table('referral_signups'), 'pk_referral_signups')}
      INSERT INTO ${table('referral_signups')} (user_id, referral_id, source, weighed)
      SELECT user_id, referral_id, source, weighed FROM ${table('referral_signups')} WHERE user_id = 'dora'`,
    { invariant: 'one sign-up a user', table: 'referral_signups', expected: '1', found: '2' },
  ],
  [
    'a credit of a sign-up that is there twice',
    () => `DROP INDEX ${table('uq_referral_credits_side')};
      INSERT INTO ${table('referral_credits')} (user_id, kind, name, type_id, initial_balance, current_balance, start_date,
        expiry_date, referee_id)
      SELECT user_id, kind, name, type_id, initial_balance, current_balance, start_date, expiry_date, referee_id
      FROM ${table('referral_credits')} WHERE user_id = 'dora'`,
    { table: 'referral_signups', expected: '25.00', found: '50.00' },
  ],
];

async function expectFound(
  { referrals, dataSource }: Host,
  sql: () => string,
  problem: Partial<Problem>,
): Promise<void> {
  const rolledBack = dataSource.transaction(async (manager) => {
    await manager.query(sql());
    const { ok, problems } = await referrals.verify({ manager });
    expect(ok).toBe(false);
    expect(problems).toContainEqual(expect.objectContaining(problem));
    for (const { id } of problems) expect(['number', 'string']).toContain(typeof id);
    throw new Error('as it was');
  });
  await expect(rolledBack).rejects.toThrow('as it was');
}

test.each(broken)('finds %s', (_what, sql, problem) => expectFound(host, sql, problem));

test('reads the rows of a table again only for a constraint that it has lost, or that was not validated', async () => {
  const { dataSource } = host;
  const database = new Database({ dataSource, preparedStatements: true } as unknown as Settings, 60_000);
  const read = async (manager: EntityManager): Promise<string[]> =>
    (await constraintInvariants(database, manager)).flatMap((invariant) =>
      invariant.name === 'every reference leads to a row' || !('sql' in invariant)
        ? []
        : `${invariant.table}: ${/'(\w+)' AS expected/.exec(invariant.sql)![1]}`,
    );
  expect(await read(dataSource.manager)).toEqual([]);
  const [{ version }] = await dataSource.query<[{ version: number }]>(
    `SELECT current_setting('server_version_num')::integer AS version`,
  );
  const rolledBack = dataSource.transaction(async (manager) => {
    const change = (sql: string): Promise<unknown> => manager.query(`ALTER TABLE ${table('referral_credits')} ${sql}`);
    await change('ALTER start_date DROP NOT NULL');
    expect(await read(manager)).toEqual(['credits: start_date']);
    if (version >= 180_000) {
      await change('ADD CONSTRAINT late NOT NULL start_date NOT VALID');
      expect(await read(manager)).toEqual(['credits: start_date']);
    }
    await change('ALTER start_date SET NOT NULL');
    expect(await read(manager)).toEqual([]);
    await change('DROP CONSTRAINT ck_referral_credits_dates');
    await change('DROP CONSTRAINT pk_referral_credits CASCADE');
    expect(await read(manager)).toEqual(['credits: 1', 'credits: ck_referral_credits_dates']);
    throw new Error('as it was');
  });
  await expect(rolledBack).rejects.toThrow('as it was');
});

test('sees one moment, also while others write', async () => {
  const { referrals } = host;
  await referrals.credits.create({ user: 'busy', creditType: 1, initialBalance: '500', durationDays: 10 });
  let isOver = false;
  let spends = 0;
  const spending = Array.from({ length: 4 }, async (_, worker) => {
    while (!isOver) await referrals.credits.spend('busy', { amount: '0.01', reference: `${worker} ${spends++}` });
  });
  for (let times = 0; times < 10 || spends <= 10; times++) expect((await referrals.verify()).problems).toEqual([]);
  isOver = true;
  await Promise.all(spending);
});

describe('of what was earned', () => {
  let shop: EarningsHost;
  const tableOf = (name: string): string => `${shop.schema}.referral_${name}`;

  /**
   * Every state that there is: Carl's purchases are pending, paid, lowered after that, and reverted; Dora's meet the
   * limit of a coupon; Anna is given credit; Otto is paid; Paula's provider refuses; and Zoe's payout was under way
   * when the process died.
   */
  beforeAll(async () => {
    shop = await startEarnings({
      earnOuts: {
        takeBackCredit: false, // so that a refund leaves a debt
        payout: ({ userId }) => {
          if (userId === 'paula') throw new PayoutRefused('no such account');
        },
      },
    });
    const { referrals, clock } = shop;
    const buy = (user: string, reference: string, amount: string) =>
      referrals.recordPurchase(user, { reference, amount });
    const back = (user: string, purchase: string, reference: string, amount?: string) =>
      referrals.recordRefund(user, { purchase, reference, amount: amount ?? null });
    for (const user of ['otto', 'paula', 'zoe']) {
      const { id } = await referrals.accounts.of(user);
      await referrals.accounts.update(id, { mode: 'payout', payoutEmail: `${user}@shop.example` });
    }
    const coupon = await couponOf(shop, 'otto', { isRecurring: true, maxEarningsPerReferred: '4' });
    const unused = await couponOf(shop, 'otto');
    await refer(shop, 'anna', 'carl');
    await refer(shop, 'anna', 'eve');
    await refer(shop, 'paula', 'paul');
    await refer(shop, 'zoe', 'zac');
    await referrals.coupons.apply('dora', coupon.code);
    await referrals.coupons.apply('carl', unused.code);
    await referrals.coupons.remove('carl');
    await buy('carl', 'paid', '40');
    await buy('carl', 'gone', '10');
    await buy('carl', 'free', '0');
    for (const reference of ['first', 'second', 'third']) await buy('dora', reference, '10');
    await buy('paul', 'pauls', '8');
    await buy('nobody', 'nobodys', '8');
    await back('carl', 'gone', 'all of it');
    await back('nobody', 'nobodys', 'some of it', '1');
    clock.advanceDays(31);
    await referrals.runEarnOuts();
    await back('carl', 'paid', 'a part of it', '10');
    await back('dora', 'third', 'without commission');
    await buy('zac', 'zacs', '12');
    await buy('carl', 'again', '20');
    clock.advanceDays(29);
    await buy('carl', 'late', '20');
    // A run for Paula, and then one for Zoe that dies after all commissions are bound.
    clock.advanceDays(2);
    const dies = (): never => {
      throw new Error('died');
    };
    await referrals.runEarnOuts();
    await buy('zac', 'zacs second', '12');
    clock.advanceDays(31);
    await expect(referrals.runEarnOuts({ onProgress: dies })).rejects.toThrow('died');
    await back('zac', 'zacs', 'not netted yet', '4');
  });

  test('finds nothing where nothing is wrong', async () => {
    const { referrals } = shop;
    const earnOuts = await referrals.earnOuts.search();
    expect(earnOuts.map(({ userId, mode, amount, status }) => [userId, mode, amount, status])).toEqual([
      ['anna', 'credits', '10.00', 'completed'],
      ['otto', 'payout', '4.00', 'completed'],
      ['paula', 'payout', '2.00', 'failed'],
      ['anna', 'credits', '2.50', 'completed'],
      ['paula', 'payout', '2.00', 'failed'],
      ['zoe', 'payout', '3.00', 'completed'],
      ['anna', 'credits', '5.00', 'processing'],
      ['paula', 'payout', '2.00', 'processing'],
      ['zoe', 'payout', '3.00', 'processing'],
    ]);
    expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
  });

  const anEarnOut = (user: string): string =>
    `(SELECT max(id) FROM ${tableOf('earn_outs')} WHERE user_id = '${user}' AND status <> 'failed')`;
  const firstEarnOut = (user: string): string =>
    `(SELECT min(id) FROM ${tableOf('earn_outs')} WHERE user_id = '${user}')`;
  const ofPurchase = (purchase: string): string =>
    `(SELECT id FROM ${tableOf('commissions')} WHERE purchase = '${purchase}')`;

  const damaged: [what: string, sql: () => string, problem: Partial<Problem> & { invariant: string }][] = [
    [
      'a purchase that is gone',
      () => `DELETE FROM ${tableOf('purchases')} WHERE reference = 'again'`,
      { invariant: 'every commission is of a purchase', table: 'referral_commissions', expected: 'again', found: null },
    ],
    [
      'a commission that became another user’s',
      () => `UPDATE ${tableOf('commissions')} SET user_id = 'mallory' WHERE purchase = 'again'`,
      { invariant: 'every commission is of a purchase', table: 'referral_commissions', expected: 'again', found: null },
    ],
    [
      'a commission of a purchase that earned none',
      () => `UPDATE ${tableOf('purchases')} SET no_commission = 'no-rate' WHERE reference = 'again'`,
      { invariant: 'every commission is of a purchase', table: 'referral_commissions', found: 'carl' },
    ],
    [
      'a commission that waits for a banned referrer',
      () => `UPDATE ${tableOf('accounts')} SET suspended_at = now(), banned_at = now(), suspensions = 1 WHERE user_id = 'anna';
        UPDATE ${tableOf('commissions')} SET earn_out_id = NULL WHERE purchase = 'again'`,
      { invariant: 'a banned account has no commission that waits', table: 'referral_commissions', found: null },
    ],
    [
      'a rate',
      () => `UPDATE ${tableOf('commissions')} SET rate = 0.2 WHERE purchase = 'again'`,
      {
        invariant: 'earned = rate x purchase, or less at the limit',
        table: 'referral_commissions',
        expected: '4.00',
        found: '5.00',
      },
    ],
    [
      'a purchase of less',
      () => `UPDATE ${tableOf('purchases')} SET amount = 16 WHERE reference = 'again'`,
      { invariant: 'earned = rate x purchase, or less at the limit', table: 'referral_commissions', expected: '4.00' },
    ],
    [
      'less earned than the rate gives, without a limit',
      () => `UPDATE ${tableOf('commissions')} SET earned = 4, amount = 4 WHERE purchase = 'again'`,
      { invariant: 'earned = rate x purchase, or less at the limit', table: 'referral_commissions', found: '4.00' },
    ],
    [
      'an amount that no entry has lowered',
      () => `UPDATE ${tableOf('commissions')} SET amount = 4 WHERE purchase = 'again'`,
      { invariant: 'amount = earned + entries', table: 'referral_commissions', expected: '5.00', found: '4.00' },
    ],
    [
      'an entry that is gone',
      () => `DELETE FROM ${tableOf('commission_entries')} WHERE refund = 'a part of it'`,
      { invariant: 'amount = earned + entries', table: 'referral_commissions', expected: '10.00', found: '7.50' },
    ],
    [
      'an entry that takes back less than the refund',
      () => `UPDATE ${tableOf('commission_entries')} SET amount = -2 WHERE refund = 'a part of it';
        UPDATE ${tableOf('commissions')} SET amount = 8 WHERE purchase = 'paid'`,
      { invariant: 'refunds take back in proportion', table: 'referral_commissions', expected: '7.50', found: '8.00' },
    ],
    [
      'a refund that took nothing back',
      () => `DELETE FROM ${tableOf('commission_entries')} WHERE refund = 'a part of it';
        UPDATE ${tableOf('commissions')} SET amount = 10 WHERE purchase = 'paid'`,
      { invariant: 'refunds take back in proportion', table: 'referral_commissions', expected: '7.50', found: '10.00' },
    ],
    [
      'a commission that was reverted by nothing',
      () => `UPDATE ${tableOf('commissions')} SET reverted_at = now() WHERE purchase = 'again'`,
      { invariant: 'reverted = refunded as a whole', table: 'referral_commissions', expected: 'false', found: 'true' },
    ],
    [
      'a commission that was not reverted',
      () => `UPDATE ${tableOf('commissions')} SET reverted_at = NULL WHERE purchase = 'gone'`,
      { invariant: 'reverted = refunded as a whole', table: 'referral_commissions', expected: 'true', found: 'false' },
    ],
    [
      'an entry of no refund',
      () => `UPDATE ${tableOf('commission_entries')} SET refund = 'never' WHERE refund = 'a part of it'`,
      {
        invariant: 'every entry is of a refund of the purchase, and is one',
        table: 'referral_commission_entries',
        expected: 'paid',
        found: null,
      },
    ],
    [
      'an entry of another purchase’s refund',
      () =>
        `UPDATE ${tableOf('commission_entries')} SET commission_id = ${ofPurchase('again')} WHERE refund = 'a part of it'`,
      {
        invariant: 'every entry is of a refund of the purchase, and is one',
        table: 'referral_commission_entries',
        expected: 'again',
        found: 'paid',
      },
    ],
    [
      'an entry that gives',
      () => `${dropped(tableOf('commission_entries'), 'ck_referral_commission_entries_amount')}
        UPDATE ${tableOf('commission_entries')} SET amount = 1 WHERE refund = 'a part of it'`,
      {
        invariant: 'every entry is of a refund of the purchase, and is one',
        table: 'referral_commission_entries',
      },
    ],
    [
      'a sum of refunds',
      () => `UPDATE ${tableOf('purchases')} SET refunded = 1 WHERE reference = 'again'`,
      { invariant: 'refunded = refunds', table: 'referral_purchases', expected: '0', found: '1.00' },
    ],
    [
      'a refund that is gone',
      () => `DELETE FROM ${tableOf('refunds')} WHERE reference = 'some of it'`,
      { invariant: 'refunded = refunds', table: 'referral_purchases', expected: '0', found: '1.00' },
    ],
    [
      'a refund of no purchase',
      () => `${dropped(tableOf('refunds'), 'fk_referral_refunds_purchase')}
        UPDATE ${tableOf('refunds')} SET purchase = 'never' WHERE reference = 'some of it'`,
      {
        invariant: 'every refund is of a purchase',
        table: 'referral_refunds',
        id: 'nobody/some of it',
        expected: 'never',
        found: null,
      },
    ],
    [
      'a commission that is gone',
      () => `DELETE FROM ${tableOf('commissions')} WHERE purchase = 'again'`,
      {
        invariant: 'a purchase earns once, or says why not',
        table: 'referral_purchases',
        expected: '1',
        found: '0',
      },
    ],
    [
      'a commission that is there twice',
      () => `DROP INDEX ${tableOf('commissions').replace('referral_', 'uq_referral_')}_purchase;
        INSERT INTO ${tableOf('commissions')} (user_id, referee_id, purchase, referral_id, mode, rate, earned, amount, available_at)
        SELECT user_id, referee_id, purchase, referral_id, mode, rate, earned, amount, available_at
        FROM ${tableOf('commissions')} WHERE purchase = 'again'`,
      { invariant: 'totals = sums', table: 'referral_account_totals', expected: '5', found: '4' },
    ],
    [
      'a second look at a purchase that had a referrer',
      () => `INSERT INTO ${tableOf('late_attributions')}
        SELECT user_id, reference, source, referral_id, channel_id, referrer_id, mode, rate, room, is_revenue, NULL, now()
        FROM ${tableOf('purchases')} WHERE reference = 'again'`,
      {
        invariant: 'what is decided later is of a purchase without a referrer',
        table: 'referral_late_attributions',
        id: 'carl/again',
        expected: 'no-referrer, or own-referral',
        found: 'anna',
      },
    ],
    [
      'what a referee has earned the referrer',
      () => `UPDATE ${tableOf('referees')} SET earned = 0 WHERE referee_id = 'carl'`,
      {
        invariant: 'a referee earns the referrer the sum of the commissions',
        table: 'referral_referees',
        id: 'anna/carl',
        found: '0.00',
      },
    ],
    [
      'a referee that is gone',
      () => `DELETE FROM ${tableOf('referees')} WHERE referee_id = 'carl'`,
      {
        invariant: 'a referee earns the referrer the sum of the commissions',
        table: 'referral_referees',
        id: 'anna/carl',
        found: null,
      },
    ],
    [
      'more than a referee may earn',
      () => `UPDATE ${tableOf('commissions')} SET max_per_referee = 3 WHERE referee_id = 'dora'`,
      {
        invariant: 'a referee earns the referrer no more than the limit',
        table: 'referral_referees',
        id: 'otto/dora',
        expected: '3.00',
        found: '4.00',
      },
    ],
    [
      'a sign-up whose referee is gone',
      () => `DELETE FROM ${tableOf('referees')} WHERE referee_id = 'eve'`,
      {
        invariant: 'every sign-up of a referrer has its referee',
        table: 'referral_referees',
        id: 'anna/eve',
        expected: 'eve',
        found: null,
      },
    ],
    ...(
      [
        ['users_referred = users_referred + 1', '2/1', '3/1'],
        ['users_upgraded = 0', '2/1', '2/0'],
      ] as const
    ).map(([change, expected, found]): (typeof damaged)[number] => [
      `an account's ${change}`,
      () => `UPDATE ${tableOf('accounts')} SET ${change} WHERE user_id = 'anna'`,
      {
        invariant: 'users referred and upgraded = referees',
        table: 'referral_accounts',
        id: 'anna',
        expected,
        found,
      },
    ]),
    [
      'an account that is gone',
      () => `DELETE FROM ${tableOf('accounts')} WHERE user_id = 'anna'`,
      { invariant: 'users referred and upgraded = referees', table: 'referral_accounts', id: 'anna', found: null },
    ],
    ...['commissions', 'reverted', 'amount', 'redemptions', 'revenue'].map((column): (typeof damaged)[number] => [
      `totals of ${column}`,
      () => `UPDATE ${tableOf('account_totals')} SET ${column} = ${column} + 1 WHERE user_id = 'otto'`,
      { invariant: 'totals = sums', table: 'referral_account_totals' },
    ]),
    [
      'totals that are gone',
      () => `DELETE FROM ${tableOf('account_totals')} WHERE user_id = 'anna'`,
      { invariant: 'totals = sums', table: 'referral_account_totals', id: 'anna/0/credits', found: null },
    ],
    ...['matured', 'matured_amount'].map((column): (typeof damaged)[number] => [
      `totals of what has ${column}`,
      () => `UPDATE ${tableOf('account_totals')} SET ${column} = ${column} + 1 WHERE user_id = 'otto'`,
      { invariant: 'matured totals = what was available then', table: 'referral_account_totals' },
    ]),
    [
      'a moment of totals that was moved alone',
      () => `UPDATE ${tableOf('account_totals')} SET matured_until = 'infinity' WHERE user_id = 'zoe'`,
      {
        invariant: 'matured totals = what was available then',
        table: 'referral_account_totals',
        id: 'zoe/0/payout',
        expected: '2/5.0000',
        found: '0/0.0000',
      },
    ],
    ...['amount', 'commissions'].map((column): (typeof damaged)[number] => [
      `the ${column} of an earn-out`,
      () => `UPDATE ${tableOf('earn_outs')} SET ${column} = ${column} + 1 WHERE id = ${firstEarnOut('anna')}`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
      },
    ]),
    [
      'a commission that was set free of its earn-out',
      () => `UPDATE ${tableOf('commissions')} SET earn_out_id = NULL WHERE purchase = 'first'`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
      },
    ],
    [
      'an entry that was set free of its earn-out',
      () => `UPDATE ${tableOf('commission_entries')} SET earn_out_id = NULL WHERE refund = 'all of it'`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
      },
    ],
    [
      'a commission that is bound to an earn-out that failed',
      () => `UPDATE ${tableOf('commissions')} SET earn_out_id = ${firstEarnOut('paula')} WHERE purchase = 'pauls'`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
      },
    ],
    [
      'a failed earn-out that is said to be completed',
      () =>
        `UPDATE ${tableOf('earn_outs')} SET status = 'completed', error_reason = NULL WHERE id = ${firstEarnOut('paula')}`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
        expected: null,
      },
    ],
    [
      'a commission that is paid by an earn-out that is gone',
      () => `DELETE FROM ${tableOf('earn_outs')} WHERE user_id = 'otto'`,
      {
        invariant: 'a commission is paid by an earn-out of its owner and mode',
        table: 'referral_commissions',
        expected: 'otto/payout',
        found: null,
      },
    ],
    [
      'an earn-out of another mode than its commissions',
      () => `UPDATE ${tableOf('earn_outs')} SET mode = 'credits' WHERE user_id = 'otto'`,
      {
        invariant: 'a commission is paid by an earn-out of its owner and mode',
        table: 'referral_commissions',
        expected: 'otto/payout',
        found: 'otto/credits',
      },
    ],
    [
      'an entry that was netted before its commission was paid',
      () => `UPDATE ${tableOf('commissions')} SET earn_out_id = NULL WHERE purchase = 'gone'`,
      {
        invariant: 'an earn-out is what is bound to it, unless it failed or was returned',
        table: 'referral_earn_outs',
        expected: '7.5000/1',
        found: '10.0000/2',
      },
    ],
    [
      'an entry that an earn-out netted which is not there',
      () => `UPDATE ${tableOf('commission_entries')} SET earn_out_id = 4711 WHERE refund = 'not netted yet'`,
      { invariant: 'an entry is subtracted by an earn-out of its owner', table: 'referral_commission_entries' },
    ],
    [
      'a commission that was paid before it was available',
      () =>
        `UPDATE ${tableOf('commissions')} SET available_at = available_at + interval '90 days' WHERE purchase = 'first'`,
      { invariant: 'an earn-out waits for what is available', table: 'referral_commissions' },
    ],
    ...['credits_paid', 'payouts_paid'].map((column): (typeof damaged)[number] => [
      `an account's ${column}`,
      () => `UPDATE ${tableOf('accounts')} SET ${column} = ${column} + 1 WHERE user_id = 'anna'`,
      { invariant: 'paid = what is bound to earn-outs', table: 'referral_accounts', id: 'anna' },
    ]),
    [
      'more paid than was ever earned',
      () => `UPDATE ${tableOf('accounts')} SET payouts_paid = 5 WHERE user_id = 'otto'`,
      {
        invariant: 'paid <= earned',
        table: 'referral_accounts',
        id: 'otto',
        expected: '0/4.0000',
        found: '0.0000/5.0000',
      },
    ],
    [
      'an earn-out that is under way twice',
      () => `DROP INDEX ${tableOf('earn_outs').replace('referral_', 'uq_referral_')}_processing;
        INSERT INTO ${tableOf('earn_outs')} (user_id, mode, amount, commissions, idempotency_key)
        SELECT user_id, mode, amount, commissions, 'another' FROM ${tableOf('earn_outs')} WHERE id = ${anEarnOut('zoe')}`,
      { invariant: 'one earn-out at a time', table: 'referral_earn_outs', expected: '1', found: '2' },
    ],
    [
      'the credit of an earn-out that is gone',
      () => `${dropped(tableOf('credit_transactions'), 'fk_referral_credit_transactions_credit')}
        DELETE FROM ${tableOf('credits')} WHERE name = 'commissions of earn-out ' || ${firstEarnOut('anna')}`,
      {
        invariant: 'a completed earn-out in credits gave the credit, once',
        table: 'referral_earn_outs',
        expected: '10.00',
        found: null,
      },
    ],
    [
      'a credit of an earn-out that is under way',
      () => `UPDATE ${tableOf('credits')} SET reference = (
          SELECT idempotency_key FROM ${tableOf('earn_outs')} WHERE id = ${anEarnOut('anna')}
        )
        WHERE name = 'commissions of earn-out ' || ${firstEarnOut('anna')}`,
      {
        invariant: 'a completed earn-out in credits gave the credit, once',
        table: 'referral_earn_outs',
        expected: null,
        found: '10.00',
      },
    ],
    [
      'a credit of an earn-out that is there twice',
      () => `DROP INDEX ${tableOf('credits').replace('referral_', 'uq_referral_')}_reference;
        INSERT INTO ${tableOf('credits')} (user_id, kind, name, type_id, initial_balance, current_balance, start_date,
          expiry_date, reference)
        SELECT user_id, kind, name, type_id, initial_balance, current_balance, start_date, expiry_date, reference
        FROM ${tableOf('credits')} WHERE name = 'commissions of earn-out ' || ${firstEarnOut('anna')}`,
      {
        invariant: 'a completed earn-out in credits gave the credit, once',
        table: 'referral_earn_outs',
        expected: '10.00',
        found: '20.00',
      },
    ],
    [
      'a credit of an earn-out that there is not',
      () => `UPDATE ${tableOf('credits')} SET reference = 'another'
        WHERE name = 'commissions of earn-out ' || ${firstEarnOut('anna')}`,
      {
        invariant: 'every credit of an earn-out is of one',
        table: 'referral_credits',
        expected: 'another',
        found: null,
      },
    ],
    [
      'a commission that is never available',
      () => `${dropped(tableOf('commissions'), 'ck_referral_commissions_held')}
        UPDATE ${tableOf('commissions')} SET available_at = 'infinity'`,
      { invariant: 'available some whole days after the purchase', table: 'referral_commissions', found: 'infinity' },
    ],
    [
      'an adjustment in nobody’s earn-out',
      () => `INSERT INTO ${tableOf('adjustments')} (user_id, reference, mode, amount, reason, earn_out_id)
        VALUES ('anna', 'fee', 'credits', -1, 'fee', 4711)`,
      {
        invariant: 'an adjustment is included by an earn-out of its owner',
        table: 'referral_adjustments',
        expected: '4711',
        found: null,
      },
    ],
    [
      'credit that was taken back for nothing',
      () => `INSERT INTO ${tableOf('credit_transactions')} (user_id, credit_id, kind, value)
        SELECT user_id, id, 'take-back', -1 FROM ${tableOf('credits')} WHERE kind = 'earn-out' LIMIT 1`,
      {
        invariant: 'what was taken back of a commission has left the credit that paid it',
        table: 'referral_credits',
        expected: '0',
        found: '1.00',
      },
    ],
    [
      'a failure without a reason',
      () => `UPDATE ${tableOf('earn_outs')} SET error_reason = NULL WHERE user_id = 'paula'`,
      { invariant: 'a failed earn-out says why', table: 'referral_earn_outs', expected: 'failed', found: null },
    ],
    [
      'a debt of a payment without what the payment took',
      () => `INSERT INTO ${tableOf('earn_out_entries')} (user_id, payment_id, amount)
        VALUES ('otto', ${firstEarnOut('otto')}, -3)`,
      {
        invariant: 'what a payment took without a commission is its debt',
        table: 'referral_earn_out_entries',
        expected: '0',
        found: '-3.00',
      },
    ],
    [
      'a completed payout that is to be asked for again',
      () => `UPDATE ${tableOf('earn_outs')} SET next_attempt_at = now() WHERE user_id = 'otto'`,
      {
        invariant: 'the times of an earn-out fit its status',
        table: 'referral_earn_outs',
        expected: 'completed',
      },
    ],
    [
      'a failed earn-out that is gone',
      () => `DELETE FROM ${tableOf('earn_outs')} WHERE id = ${firstEarnOut('paula')}`,
      { invariant: 'every earn-out is counted', table: 'referral_accounts', id: 'paula', expected: '3', found: '2' },
    ],
    [
      'a redemption by no purchase',
      () => `UPDATE ${tableOf('redemptions')} SET reference = 'never'`,
      {
        invariant: 'a redeemed coupon is of a purchase with it',
        table: 'referral_redemptions',
        found: null,
      },
    ],
    [
      'a redeemed coupon that can be redeemed again',
      () => `UPDATE ${tableOf('buyers')} SET is_redeemed = false WHERE user_id = 'dora'`,
      {
        invariant: 'a coupon that is on is redeemed, or not yet',
        table: 'referral_buyers',
        id: 'dora',
        expected: 'false',
        found: 'true',
      },
    ],
    [
      'a coupon that is on as if redeemed',
      () => `DELETE FROM ${tableOf('redemptions')}`,
      {
        invariant: 'a coupon that is on is redeemed, or not yet',
        table: 'referral_buyers',
        id: 'dora',
        expected: 'true',
        found: 'false',
      },
    ],
    [
      'a completed payout that is in progress again',
      () => `UPDATE ${tableOf('earn_outs')} SET status = 'processing', settled_at = NULL, next_attempt_at = now()
        WHERE id = ${anEarnOut('otto')}`,
      { invariant: 'an earn-out in progress was never settled', table: 'referral_earn_outs' },
    ],
    [
      'a completed payout whose count says that it never was',
      () => `UPDATE ${tableOf('earn_outs')} SET completions = 0 WHERE id = ${anEarnOut('otto')}`,
      { invariant: 'what was completed stays so, or is returned', table: 'referral_earn_outs' },
    ],
    [
      'a first purchase that was another day',
      () =>
        `UPDATE ${tableOf('buyers')} SET first_purchase_at = first_purchase_at + interval '1 day' WHERE user_id = 'carl'`,
      { invariant: 'a buyer first paid at the first purchase', table: 'referral_buyers', id: 'carl' },
    ],
    [
      'a buyer that is gone',
      () => `DELETE FROM ${tableOf('buyers')} WHERE user_id = 'carl'`,
      { invariant: 'a buyer first paid at the first purchase', table: 'referral_buyers', id: 'carl', found: null },
    ],
    ...(
      [
        ['rates', 'ongoing_rate = 1.5'],
        ['promo', 'promo_value = -0.5'],
      ] as const
    ).map(([constraint, change]): (typeof damaged)[number] => [
      `a channel with ${change}`,
      () => `${dropped(tableOf('channels'), `ck_referral_channels_${constraint}`)}
        UPDATE ${tableOf('channels')} SET ${change}`,
      { invariant: 'rates and discounts are shares', table: 'referral_channels', expected: '0 to 1' },
    ]),
  ];

  test.each(damaged)('finds %s', (_what, sql, problem) => expectFound(shop, sql, problem));

  test('each invariant is shown to find something', () => {
    const names = earnOutInvariants({} as never).map(({ name }) => name); // of the others: damage-commissions.test.ts
    expect(damaged.map(([, , { invariant }]) => invariant)).toEqual(expect.arrayContaining(names));
  });
});
