import { currencyOf, minorUnitOf } from '../../currency';
import type { Database } from '../../database/database';
import { monthsLater } from '../commissions/chosen-terms';
import { decidedPurchases } from '../commissions/decided-purchases';
import { quotientInCents } from '../commissions/quotient';
import { conditionsOn, type Invariant } from './invariant';

type Tables = Database['tables'];

/** The invariants of purchases and their commissions. */
export function commissionInvariants(tables: Tables, { digits } = currencyOf(undefined)): Invariant[] {
  const converted = (original: string): string => `round(${original} * exchange_rate, ${digits})`;
  const whole = wholeOf('rate', 'flat_amount', digits);
  const reason = reasonOf(digits);
  const unrejected = unrejectedOf(digits);
  const left = `CASE WHEN rejected_at IS NULL THEN ${unrejected} ELSE 0 END`;
  const rows = purchasesAndCommissions(tables);
  const ofPurchase = conditionsOn('purchases', { rows, id: 'purchase_id' });
  const ofCommission = conditionsOn('commissions', { rows, id: 'id' });
  const ofLate = conditionsOn('lateAttributions', {
    rows: lateWithPurchases(tables),
    id: `user_id || '/' || purchase`,
  });
  return [
    ofCommission('every commission is of a purchase', {
      isBroken: 'id IS NOT NULL AND (purchase_id IS NULL OR no_commission IS NOT NULL)',
      expected: 'purchase',
      found: 'buyer_id',
    }),
    ofPurchase('a purchase earns once, or says why not', {
      isBroken: 'purchase_id IS NOT NULL AND (id IS NULL) <> (no_commission IS NOT NULL)',
      expected: '(no_commission IS NULL)::integer',
      found: '(id IS NOT NULL)::integer',
    }),
    ofPurchase('a purchase says rightly why it earned nothing', {
      isBroken: `purchase_id IS NOT NULL AND no_commission IS DISTINCT FROM ${reason}`,
      expected: reason,
      found: 'no_commission',
    }),
    ofPurchase('a purchase without a referrer has nothing of one', {
      isBroken: `purchase_id IS NOT NULL AND num_nulls(source, bought_referral_id, bought_mode)
          <> CASE WHEN referrer_id IS NULL THEN 3 ELSE 0 END
        OR (referrer_id IS NULL AND (is_revenue OR num_nonnulls(bought_channel_id, bought_rate, bought_flat,
          bought_terms_from, bought_room, bought_referrer_room, purchases_left, term_until) > 0))
        OR (is_revenue AND bought_channel_id IS NULL) OR bought_mode NOT IN ('credits', 'payout')
        OR bought_terms_from NOT IN (${termSources})
        OR (bought_terms_from = 'channel' AND bought_channel_id IS NULL AND NOT is_moved)`,
      expected: 'referrer_id',
      found: `concat_ws('/', source, bought_referral_id, bought_channel_id, bought_mode, bought_rate, bought_flat,
        bought_terms_from, bought_room, bought_referrer_room, purchases_left, term_until)`,
    }),
    ofPurchase('a purchase is credited to the owner of a referral, by what decided it', {
      isBroken: `purchase_id IS NOT NULL AND NOT (${isDecided(tables)})`,
      expected: `concat_ws('/', source, referrer_id, bought_referral_id, bought_channel_id)`,
      found: `concat_ws('/', owner_id, channel, redeemed_by, signup_referral_id, signup_referrer_id)`,
    }),
    ofCommission('a commission is for what its purchase is credited to', {
      // The rate of a purchase is null where the migration found none.
      isBroken: `id IS NOT NULL AND purchase_id IS NOT NULL AND (
        (referral_id, channel_id, mode, created_at)
          IS DISTINCT FROM (bought_referral_id, bought_channel_id, bought_mode, decided_at)
        OR (num_nonnulls(bought_rate, bought_flat) > 0 AND (rate, flat_amount, terms_from, room, referrer_room)
          IS DISTINCT FROM (bought_rate, bought_flat, bought_terms_from, bought_room, bought_referrer_room))
      )`,
      expected: `concat_ws('/', bought_referral_id, bought_channel_id, bought_mode, bought_rate, bought_flat,
        bought_terms_from, bought_room, bought_referrer_room, decided_at)`,
      found: `concat_ws('/', referral_id, channel_id, mode, rate, flat_amount, terms_from, room, referrer_room, created_at)`,
    }),
    ofCommission('a commission has the terms of its sign-up', {
      // A commission from before that was kept has them without a channel.
      isBroken: `id IS NOT NULL AND source = 'sign-up' AND coalesce(
          terms_from, CASE WHEN channel IS NULL AND signup_rate IS NOT NULL THEN 'program' END
        ) = 'program' AND (rate, flat_amount, months, purchases, max_per_referee)
          IS DISTINCT FROM (signup_rate, signup_flat, signup_months, signup_purchases, signup_max)
          AND NOT is_moved AND NOT ${isOfEarlierReferrer(tables)}`,
      expected: `concat_ws('/', signup_rate, signup_flat, signup_months, signup_purchases, signup_max)`,
      found: `concat_ws('/', rate, flat_amount, months, purchases, max_per_referee)`,
    }),
    ofCommission('a commission of a sign-up says whether that was a self-referral', {
      isBroken: `id IS NOT NULL AND source = 'sign-up' AND is_self_referral <> signup_is_self_referral
        AND NOT is_moved AND NOT ${isOfEarlierReferrer(tables)}`,
      expected: 'signup_is_self_referral',
      found: 'is_self_referral',
    }),
    ofCommission('earned = rate x purchase, or less at the limit', {
      // least() ignores nulls: without a room there is no limit.
      isBroken: `id IS NOT NULL AND (
        earned <> least(${whole}, room, referrer_room) OR rate NOT BETWEEN 0 AND 1 OR num_nonnulls(rate, flat_amount) <> 1
        OR earned > max_per_referee OR room > max_per_referee OR (max_per_referee IS NULL AND room IS NOT NULL)
      )`,
      expected: `least(${whole}, room, referrer_room, max_per_referee)`,
      found: 'earned',
    }),
    ofCommission('a commission is earned within the months and purchases of its terms', {
      isBroken: `id IS NOT NULL AND purchase_id IS NOT NULL AND (
        purchased_at >= term_until OR term_until > ${latestEnd} OR purchases_left NOT BETWEEN 1 AND purchases
        OR (months IS NULL) <> (term_until IS NULL) OR (purchases IS NULL) <> (purchases_left IS NULL)
      )`,
      expected: `concat_ws('/', months, purchases)`,
      found: `concat_ws('/', term_until, purchases_left)`,
    }),
    ofCommission('available some whole days after the purchase', {
      isBroken: `id IS NOT NULL AND purchase_id IS NOT NULL
        AND coalesce(held_from, available_at) IS DISTINCT FROM ${availableAt}`,
      expected: availableAt,
      found: 'coalesce(held_from, available_at)',
    }),
    ofCommission('refunds take back in proportion', {
      isBroken: `amount <> ${left}`,
      expected: left,
      found: 'amount',
    }),
    ofCommission('amount = earned + entries', {
      isBroken: 'id IS NOT NULL AND amount <> earned + coalesce(entered, 0)',
      expected: 'earned + coalesce(entered, 0)',
      found: 'amount',
    }),
    ofCommission('reverted = refunded as a whole', {
      isBroken: `id IS NOT NULL AND (${isWhole} OR rejected_at IS NOT NULL) <> (reverted_at IS NOT NULL)`,
      expected: `${isWhole} OR rejected_at IS NOT NULL`,
      found: 'reverted_at IS NOT NULL',
    }),
    ofCommission('a commission was last changed by a refund, or never', {
      isBroken: `id IS NOT NULL AND CASE WHEN rejected_at IS NULL
        THEN reverted_at <> updated_at OR (updated_at = ANY(refund_times)) IS NOT TRUE
          AND (updated_at <> created_at OR created_at < last_refund_at)
        ELSE rejected_at <> updated_at
          OR (reverted_at <> rejected_at AND (reverted_at = ANY(refund_times)) IS NOT TRUE) END`,
      expected: 'coalesce(rejected_at, last_refund_at, created_at)',
      found: 'updated_at',
    }),
    ofCommission('what is held is available at no time, and is neither paid nor rejected', {
      isBroken: `id IS NOT NULL AND (
        (held_for <> '{}') <> (held_from IS NOT NULL) OR (held_from IS NOT NULL) <> (available_at = 'infinity')
        OR (held_from IS NOT NULL AND (earn_out_id IS NOT NULL OR rejected_at IS NOT NULL))
      )`,
      expected: 'coalesce(held_from, available_at)',
      found: 'available_at',
    }),
    ofPurchase('refunded = refunds', {
      isBroken: `purchase_id IS NOT NULL AND (
        refunded <> coalesce(refunds_amount, 0) OR refunded > paid OR paid < 0
      )`,
      expected: 'coalesce(refunds_amount, 0)',
      found: 'refunded',
    }),
    ofPurchase('what was paid in another currency is converted at its rate', {
      // The difference of two rounded sums is less than a cent off, and so is the sum that a refund leaves that was undone.
      isBroken: `paid <> ${converted('original_amount')} OR CASE
        WHEN original_refunded = original_amount THEN refunded <> paid
        ELSE abs(refunded - ${converted('original_refunded')}) > coalesce(undone, 0) * ${minorUnitOf(digits)} END`,
      expected: `concat_ws('/', ${converted('original_amount')}, ${converted('original_refunded')})`,
      found: `concat_ws('/', paid, refunded)`,
    }),
    ofPurchase('refunded = refunds, in another currency', {
      isBroken: 'original_refunded <> coalesce(refunds_original, 0)',
      expected: 'coalesce(refunds_original, 0)',
      found: 'original_refunded',
    }),
    ofPurchase('every refund of a purchase is there', {
      isBroken: 'refund_count <> coalesce(refunds_count, 0)',
      expected: 'refund_count',
      found: 'coalesce(refunds_count, 0)',
    }),
    ofLate('what is decided later is of a purchase without a referrer', {
      isBroken: `NOT is_moved AND ((no_commission IN ('no-referrer', 'own-referral')) IS NOT TRUE
        OR (bought_referrer_id IS NULL) <> (no_commission = 'no-referrer')
        OR source NOT IN ('sign-up', 'attribution') OR decided_no_commission = 'no-referrer'
        OR decided_at < created_at)`,
      expected: `'no-referrer, or own-referral'`,
      found: `concat_ws('/', bought_referrer_id, no_commission)`,
    }),
  ];
}

/** What the refunds take back of a commission; null for a purchase of 0, which has none. */
const takenOf = (digits: number): string =>
  `CASE WHEN refunded = 0 THEN 0 * paid ELSE ${quotientInCents('earned * refunded', 'nullif(paid, 0)', digits)} END`;

/** What refunds have left of a commission, as if it was not rejected. */
const unrejectedOf = (digits: number): string => `(earned - ${takenOf(digits)})`;

/** Whether a purchase is refunded as a whole: in its currency, of which less than half a cent of the program's can be left. */
const isWhole = 'coalesce(original_refunded >= original_amount, refunded >= paid)';

/** SQL: where terms can come from, as a list. */
export const termSources = `'account', 'channel', 'program', 'option'`;

/** What a purchase earns by a rate or a flat amount, without limits. */
export const wholeOf = (rate: string, flat: string, digits: number): string =>
  `CASE WHEN ${flat} IS NULL THEN round(${rate} * paid, ${digits}) WHEN paid > 0 THEN round(${flat}, ${digits}) ELSE 0 END`;

/** When a commission is available; null if its purchase has an impossible time, or it an impossible number of days. */
export const availableAt = `CASE WHEN pending_days BETWEEN 0 AND 36500 AND purchased_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999'
  THEN purchased_at + pending_days * interval '24 hours' END`;

/** The latest end of the months of a commission's terms: they count from its purchase, or from an earlier one. */
const latestEnd = `CASE WHEN months BETWEEN 1 AND 1200 AND purchased_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999'
  THEN ${monthsLater('purchased_at', 'months')} END`;

/** Why a purchase earns nothing. Without a rate, which earlier purchases lack, it is what the purchase says. */
const reasonOf = (digits: number): string => `CASE
  WHEN referrer_id IS NULL THEN 'no-referrer'
  WHEN no_commission = 'own-referral' AND source = 'attribution' THEN 'own-referral'
  WHEN no_commission = 'suspended' AND suspensions > 0 THEN 'suspended'
  WHEN num_nonnulls(bought_rate, bought_flat) = 0 AND no_commission IS DISTINCT FROM 'own-referral' THEN no_commission
  WHEN bought_rate = 0 THEN 'no-rate'
  WHEN purchased_at >= term_until THEN 'term-ended'
  WHEN purchases_left <= 0 THEN 'purchases-used'
  WHEN ${wholeOf('bought_rate', 'bought_flat', digits)} = 0 THEN 'too-small'
  WHEN bought_room <= 0 THEN 'limit-reached'
  WHEN bought_referrer_room <= 0 THEN 'referrer-limit'
END`;

/** Whether a purchase was decided before staff changed who referred the buyer: what was decided stands. */
const isOfEarlierReferrer = ({ buyers }: Tables): string =>
  `EXISTS (SELECT FROM ${buyers} b WHERE b.user_id = buyer_id AND b.reassigned_at >= decided_at)`;

/**
 * Whether a purchase is credited to the owner of its referral, by what decided it. A referral and a sign-up without a
 * commission can have been deleted since.
 */
const isDecided = (tables: Tables): string => `source IS NULL
  OR (
    source IN ('coupon', 'sign-up', 'attribution', 'earlier-coupon')
    AND (owner_id IS NOT DISTINCT FROM referrer_id OR (id IS NULL AND referral IS NULL))
    AND (bought_channel_id IS NOT DISTINCT FROM channel OR (id IS NULL AND referral IS NULL))
    AND (bought_channel_id = bought_referral_id) IS NOT FALSE
    AND CASE source
      WHEN 'coupon' THEN redeemed_by IS NOT NULL
      WHEN 'earlier-coupon' THEN redeemed_by <> reference
      WHEN 'sign-up' THEN id IS NULL OR (signup_referral_id = bought_referral_id AND signup_referrer_id = referrer_id) IS TRUE
        OR is_moved OR ${isOfEarlierReferrer(tables)}
      ELSE true
    END IS TRUE
  )`;

/** Each purchase with its commission, or one without the other, and with what both follow from. */
const purchasesAndCommissions = (tables: Tables): string => {
  const { refunds, commissions, commissionEntries, signups, referrals, channels, redemptions, accounts } = tables;
  return `(
  SELECT * FROM (
    SELECT p.id AS purchase_id, p.user_id AS buyer_id, p.reference, p.amount AS paid, p.refunded, p.refund_count, p.currency,
      p.original_amount, p.original_refunded, p.exchange_rate,
      p.purchased_at, p.decided_at, p.is_moved, p.source, p.referral_id AS bought_referral_id,
      p.channel_id AS bought_channel_id, p.referrer_id, p.mode AS bought_mode, p.rate AS bought_rate,
      p.room AS bought_room, p.flat_amount AS bought_flat, p.terms_from AS bought_terms_from,
      p.referrer_room AS bought_referrer_room, p.purchases_left, p.term_until, p.is_revenue, p.no_commission,
      f.amount AS refunds_amount, f.original_amount AS refunds_original, f.count AS refunds_count, f.undone,
      f.times AS refund_times, f.last_at AS last_refund_at,
      r.id AS referral, r.user_id AS owner_id, h.id AS channel, d.reference AS redeemed_by,
      s.referral_id AS signup_referral_id, s.referrer_id AS signup_referrer_id, s.commission_ratio AS signup_rate,
      s.commission_amount AS signup_flat, s.commission_months AS signup_months,
      s.commission_purchases AS signup_purchases, s.commission_max_per_referee AS signup_max,
      s.is_self_referral AS signup_is_self_referral, a.suspensions
    FROM ${decidedPurchases(tables)} p
    LEFT JOIN (
      SELECT user_id, purchase, sum(amount) FILTER (WHERE undone_at IS NULL) AS amount,
        sum(original_amount) FILTER (WHERE undone_at IS NULL) AS original_amount, count(*), count(undone_at) AS undone,
        array_agg(created_at) || array_agg(undone_at) AS times, max(greatest(created_at, undone_at)) AS last_at
      FROM ${refunds} GROUP BY 1, 2
    ) f ON f.user_id = p.user_id AND f.purchase = p.reference
    LEFT JOIN ${referrals} r ON r.id = p.referral_id
    LEFT JOIN ${channels} h ON h.id = p.referral_id
    LEFT JOIN ${redemptions} d ON d.user_id = p.user_id AND d.channel_id = p.channel_id
    LEFT JOIN ${signups} s ON s.user_id = p.user_id
    LEFT JOIN ${accounts} a ON a.user_id = p.referrer_id
  ) AS bought
  FULL JOIN (
    SELECT c.id, c.user_id, c.referee_id, c.purchase, c.referral_id, c.channel_id, c.mode, c.rate, c.flat_amount, c.terms_from,
      c.months, c.purchases, c.room, c.referrer_room, c.max_per_referee, c.earned, c.amount, c.is_self_referral, c.pending_days, c.available_at, c.reverted_at,
      c.held_for, c.held_from, c.rejected_at, c.earn_out_id, c.created_at, c.updated_at,
      e.amount AS entered
    FROM ${commissions} c
    LEFT JOIN (
      SELECT user_id, commission_id, sum(amount) AS amount FROM ${commissionEntries} GROUP BY 1, 2
    ) e ON e.user_id = c.user_id AND e.commission_id = c.id
    WHERE c.kind = 'purchase' AND c.moved_at IS NULL
  ) AS earning ON referee_id = buyer_id AND purchase = reference AND user_id = referrer_id
  ) AS checked`;
};

/** What second looks have decided, with what was decided about the purchase at first. */
const lateWithPurchases = ({ lateAttributions, purchases }: Tables): string => `(
  SELECT l.user_id, l.purchase, l.is_moved, l.source, l.no_commission AS decided_no_commission, l.decided_at, p.no_commission,
    p.referrer_id AS bought_referrer_id, p.created_at
  FROM ${lateAttributions} l LEFT JOIN ${purchases} p ON p.user_id = l.user_id AND p.reference = l.purchase
  ) AS late`;
