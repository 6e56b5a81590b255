import type { Verification } from '../lib';
import { commissionInvariants } from '../lib/rewards/verify/commission-invariants';
import { couponInvariants } from '../lib/rewards/verify/coupon-invariants';
import { refundInvariants } from '../lib/rewards/verify/refund-invariants';
import { totalInvariants } from '../lib/rewards/verify/total-invariants';
import { buildCommissionWorld } from './support/commission-world';
import { afterwards, type Damage, everyDamage, unguarded } from './support/damage';
import { type EarningsHost, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
const t = (name: string): string => `${host.schema}.referral_${name}`;

beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
  await buildCommissionWorld(host);
});

test('verify finds nothing wrong with the world, also without constraints', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
  let found: Verification | undefined;
  await unguarded(host, async (manager) => {
    found = await host.referrals.verify({ manager });
  });
  expect(found).toMatchObject({ ok: true, problems: [] });
});

/** Damages that keep the sums right, or that mean something: each with the invariant that must find it. */
const damages: [what: string, sql: () => string, invariant: string][] = [
  [
    'a second look at a purchase that had a referrer',
    () => `INSERT INTO ${t('late_attributions')}
      SELECT user_id, reference, source, referral_id, channel_id, referrer_id, mode, rate, room, is_revenue, NULL, now()
      FROM ${t('purchases')} WHERE reference = 'e1'`,
    'what is decided later is of a purchase without a referrer',
  ],
  [
    'a held commission that is available',
    () => `UPDATE ${t('commissions')} SET held_for = '{staff}' WHERE purchase = 'e1'`,
    'what is held is available at no time, and is neither paid nor rejected',
  ],
  [
    'refunds that were undone before they were made',
    () => `UPDATE ${t('refunds')} SET undone_at = created_at - interval '1 day'`,
    'a refund is undone after it was made',
  ],
  [
    'a commission of another referral',
    () =>
      `UPDATE ${t('commissions')} SET referral_id = (SELECT max(id) FROM ${host.schema}.referrals) WHERE purchase = 'e1'`,
    'a commission is for what its purchase is credited to',
  ],
  [
    'an account with a referral of somebody else',
    () => `UPDATE ${t('accounts')} SET referral_id = (SELECT min(id) FROM ${host.schema}.referrals WHERE user_id = 'anna')
      WHERE user_id = 'otto'`,
    'the referral of an account is of its user',
  ],
  [
    'a referee who upgraded another day',
    () => `UPDATE ${t('referees')} SET upgraded_at = upgraded_at + interval '1 hour' WHERE referee_id = 'carl'`,
    'a referee upgrades with a purchase',
  ],
  ...(['sign-up', 'purchase'] as const).map((met): (typeof damages)[number] => [
    `a referee met by ${met}`,
    () => `UPDATE ${t('referees')} SET met_by = '${met}' WHERE met_by <> '${met}'`,
    'a referee was met by a sign-up or a purchase',
  ]),
  ...(['no-rate', 'too-small', 'limit-reached', 'own-referral', 'suspended'] as const).map(
    (why): (typeof damages)[number] => [
      `purchases that earned nothing because of ${why}`,
      () => `UPDATE ${t('purchases')} SET no_commission = '${why}'
      WHERE no_commission NOT IN ('no-referrer', '${why}')`,
      'a purchase says rightly why it earned nothing',
    ],
  ),
  [
    'a suspension ended but for the totals',
    () => `UPDATE ${t('accounts')} SET suspended_at = NULL WHERE user_id = 'sid'`,
    'the totals of a suspended account are limited, and no other',
  ],
  [
    'the totals of a suspended account without their limit',
    () => `UPDATE ${t('account_totals')} SET most_commissions = NULL WHERE user_id = 'sid'`,
    'the totals of a suspended account are limited, and no other',
  ],
  [
    'a suspension that never was',
    () => `UPDATE ${t('accounts')} SET suspensions = 0 WHERE user_id = 'sue'`,
    'a purchase says rightly why it earned nothing',
  ],
  [
    'a purchase without a referrer that had one',
    () => `UPDATE ${t('purchases')} SET no_commission = 'no-referrer' WHERE reference = 'n1'`,
    'a purchase says rightly why it earned nothing',
  ],
  ...(['coupon', 'earlier-coupon', 'friend'] as const).map((source): (typeof damages)[number] => [
    `a purchase by ${source}`,
    () => `UPDATE ${t('purchases')} SET source = '${source}' WHERE reference = 'e1'`,
    'a purchase is credited to the owner of a referral, by what decided it',
  ]),
  [
    'a purchase of a coupon by sign-up',
    () => `UPDATE ${t('purchases')} SET source = 'sign-up' WHERE reference = 'd2'`,
    'a purchase is credited to the owner of a referral, by what decided it',
  ],
  ...[
    'channel_id = NULL',
    'channel_id = NULL, is_redeemed = false',
    'channel_id = NULL, is_redeemed = false, applied_at = NULL',
  ].map((change): (typeof damages)[number] => [
    `a kept coupon taken off the buyer: ${change}`,
    () => `UPDATE ${t('buyers')} SET ${change} WHERE user_id = 'dora'`,
    'a redeemed recurring coupon stays on',
  ]),
  ...["+ interval '7 days'", "- interval '7 days'", "+ interval '1 hour'"].map((by): (typeof damages)[number] => [
    `a commission available ${by}`,
    () => `UPDATE ${t('commissions')} SET available_at = available_at ${by} WHERE purchase = 'c6'`,
    'available some whole days after the purchase',
  ]),
  ...['* 2', '- 1', '+ 0.01'].map((by): (typeof damages)[number] => [
    `a purchase under a limit of ${by}`,
    () => `UPDATE ${t('purchases')} SET amount = amount ${by} WHERE reference = 'c3'`,
    'every purchase of a buyer is there',
  ]),
  [
    'a purchase raised under a limit, with all that counts it but the room',
    () => `UPDATE ${t('purchases')} SET amount = amount * 2, room = 5 WHERE reference = 'c6';
      UPDATE ${t('buyers')} SET purchased = purchased + 12 WHERE user_id = 'carl';
      UPDATE ${t('commissions')} SET room = 5 WHERE purchase = 'c6'`,
    'earned = rate x purchase, or less at the limit',
  ],
  [
    'a commission at another rate than the sign-up has, in every sum',
    () => `UPDATE ${t('commissions')} SET rate = 0.1, earned = 1.2, amount = 1.2 WHERE purchase = 'c6';
      UPDATE ${t('purchases')} SET rate = 0.1 WHERE reference = 'c6';
      UPDATE ${t('referees')} SET earned = earned - 1.2 WHERE referee_id = 'carl';
      UPDATE ${t('account_totals')} SET amount = amount - 1.2 WHERE user_id = 'anna' AND channel_id = 0`,
    'a commission has the terms of its sign-up',
  ],
  [
    'a commission of a sign-up that is marked as of a self-referral',
    () => `UPDATE ${t('commissions')} SET is_self_referral = true WHERE purchase = 'c6'`,
    'a commission of a sign-up says whether that was a self-referral',
  ],
  [
    'a refund deleted, with what it took back in every sum',
    () => `DELETE FROM ${t('refunds')} WHERE reference = 'rf1';
      DELETE FROM ${t('commission_entries')} WHERE refund = 'rf1';
      UPDATE ${t('purchases')} SET refunded = 0 WHERE reference = 'f1';
      UPDATE ${t('commissions')} SET amount = earned, updated_at = created_at WHERE purchase = 'f1';
      UPDATE ${t('referees')} SET earned = earned + 3 WHERE referee_id = 'fred';
      UPDATE ${t('account_totals')} SET amount = amount + 3, revenue = revenue + 10
      WHERE user_id = 'otto' AND channel_id = (SELECT channel_id FROM ${t('purchases')} WHERE reference = 'f1')`,
    'every refund of a purchase is there',
  ],
  [
    'a refund deleted that took nothing back',
    () =>
      `DELETE FROM ${t('refunds')} WHERE reference = 'rx1'; UPDATE ${t('purchases')} SET refunded = 0 WHERE reference = 'x1'`,
    'every refund of a purchase is there',
  ],
  [
    'a purchase deleted with its commission, in every sum',
    () => `DELETE FROM ${t('purchases')} WHERE reference = 'c6'; DELETE FROM ${t('commissions')} WHERE purchase = 'c6';
      UPDATE ${t('referees')} SET earned = earned - 2.4 WHERE referee_id = 'carl';
      UPDATE ${t('account_totals')} SET amount = amount - 2.4, commissions = commissions - 1
      WHERE user_id = 'anna' AND channel_id = 0`,
    'every purchase of a buyer is there',
  ],
  [
    'a purchase deleted that earned nothing',
    () => `DELETE FROM ${t('purchases')} WHERE reference = 'x2'`,
    'every purchase of a buyer is there',
  ],
  [
    'a purchase that nobody recorded',
    () => `INSERT INTO ${t('purchases')} (user_id, reference, amount, purchased_at, no_commission)
      SELECT user_id, 'made up', 0, purchased_at, no_commission FROM ${t('purchases')} WHERE reference = 'x2'`,
    'every purchase of a buyer is there',
  ],
  [
    'two entries that took back each other’s share',
    () => `UPDATE ${t('commission_entries')} SET amount = amount + CASE refund WHEN 'rc1' THEN 1 ELSE -1 END
      WHERE refund IN ('rc1', 'rc2')`,
    'an entry takes back the share of its refund',
  ],
  [
    'a channel that is gone',
    () => `DELETE FROM ${t('channels')} WHERE id = (SELECT channel_id FROM ${t('purchases')} WHERE reference = 'f1')`,
    'a purchase is credited to the owner of a referral, by what decided it',
  ],
  [
    'a referral that became another user’s',
    () => `UPDATE ${host.schema}.referrals SET user_id = 'mallory'
      WHERE id = (SELECT referral_id FROM ${t('purchases')} WHERE reference = 'e1')`,
    'a purchase is credited to the owner of a referral, by what decided it',
  ],
  [
    'a channel of a referral of nobody',
    () => `UPDATE ${host.schema}.referrals SET user_id = NULL WHERE id = (SELECT min(id) FROM ${t('channels')})`,
    'every channel is a referral of somebody',
  ],
  [
    'a channel whose rate is more than the price',
    () => `UPDATE ${t('channels')} SET ongoing_rate = 1.5`,
    'rates and discounts are shares',
  ],
  [
    'a last coupon that is another one',
    () => `UPDATE ${t('buyers')} SET last_channel_id = (
        SELECT min(channel_id) FROM ${t('redemptions')} WHERE user_id = 'gina'
      ) WHERE user_id = 'gina'`,
    'the last redeemed coupon is known',
  ],
];

/** The invariants that have found something. */
const found = new Set<string>();

test('each of them is found by its invariant', async () => {
  const missed: unknown[] = [];
  await unguarded(host, async (manager) => {
    for (const [what, sql, invariant] of damages) {
      const { problems } = await afterwards(host, manager, sql());
      for (const problem of problems) found.add(problem.invariant);
      if (!problems.some((problem) => problem.invariant === invariant)) missed.push([what, problems]);
    }
  });
  expect(missed).toEqual([]);
});

const earnsNothing = ({ no_commission: why }: Damage['row']): boolean => why !== null;
const always = (): boolean => true;

/** The changes that the data can't tell, each with the rows where that is so. */
const unseen: Record<string, [reason: string, where: (row: Damage['row']) => boolean]> = {
  'purchases.reference': ['the host’s own name of a purchase that nothing else names', earnsNothing],
  'purchases.purchased_at': ['only commissions and the first purchase follow from it', earnsNothing],
  'purchases.created_at': ['only commissions and referees are as old', earnsNothing],
  'purchases.referral_id': ['the referral can be deleted while it has earned nothing', earnsNothing],
  'purchases.mode': ['without a commission nothing follows from it', earnsNothing],
  'purchases.rate': ['a reason stays the reason at many rates', earnsNothing],
  'purchases.room': ['a reason stays the reason at many rooms', earnsNothing],
  'refunds.reference': ['the host’s own name; an entry names it, if there is one', always],
  'refunds.created_at': ['only entries and commissions are as old', always],
  'commissions.max_per_referee': ['the room says what counted', always],
  'redemptions.is_restored': ['who gave it back, if anybody did', ({ given_back_at: at }) => at === null],
  'buyers.user_id': ['a buyer who has only applied a coupon', ({ purchase_count: count }) => count === '0'],
  'buyers.': ['a buyer who has only applied a coupon', ({ purchase_count: count }) => count === '0'],
  'commissions.is_self_referral': ['the host said so, but for a sign-up', always],
  'buyers.is_own_channel': ['the host said so', always],
  'buyers.is_own_last_channel': ['the host said so', always],
  'buyers.version': ['a lock, not a fact', always],
  'buyers.reassigned_at': ['until then, what was decided stands', always],
  'referees.merged_at': ['two pairs can be older than either', always],
  'buyers.applied_at': ['nothing follows from it', always],
  'referees.created_at': ['a sign-up without a commission can have been deleted', ({ earned }) => Number(earned) === 0],
  'account_totals.due_at': ['when the next run looks at it', always],
  'account_totals.due_terms': ['with which options that was found', always],
  'account_totals.matured_until': ['every moment is right for which the sums are', always],
  'accounts.payout_email': ['a setting', always],
  'accounts.payout_email_changed_at': ['nothing else is as old', always],
  'accounts.minimum': ['a setting', always],
  'accounts.suspended_at': ['nothing else is as old', always],
  'accounts.banned_at': ['nothing else is as old', always],
  'accounts.suspensions': ['that it was suspended once is all that follows', always],
  'account_totals.most_commissions': ['how many there were then; a constraint keeps it', always],
  'accounts.referral_id': ['a setting: another referral of the same user', ({ user_id: user }) => user === 'anna'],
  'accounts.created_at': ['nothing else is as old', always],
  'accounts.updated_at': ['nothing else is as old', always],
};

test('every change of every value, and the deletion of every row, but those that the data can’t tell', async () => {
  const tables = ['purchases', 'refunds', 'commissions', 'commission_entries', 'redemptions', 'buyers', 'referees'];
  const names = [...tables, 'account_totals', 'accounts'].map((name) => `referral_${name}`);
  const missed: unknown[] = [];
  let tried = 0;
  await unguarded(host, async (manager) => {
    for (const damage of await everyDamage(manager, host.schema.replaceAll('"', ''), names)) {
      const key = `${damage.table.replace('referral_', '')}.${damage.column ?? ''}`;
      if (damage.change !== `'NaN'` && unseen[key]?.[1](damage.row)) continue;
      tried++;
      const { ok, problems } = await afterwards(host, manager, damage.sql);
      for (const problem of problems) found.add(problem.invariant);
      if (ok) missed.push([key, damage.change, damage.row]);
    }
  });
  expect(missed).toEqual([]);
  expect(tried).toBeGreaterThan(500);
});

test('each invariant has found something', () => {
  const subjects = [commissionInvariants, refundInvariants, totalInvariants, couponInvariants];
  const names = subjects.flatMap((invariantsOf) => invariantsOf({} as never)).map(({ name }) => name);
  // Nothing in this world has such terms: damage-terms.test.ts and coupon-terms.test.ts damage those that have.
  const others = [
    'a commission is earned within the months and purchases of its terms',
    'a coupon that was given back is off',
  ];
  expect(names.filter((name) => !found.has(name) && !others.includes(name))).toEqual([]);
});

test('NaN in any amount of a channel is found', async () => {
  await unguarded(host, async (manager) => {
    for (const column of ['promo_value', 'initial_rate', 'ongoing_rate', 'max_earnings_per_referred']) {
      const { problems } = await afterwards(host, manager, `UPDATE ${t('channels')} SET ${column} = 'NaN'`);
      expect(problems.map(({ expected }) => expected)).toContain('ck_referral_channels_finite');
    }
  });
});

test('the migration fills in what it adds for purchases of before', async () => {
  const before = await startEarnings({ earnOuts: { payout: () => undefined } });
  await buildCommissionWorld(before);
  const { dataSource, schema, referrals } = before;
  const isRun = async (): Promise<boolean> => {
    const rows = await dataSource.query<unknown[]>(
      `SELECT FROM ${schema}.migrations WHERE name = 'CountCommissionHistory1794000000000'`,
    );
    return rows.length > 0;
  };
  while (await isRun()) await dataSource.undoLastMigration();
  await dataSource.runMigrations();
  expect(await referrals.verify()).toMatchObject({ ok: true, problems: [] });
});
