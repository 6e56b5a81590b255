import { currencyOf } from '../../currency';
import type { Database } from '../../database/database';
import { availableAt, termSources, wholeOf } from './commission-invariants';
import { conditionsOn, type Invariant } from './invariant';

type Tables = Database['tables'];

/** What a commission that was moved keeps. */
const kept = [
  ...['referee_id', 'kind', 'purchase', 'signup_id', 'rate', 'flat_amount', 'terms_from', 'months', 'purchases'],
  ...['max_per_referee', 'room', 'max_per_referrer', 'period', 'referrer_room', 'pending_days', 'earned', 'base_at'],
];
const keptOf = (alias: string): string => kept.map((name) => `${alias}.${name}`).join(', ');

/** The invariants of commissions that `signups.reassign` has moved, and of the purchases that they are of. */
export function moveInvariants(tables: Tables, { digits } = currencyOf(undefined)): Invariant[] {
  const { commissions, lateAttributions } = tables;
  const ofCommission = conditionsOn('commissions', { rows: movedCommissions(tables), id: 'o.id' });
  const ofBecome = conditionsOn('commissions', {
    rows: `${becoming(commissions, 'moved_from IS NOT NULL')} n LEFT JOIN ${becoming(commissions, 'moved_at IS NOT NULL')} o
      ON o.id = n.moved_from LEFT JOIN ${tables.referrals} f ON f.id = n.referral_id`,
    id: 'n.id',
  });
  const ofDecision = conditionsOn('lateAttributions', {
    rows: `${lateAttributions} l LEFT JOIN (
        SELECT c.referee_id, c.purchase, max(c.moved_at) AS moved_at, max(o.last_id) AS last_id
        FROM ${commissions} c LEFT JOIN (
          SELECT referee_id, purchase, max(id) AS last_id FROM ${commissions} WHERE moved_at IS NULL AND kind = 'purchase'
            AND moved_from IS NOT NULL GROUP BY 1, 2
        ) o USING (referee_id, purchase)
        WHERE c.moved_at IS NOT NULL AND c.kind = 'purchase' GROUP BY 1, 2
      ) m ON m.referee_id = l.user_id AND m.purchase = l.purchase`,
    id: `l.user_id || '/' || l.purchase`,
  });
  return [
    ofCommission('of a commission that was moved nothing is left, and it is not changed any more', {
      isBroken: `o.amount <> 0 OR o.earned + coalesce(o.entered, 0) <> 0 OR (o.reverted_at IS NULL)
        OR o.updated_at <> o.moved_at OR o.reverted_at > o.moved_at OR o.rejected_at IS NOT NULL OR o.held_for <> '{}'
        OR o.last_entry_at > o.moved_at OR o.created_at > o.moved_at`,
      expected: `concat_ws('/', 0, o.moved_at)`,
      found: `concat_ws('/', o.amount, o.updated_at, o.reverted_at)`,
    }),
    ofCommission('of a commission that was moved all that was left was taken back', {
      isBroken: `(o.given IS NULL) <> (coalesce(o.other, 0) = -o.earned)
        OR (o.reverted_at < o.moved_at AND (
          o.given IS NOT NULL OR (o.reverted_at = o.created_at OR o.reverted_at = ANY (o.refund_times)) IS NOT TRUE
        ))`,
      expected: '-o.earned',
      found: `concat_ws('/', o.other, o.given)`,
    }),
    ofCommission('what was moved was earned', {
      isBroken: `o.earned <> least(CASE WHEN o.kind = 'purchase' THEN ${wholeOf('o.rate', 'o.flat_amount', digits)}
          ELSE round(o.flat_amount, ${digits}) END, o.room, o.referrer_room, o.max_per_referee)
        OR o.terms_from NOT IN (${termSources}) OR num_nonnulls(o.rate, o.flat_amount) <> 1 OR o.rate NOT BETWEEN 0 AND 1 OR o.room > o.max_per_referee
        OR (o.kind = 'purchase' AND (p.id IS NULL OR o.base_at IS DISTINCT FROM ${availableAt}))
        OR (o.kind = 'sign-up' AND s.id IS NOT NULL AND (o.referee_id, o.purchase, o.base_at)
          IS DISTINCT FROM (s.user_id, s.qualification, s.qualified_at + o.pending_days * interval '24 hours'))
        OR o.channel_id IS DISTINCT FROM h.id`,
      expected: 'paid',
      found: `concat_ws('/', o.earned, o.rate, o.flat_amount, o.base_at)`,
    }),
    ofBecome('a commission that was moved keeps its terms', {
      isBroken: `o.id IS NULL OR (${keptOf('n')}) IS DISTINCT FROM (${keptOf('o')}) OR n.created_at < o.moved_at
        OR n.id <= o.id OR f.user_id IS DISTINCT FROM n.user_id`,
      expected: `concat_ws('/', o.id, o.moved_at, ${keptOf('o')})`,
      found: `concat_ws('/', n.moved_from, n.created_at, ${keptOf('n')})`,
    }),
    ofDecision('a purchase says whether its commission was moved', {
      isBroken: `l.is_moved <> (m.purchase IS NOT NULL) OR (l.is_moved AND CASE WHEN l.referrer_id IS NULL
        THEN l.decided_at <> m.moved_at ELSE m.last_id IS NULL END)`,
      expected: 'm.moved_at',
      found: 'l.decided_at',
    }),
  ];
}

/** Commissions that were moved, or came from others, with from when on they are available. */
const becoming = (commissions: string, condition: string): string =>
  `(SELECT c.*, coalesce(held_from, available_at) AS base_at FROM ${commissions} c WHERE ${condition})`;

/** Each commission that was moved with its entries and its purchase. */
const movedCommissions = ({
  commissions,
  commissionEntries,
  purchases,
  channels,
  refunds,
  signups,
}: Tables): string => `(
    SELECT c.*, e.entered, e.other, e.given, e.last_entry_at, coalesce(c.held_from, c.available_at) AS base_at, (
      SELECT array_agg(r.created_at) FROM ${refunds} r WHERE r.user_id = c.referee_id AND r.purchase = c.purchase
    ) AS refund_times
    FROM ${commissions} c LEFT JOIN (
      SELECT user_id, commission_id, sum(amount) AS entered, sum(amount) FILTER (WHERE kind <> 'move') AS other,
        sum(amount) FILTER (WHERE kind = 'move') AS given, max(created_at) AS last_entry_at
      FROM ${commissionEntries} GROUP BY 1, 2
    ) e ON e.user_id = c.user_id AND e.commission_id = c.id
    WHERE c.moved_at IS NOT NULL
  ) o LEFT JOIN ${channels} h ON h.id = o.referral_id LEFT JOIN ${signups} s ON s.id = o.signup_id
  LEFT JOIN (SELECT id, user_id, reference, amount AS paid, purchased_at FROM ${purchases}) p
    ON p.user_id = o.referee_id AND p.reference = o.purchase AND o.kind = 'purchase'`;
