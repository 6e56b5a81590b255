import { afterwards, unguarded } from './support/damage';
import { type EarningsHost, refer, startEarnings } from './support/earnings';
import { closeAll } from './support/host';

afterAll(closeAll);

let host: EarningsHost;
const t = (name: string): string => `${host.schema}.referral_${name}`;
const staff = { by: 'eve', reason: 'looks wrong' };

/** Of anna's commissions one is held, one rejected, one refunded and back, one paid and taken back; and a payout waits. */
beforeAll(async () => {
  host = await startEarnings({ earnOuts: { payout: () => undefined } });
  const { referrals, clock } = host;
  await refer(host, 'anna', 'ben');
  await refer(host, 'otto', 'carl');
  const buy = async (reference: string, buyer = 'ben'): Promise<number> =>
    (await referrals.recordPurchase(buyer, { amount: 100, reference })).commission!.id;
  await buy('paid');
  clock.advanceDays(40);
  await referrals.runEarnOuts();
  await referrals.recordRefund('ben', { purchase: 'paid', reference: 'back', amount: 40 });
  await referrals.commissions.hold(await buy('held'), staff);
  await referrals.commissions.reject(await buy('rejected'), staff);
  await buy('undone');
  await referrals.recordRefund('ben', { purchase: 'undone', reference: 'dispute' });
  clock.advanceDays(1);
  await referrals.undoRefund('ben', { reference: 'dispute', ...staff });
  await referrals.commissions.adjust('anna', { amount: 5, reference: 'bonus', ...staff });
  await (await referrals.accounts.of('otto')).update({ mode: 'payout', payoutEmail: 'otto@example.org' });
  await buy('of otto', 'carl');
  clock.advanceDays(40);
  await referrals.runEarnOuts({ approve: 'all' });
  await referrals.commissions.adjust('anna', { amount: -3, reference: 'fee', ...staff });
});

test('verify finds nothing wrong, also without constraints', async () => {
  expect((await host.referrals.verify()).problems).toEqual([]);
  await unguarded(host, async (manager) => {
    expect((await host.referrals.verify({ manager })).problems).toEqual([]);
  });
});

const held = `purchase = 'held'`;
const rejected = `purchase = 'rejected'`;

/** Each with the invariant that must find it. */
const damages: [what: string, sql: () => string, invariant: string][] = [
  [
    'a held commission without a cause',
    () => `UPDATE ${t('commissions')} SET held_for = '{}' WHERE ${held}`,
    'what is held is available at no time, and is neither paid nor rejected',
  ],
  [
    'a held commission that is available',
    () => `UPDATE ${t('commissions')} SET available_at = held_from WHERE ${held}`,
    'what is held is available at no time, and is neither paid nor rejected',
  ],
  [
    'a held commission that was paid',
    () => `UPDATE ${t('commissions')} SET earn_out_id = (SELECT max(id) FROM ${t('earn_outs')}) WHERE ${held}`,
    'what is held is available at no time, and is neither paid nor rejected',
  ],
  [
    'a hold that ends another day',
    () => `UPDATE ${t('commissions')} SET held_from = held_from + interval '1 day' WHERE ${held}`,
    'available some whole days after the purchase',
  ],
  [
    'a rejected commission that keeps an amount',
    () => `UPDATE ${t('commissions')} SET amount = 1 WHERE ${rejected}`,
    'refunds take back in proportion',
  ],
  [
    'a rejection that is forgotten',
    () => `UPDATE ${t('commissions')} SET rejected_at = NULL WHERE ${rejected}`,
    'refunds take back in proportion',
  ],
  [
    'a rejected commission that is not reverted',
    () => `UPDATE ${t('commissions')} SET reverted_at = NULL WHERE ${rejected}`,
    'reverted = refunded as a whole',
  ],
  [
    'a rejection another day',
    () => `UPDATE ${t('commissions')} SET rejected_at = rejected_at + interval '1 day' WHERE ${rejected}`,
    'a commission was last changed by a refund, or never',
  ],
  [
    'a rejection without its entry',
    () => `DELETE FROM ${t('commission_entries')} WHERE kind = 'reject'`,
    'amount = earned + entries',
  ],
  [
    'an entry of a rejection another day',
    () => `UPDATE ${t('commission_entries')} SET created_at = created_at + interval '1 day' WHERE kind = 'reject'`,
    'an entry was made with its refund',
  ],
  [
    'an entry of a rejection that has a refund',
    () => `UPDATE ${t('commission_entries')} SET refund = 'dispute' WHERE kind = 'reject'`,
    'every entry is of a refund of the purchase, and is one',
  ],
  [
    'a refund that is undone and still counts',
    () => `UPDATE ${t('refunds')} SET undone_at = NULL WHERE reference = 'dispute'`,
    'refunded = refunds',
  ],
  [
    'a refund that was undone another day',
    () => `UPDATE ${t('refunds')} SET undone_at = undone_at + interval '1 hour' WHERE reference = 'dispute'`,
    'an entry was made with its refund',
  ],
  [
    'a refund that was undone before it was made',
    () => `UPDATE ${t('refunds')} SET undone_at = created_at - interval '1 hour' WHERE reference = 'dispute'`,
    'a refund is undone after it was made',
  ],
  [
    'an undoing without its entry',
    () => `DELETE FROM ${t('commission_entries')} WHERE kind = 'undo'`,
    'amount = earned + entries',
  ],
  [
    'an entry that says to have taken back more',
    () => `UPDATE ${t('commission_entries')} SET taken_back = taken_back - 1 WHERE taken_back > 0`,
    'what was taken back of a commission has left the credit that paid it',
  ],
  [
    'credit that was taken back for nothing',
    () => `DELETE FROM ${t('credit_transactions')} WHERE kind = 'take-back'`,
    'what was taken back of a commission has left the credit that paid it',
  ],
  [
    'an entry that takes back by giving',
    () => `UPDATE ${t('credit_transactions')} SET value = -value WHERE kind = 'take-back'`,
    'every entry gives or takes, as its kind says',
  ],
  [
    'an account that was paid what was taken back',
    () => `UPDATE ${t('accounts')} SET credits_paid = credits_paid + 10 WHERE user_id = 'anna'`,
    'paid = what is bound to earn-outs',
  ],
  [
    'another bonus',
    () => `UPDATE ${t('adjustments')} SET amount = amount + 1 WHERE reference = 'bonus'`,
    'an earn-out is what is bound to it, unless it failed or was returned',
  ],
  ['a lost deduction', () => `DELETE FROM ${t('adjustments')} WHERE reference = 'fee'`, 'totals = sums'],
  [
    'an adjustment in nobody’s earn-out',
    () => `UPDATE ${t('adjustments')} SET earn_out_id = 4711 WHERE reference = 'fee'`,
    'an adjustment is included by an earn-out of its owner',
  ],
  [
    'a bonus that was paid in another mode',
    () => `UPDATE ${t('adjustments')} SET mode = 'payout' WHERE reference = 'bonus'`,
    'an adjustment is included by an earn-out of its owner',
  ],
  [
    'a payout that waits for an approval and for the provider',
    () => `UPDATE ${t('earn_outs')} SET next_attempt_at = now() WHERE awaits_approval`,
    'the times of an earn-out fit its status',
  ],
];

test.each(damages)('%s', async (_what, sql, invariant) => {
  await unguarded(host, async (manager) => {
    const { problems } = await afterwards(host, manager, sql());
    expect(problems.map((problem) => problem.invariant)).toContain(invariant);
  });
});
