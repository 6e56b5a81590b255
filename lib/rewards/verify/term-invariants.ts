import { currencyOf } from '../../currency';
import type { Database } from '../../database/database';
import { periodsAt } from '../commissions/chosen-terms';
import { termSources } from './commission-invariants';
import { conditionsOn, type Invariant } from './invariant';

type Tables = Database['tables'];

/** The invariants of commissions of sign-ups, and of the limits for each referrer and period. */
export function termInvariants(tables: Tables, { digits } = currencyOf(undefined)): Invariant[] {
  const ofCommission = conditionsOn('commissions', { rows: signupCommissions(tables), id: 'id' });
  const ofSignup = conditionsOn('signups', { rows: signupCommissions(tables), id: 'signed_up_id' });
  const ofLimited = conditionsOn('commissions', { rows: limitedCommissions(tables), id: 'id' });
  const ofPeriod = conditionsOn('referrerPeriods', { rows: periods(tables), id: `user_id || '/' || period` });
  const available = `CASE WHEN pending_days BETWEEN 0 AND 36500 AND created_at BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999'
    THEN created_at + pending_days * interval '24 hours' END`;
  return [
    ofCommission('a commission of a sign-up is of that sign-up', {
      // A sign-up that staff have deleted has left a rejected commission.
      isBroken: `id IS NOT NULL AND CASE WHEN signed_up_id IS NULL THEN rejected_at IS NULL
        ELSE (user_id, referee_id, referral_id, purchase, created_at, false)
          IS DISTINCT FROM (referrer_id, signed_up_user, signed_up_with, qualification, qualified_at, is_self_referral) END
        AND moved_from IS NULL AND NOT ${isOfEarlierReferrer(tables)}`,
      expected: `concat_ws('/', referrer_id, signed_up_user, signed_up_with, qualification, qualified_at)`,
      found: `concat_ws('/', user_id, referee_id, referral_id, purchase, created_at)`,
    }),
    ofCommission('a commission of a sign-up is in the channel of its referral', {
      isBroken: 'id IS NOT NULL AND channel_id IS DISTINCT FROM channel',
      expected: 'channel',
      found: 'channel_id',
    }),
    ofCommission('a sign-up earned the amount of its terms, or less at a limit', {
      isBroken: `id IS NOT NULL AND (
        earned <> least(round(flat_amount, ${digits}), room, referrer_room) OR num_nonnulls(rate, months, purchases) > 0
        OR flat_amount IS NULL OR terms_from NOT IN (${termSources}) OR room > max_per_referee OR (max_per_referee IS NULL) <> (room IS NULL)
        OR (terms_from = 'program' AND flat_amount IS DISTINCT FROM commission_signup AND signed_up_id IS NOT NULL
          AND moved_from IS NULL AND NOT ${isOfEarlierReferrer(tables)})
      )`,
      expected: `least(round(flat_amount, ${digits}), room, referrer_room)`,
      found: 'earned',
    }),
    ofCommission('a commission of a sign-up is available some whole days after it', {
      isBroken: `id IS NOT NULL AND moved_from IS NULL AND coalesce(held_from, available_at) IS DISTINCT FROM ${available}`,
      expected: available,
      found: 'coalesce(held_from, available_at)',
    }),
    ofCommission('of a commission of a sign-up all is left, or it is rejected', {
      isBroken: `id IS NOT NULL AND (
        amount <> CASE WHEN rejected_at IS NULL THEN earned ELSE 0 END OR amount <> earned + coalesce(entered, 0)
        OR reverted_at IS DISTINCT FROM rejected_at OR updated_at <> coalesce(rejected_at, created_at)
      )`,
      expected: `CASE WHEN rejected_at IS NULL THEN earned ELSE 0 END`,
      found: 'amount',
    }),
    ofSignup('a decided sign-up earns once, or says why not', {
      isBroken: `signed_up_id IS NOT NULL AND (
        (qualified_at IS NOT NULL AND (id IS NULL) <> (no_commission IS NOT NULL))
        OR (qualified_at IS NULL AND (id IS NOT NULL OR num_nonnulls(no_commission, qualification) > 0))
        OR (qualified_at IS NULL) <> (qualification IS NULL) OR qualified_at < signed_up_at
        OR (qualification = '' AND qualified_at <> signed_up_at) OR (no_commission = 'no-referrer') <> (referrer_id IS NULL)
        OR (is_self_referral AND referrer_id IS NOT NULL AND qualified_at IS NOT NULL
          AND no_commission IS DISTINCT FROM 'self-referral')
      ) AND NOT ${isOfEarlierReferrer(tables)}`,
      expected: `(no_commission IS NULL AND qualified_at IS NOT NULL)::integer`,
      found: '(id IS NOT NULL)::integer',
    }),
    ofLimited('a commission counts in the period of its time', {
      isBroken: `(max_per_referrer IS NULL) <> (period IS NULL) OR (referrer_room IS NULL) <> (period IS NULL)
        OR referrer_room > max_per_referrer OR earned > referrer_room
        OR (period IS NOT NULL AND (at IS NULL OR NOT period = ANY(ARRAY[${periodsAt('at')}])))`,
      expected: 'at',
      found: 'period',
    }),
    ofPeriod('what a referrer earned in a period = the commissions that count there', {
      isBroken: 'earned IS DISTINCT FROM sum AND (sum IS NOT NULL OR earned <> 0)',
      expected: 'coalesce(sum, 0)',
      found: 'earned',
    }),
    ofPeriod('a referrer earns no more in a period than the limit', {
      // If there are several limits, the highest one counts. A refund that was undone puts back what others may have used, and
      // two users who were merged had a limit each. What was moved to the referrer counts, and the limit did not lower it.
      isBroken: `earned > max + undone + moved AND NOT EXISTS (
        SELECT FROM ${tables.buyers} b WHERE b.user_id = counted.user_id AND b.reassigned_at IS NOT NULL
      )`,
      expected: 'max',
      found: 'earned',
    }),
  ];
}

/** Whether a sign-up earned before staff changed who referred the user: what was decided stands. */
const isOfEarlierReferrer = ({ buyers }: Tables): string =>
  `EXISTS (
        SELECT FROM ${buyers} b
        WHERE b.user_id = coalesce(referee_id, signed_up_user) AND b.reassigned_at >= coalesce(earning.created_at, qualified_at)
      )`;

/** Each commission of a sign-up with its sign-up, or one without the other. */
const signupCommissions = ({ commissions, commissionEntries, signups, channels }: Tables): string => `(
  SELECT m.*, s.id AS signed_up_id, s.user_id AS signed_up_user, s.referrer_id, s.referral_id AS signed_up_with,
    s.qualification, s.qualified_at, s.no_commission, s.is_self_referral, s.commission_signup, s.created_at AS signed_up_at,
    h.id AS channel
  FROM (
    SELECT c.id, c.signup_id, c.user_id, c.referee_id, c.referral_id, c.channel_id, c.purchase, c.rate, c.flat_amount,
      c.terms_from, c.months, c.purchases, c.max_per_referee, c.room, c.referrer_room, c.pending_days, c.earned, c.amount,
      c.available_at, c.held_from, c.rejected_at, c.reverted_at, c.created_at, c.updated_at, c.moved_from, (
        SELECT sum(e.amount) FROM ${commissionEntries} e WHERE e.user_id = c.user_id AND e.commission_id = c.id
      ) AS entered
    FROM ${commissions} c WHERE c.kind = 'sign-up' AND c.moved_at IS NULL
  ) AS m
  FULL JOIN (SELECT * FROM ${signups}) AS s ON s.id = m.signup_id
  LEFT JOIN ${channels} h ON h.id = m.referral_id
  ) AS earning`;

/** Each commission with the time that decides about its period. */
const limitedCommissions = ({ commissions, purchases }: Tables): string => `(
  SELECT c.id, c.earned, c.max_per_referrer, c.period, c.referrer_room,
    CASE c.kind WHEN 'purchase' THEN p.purchased_at ELSE c.created_at END AS at
  FROM ${commissions} c LEFT JOIN ${purchases} p ON p.user_id = c.referee_id AND p.reference = c.purchase
    AND c.kind = 'purchase'
  WHERE num_nonnulls(c.max_per_referrer, c.period, c.referrer_room) > 0 AND (c.kind = 'purchase' OR c.moved_from IS NULL)
  ) AS limited`;

/** Each referrer and period with the sum of the commissions that count there, or such commissions without a row. */
const periods = ({ referrerPeriods, commissions, commissionEntries }: Tables): string => `(
  SELECT user_id, period, o.earned, c.sum, c.max, c.undone, c.moved
  FROM ${referrerPeriods} o
  FULL JOIN (
    SELECT c.user_id, c.period, sum(c.amount), max(c.max_per_referrer), coalesce(sum(e.amount), 0) AS undone,
      coalesce(sum(c.earned) FILTER (WHERE c.moved_from IS NOT NULL), 0) AS moved
    FROM ${commissions} c LEFT JOIN (
      SELECT user_id, commission_id, sum(amount) AS amount FROM ${commissionEntries} WHERE kind = 'undo' GROUP BY 1, 2
    ) e ON e.user_id = c.user_id AND e.commission_id = c.id
    WHERE c.period IS NOT NULL GROUP BY 1, 2
  ) c USING (user_id, period)
  ) AS counted`;
