import { Referral, type Problem } from '../lib';
import { closeAll } from './support/host';
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

test('finds nothing where nothing is wrong, and says how much it looked at', async () => {
  // 1 referral, 2 sign-ups, 2 usages, 3 credits, 5 spends, and of the entries 5 of spends, a refund, a release, an adjustment.
  expect(await host.referrals.verify()).toEqual({ ok: true, checked: 24, problems: [] });
});

const dropped = (of: string, ...constraints: string[]): string =>
  constraints.map((name) => `ALTER TABLE ${of} DROP CONSTRAINT ${name};`).join(' ');

/** In the words of the invariants: what is broken by hand, where that is seen, what should be and what is. */
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
    () => `UPDATE ${table('referral_credits')} SET current_balance = 'NaN' WHERE user_id = 'carl'`,
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

test.each(broken)('finds %s', async (_what, sql, problem) => {
  const { referrals, dataSource } = host;
  const rolledBack = dataSource.transaction(async (manager) => {
    await manager.query(sql());
    const { ok, problems } = await referrals.verify({ manager });
    expect(ok).toBe(false);
    expect(problems).toContainEqual(expect.objectContaining(problem));
    for (const { id } of problems) expect(['number', 'string']).toContain(typeof id);
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
  for (let times = 0; times < 10; times++) expect((await referrals.verify()).problems).toEqual([]);
  isOver = true;
  await Promise.all(spending);
  expect(spends).toBeGreaterThan(10);
});
