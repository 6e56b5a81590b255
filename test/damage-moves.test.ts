import { moveInvariants } from '../lib/rewards/verify/move-invariants';
import { afterwards, type Damage, everyDamage, unguarded } from './support/damage';
import { type EarningsHost, fresh, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
const t = (name: string): string => `${host.schema}.referral_${name}`;
const move = { reason: 'mistyped', past: 'move' } as const;

/** Purchases and sign-ups whose commissions were moved: to another, to nobody, from nobody, and back, with refunds of all times. */
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
  const { referrals, clock } = host;
  const terms = { commissionRatio: '0.2', commissionSignup: '3', commissionMaxPerReferrer: '900' } as const;
  const limits = { commissionMaxPerReferee: '500', commissionPeriod: 'all' } as const;
  const anna = await refer(host, 'anna', fresh(), { ...terms, ...limits });
  const otto = await refer(host, 'otto', fresh(), { commissionRatio: '0.1', commissionSignup: '2' });
  const ways = { nobody: [null], again: [null, otto], back: [otto, anna] };
  for (const [user, way] of Object.entries(ways)) {
    await referrals.signups.create({ user, code: anna.code });
    for (const [n, amount] of [60, 40].entries())
      await referrals.recordPurchase(user, { reference: `${user}-${n}`, amount });
    await referrals.recordRefund(user, { purchase: `${user}-0`, reference: `${user}-part`, amount: 7 });
    if (user === 'back') await referrals.recordRefund(user, { purchase: 'back-1', reference: 'back-all' });
    clock.advanceDays(2);
    for (const referral of way) {
      await referrals.signups.reassign(user, { referral, ...move });
      clock.advanceDays(2);
      if (user !== 'back')
        await referrals.recordRefund(user, { purchase: `${user}-1`, reference: `${user}-${referral?.id}`, amount: 5 });
    }
    await referrals.undoRefund(user, { reference: `${user}-part` });
  }
});

test('verify finds nothing wrong with the world', async () => {
  expect(await host.referrals.verify()).toMatchObject({ ok: true, problems: [] });
});

const found = new Set<string>();

const damages: [what: string, sql: () => string, invariant: string][] = [
  [
    'a part that was not taken back',
    () => `UPDATE ${t('commissions')} SET amount = 1 WHERE moved_at IS NOT NULL`,
    'of a commission that was moved nothing is left, and it is not changed any more',
  ],
  [
    'an entry that was lost',
    () => `DELETE FROM ${t('commission_entries')} WHERE kind = 'move'`,
    'of a commission that was moved all that was left was taken back',
  ],
  [
    'a commission that earns more at both',
    () => `UPDATE ${t('commissions')} SET rate = rate + 0.1 WHERE purchase = 'again-0'`,
    'what was moved was earned',
  ],
  [
    'other terms than before',
    () => `UPDATE ${t('commissions')} SET months = 3, purchases = 7 WHERE moved_from IS NOT NULL`,
    'a commission that was moved keeps its terms',
  ],
  [
    'one that came from nowhere',
    () => `UPDATE ${t('commissions')} SET moved_from = id - 1 WHERE purchase = 'again-0' AND moved_from IS NOT NULL`,
    'a commission that was moved keeps its terms',
  ],
  [
    'a decision that no move has made',
    () => `UPDATE ${t('late_attributions')} SET is_moved = NOT is_moved`,
    'a purchase says whether its commission was moved',
  ],
];

test.each(damages)('%s is found', async (_, sql, invariant) => {
  await unguarded(host, async (manager) => {
    const { problems } = await afterwards(host, manager, sql());
    for (const problem of problems) found.add(problem.invariant);
    expect(problems.map((problem) => problem.invariant)).toContain(invariant);
  });
});

const always = (): boolean => true;
const isMoved = ({ moved_at: at }: Damage['row']): boolean => at !== null;

/** Commissions that were never moved: damage-commissions.test.ts damages them. */
const isOrdinary = ({ table, row }: Damage): boolean =>
  table === 'referral_commissions' && row['moved_at'] === null && row['moved_from'] === null;

/** The changes that the data can't tell, each with the rows where that is so. */
const unseen: Record<string, [reason: string, where: (row: Damage['row']) => boolean]> = {
  'commissions.is_self_referral': ['the host said so, but for a sign-up', always],
  'commissions.referral_id': ['what it was moved from can be another code of the same owner', isMoved],
  'commissions.created_at': ['what is decided about the purchase now replaces what was', isMoved],
  'commissions.max_per_referee': ['the room says what counted', isMoved],
  'commissions.max_per_referrer': ['the same', isMoved],
  'commissions.room': ['what did not lower it, and is not kept elsewhere, follows from nothing', isMoved],
  'commissions.referrer_room': ['the same', isMoved],
  'commissions.signup_id': ['a sign-up can have been dropped', isMoved],
  'late_attributions.purchases_left': ['a range', always],
  'late_attributions.term_until': ['a range', always],
  'referees.merged_at': ['two pairs can be older than either', always],
  'referees.created_at': ['until then, what was decided stands', always],
  'account_totals.due_at': ['when the next run looks at it', always],
  'account_totals.due_terms': ['with which options that was found', always],
  'account_totals.matured_until': ['every moment is right for which the sums are', always],
};

test('every change of every value, and the deletion of every row, but those that the data can’t tell', async () => {
  const tables = [
    'commissions',
    'commission_entries',
    'late_attributions',
    'referees',
    'account_totals',
    'referrer_periods',
  ];
  const names = tables.map((name) => `referral_${name}`);
  const missed: unknown[] = [];
  await unguarded(host, async (manager) => {
    for (const damage of await everyDamage(manager, host.schema.replaceAll('"', ''), names)) {
      const key = `${damage.table.replace('referral_', '')}.${damage.column ?? ''}`;
      if (isOrdinary(damage)) continue;
      if (damage.change !== `'NaN'` && unseen[key]?.[1](damage.row)) continue;
      const { ok, problems } = await afterwards(host, manager, damage.sql);
      for (const problem of problems) found.add(problem.invariant);
      if (ok) missed.push([key, damage.change, damage.row['id'], damage.row['kind'], damage.row['moved_at']]);
    }
  });
  expect(missed).toEqual([]);
});

test('each invariant of moves has found something', () => {
  const names = moveInvariants({} as never).map(({ name }) => name);
  expect(names.filter((name) => !found.has(name))).toEqual([]);
});
