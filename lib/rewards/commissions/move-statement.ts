import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { monthsLater } from './chosen-terms';
import { decidedPurchases } from './decided-purchases';
import { decidedTerms } from './purchase-statement';
import { periodChanges } from './referrer-periods';
import { refundedShares, takenBackBy } from './refunded-shares';
import { totalChanges } from './total-changes';

export interface MoveParameters {
  /** The referee. */
  user: string;
  /** The commissions, which are locked. */
  ids: readonly number[];
  /** The new referrer; null for nobody. */
  to: string | null;
  /** The new referral; null for nobody. */
  referral: number | null;
  isSelfReferral: boolean;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

/** A row for each commission that was moved, with the columns of the one that it became, or nulls if there is none. */
export interface MoveRow {
  'id': string;
  'userId': string;
  /** What the earlier referrer had of it, in the format of PostgreSQL; 0 for one that was moved to nobody before. */
  'amountBefore': string;
  'revertedBefore': Date | null;
  'movedAt': Date;
  /** The sum of what was moved, the same in each row. */
  'movedInAll': string;
  'commission.id': string | null;
}

type Tables = Database['tables'];
type Parameters = Placeholders<MoveParameters>;

/**
 * Takes commissions back from their referrer by entries, and makes them again for the new one: with the same terms and what was
 * earned, from the same time on, and with entries for the refunds so far. So later refunds, and undone ones, change what the
 * new referrer has. What limited them limits nothing a second time, but counts to the limits of the new referrer.
 *
 * What staff hold stays held. The holds of reviews end with the pair that they are about; a new pair can have its own.
 *
 * The caller holds the locks on the buyer, the accounts of both referrers and the commissions, and has made the rows of
 * {@link roomStatement}. The other locks, and their order, are those of a purchase.
 */
export function moveStatement(database: Database): Statement<MoveParameters> {
  const { tables } = database;
  return statement<MoveParameters>(
    { user: true, ids: true, to: true, referral: true, isSelfReferral: true, now: true },
    ($) => `
    WITH
    ${[readCtes(database, $), writeCtes(database, $), sumCtes(tables)].join(',')}
    SELECT o.id, o.user_id AS "userId", CASE WHEN o.is_here THEN o.amount ELSE 0 END::text AS "amountBefore",
      ${timeInResult('o.reverted_at')} AS "revertedBefore", ${timeInResult('coalesce(t.moved_at, o.moved_at)')} AS "movedAt",
      sum(CASE WHEN o.is_here THEN o.amount ELSE coalesce(n.amount, 0) END) OVER ()::text AS "movedInAll",
      ${database.columns(ReferralCommission, 'n', 'commission.')}
    FROM chosen o LEFT JOIN taken t ON t.id = o.id LEFT JOIN commission n ON n.moved_from = o.id ORDER BY o.id`,
  );
}

const readCtes = (database: Database, $: Parameters): string => {
  const { commissions, refunds, accounts, channels } = database.tables;
  const isWhole = 'coalesce(p.original_refunded >= p.original_amount, p.refunded >= p.amount)';
  return `
    -- The commissions, and what was decided about their purchases. is_here: not moved to nobody before.
    chosen AS (
      SELECT c.*, c.moved_at IS NULL AS is_here, p.amount AS paid, p.refunded, coalesce(${isWhole}, false) AS is_whole,
        coalesce(p.is_revenue, false) AS is_revenue, coalesce(p.purchases_left, c.purchases) AS purchases_left,
        coalesce(p.term_until, ${monthsLater('p.purchased_at', 'c.months')}) AS term_until
      FROM ${commissions} c LEFT JOIN ${decidedPurchases(database.tables)} p
        ON p.user_id = c.referee_id AND p.reference = c.purchase AND c.kind = 'purchase'
      WHERE c.referee_id = ${$.user} AND c.id = ANY (${$.ids}::bigint[])
    ),
    -- The time, not before that of what is moved, which another machine may have written, whose option clock is ahead.
    at AS MATERIALIZED (
      SELECT greatest(${timeOf($.now)}, (SELECT max(updated_at) FROM chosen), (
        SELECT max(greatest(created_at, undone_at)) FROM ${refunds} WHERE user_id = ${$.user}
      )) AS now
    ),
    -- The mode of the new referrer's account, and the channel of the referral; nulls for nobody.
    target AS (
      SELECT a.mode, h.id AS channel_id FROM (SELECT) AS always
      LEFT JOIN ${accounts} a ON a.user_id = ${$.to} LEFT JOIN ${channels} h ON h.id = ${$.referral}::bigint
    ),
    -- What the new referrer earns: net of the refunds. The sign-up of oneself earns nothing.
    earning AS (
      SELECT chosen.*, target.mode AS new_mode, target.channel_id AS new_channel_id,
        earned - coalesce(${takenBackBy('earned', 'refunded', 'paid', database)}, 0) AS net,
        (SELECT e.held_for FROM ${database.tables.referees} e WHERE e.user_id = ${$.to} AND e.referee_id = ${$.user})
          || array(SELECT unnest(chosen.held_for) INTERSECT SELECT 'staff') AS causes
      FROM chosen CROSS JOIN target
      WHERE ${$.to}::varchar IS NOT NULL AND NOT (kind = 'sign-up' AND ${$.isSelfReferral}::boolean)
    )`;
};

const writeCtes = (database: Database, $: Parameters): string => {
  const { commissions, commissionEntries, lateAttributions } = database.tables;
  const isTo = `${$.to}::varchar IS NOT NULL`;
  const terms = decidedTerms.split(', ').map((name) => `CASE WHEN ${isTo} THEN chosen.${name} END`);
  const decided = `source, referral_id, channel_id, referrer_id, mode, ${decidedTerms}, is_revenue, no_commission, decided_at,
        is_moved`;
  const copied = `referee_id, kind, purchase, signup_id, rate, flat_amount, terms_from, months, purchases, max_per_referee,
        room, max_per_referrer, period, referrer_room, pending_days, earned`;
  const from = 'coalesce(held_from, available_at)';
  const shares = { buyer: $.user, purchase: 'n.purchase', earned: 'n.earned', paid: 'e.paid' };
  return `
    -- Takes back what is left, as a rejection does.
    taken AS (
      UPDATE ${commissions} c SET amount = 0, moved_at = at.now, slot = c.id, updated_at = at.now,
        reverted_at = coalesce(c.reverted_at, at.now), available_at = coalesce(c.held_from, c.available_at),
        held_for = '{}', held_from = NULL
      FROM chosen CROSS JOIN at WHERE c.user_id = chosen.user_id AND c.id = chosen.id AND chosen.is_here
      RETURNING c.id, c.moved_at
    ),
    -- Inserts the entries.
    taken_entries AS (
      INSERT INTO ${commissionEntries} (user_id, commission_id, kind, amount, refund, created_at)
      SELECT user_id, id, 'move', -amount, '', at.now FROM chosen CROSS JOIN at WHERE is_here AND amount > 0 ORDER BY user_id, id
    ),
    -- What is decided about the purchases now.
    decided AS (
      INSERT INTO ${lateAttributions} AS l (user_id, purchase, ${decided})
      SELECT ${$.user}, chosen.purchase, CASE WHEN ${isTo} THEN 'sign-up' END,
        CASE WHEN ${isTo} THEN ${$.referral}::bigint END, CASE WHEN ${isTo} THEN target.channel_id END, ${$.to},
        target.mode, ${terms.join(', ')}, ${isTo} AND target.channel_id IS NOT NULL,
        CASE WHEN NOT ${isTo} THEN 'no-referrer' END, at.now, true
      FROM chosen CROSS JOIN target CROSS JOIN at WHERE chosen.kind = 'purchase'
      ON CONFLICT (user_id, purchase) DO UPDATE SET (${decided}) = ROW (${decided
        .split(',')
        .map((name) => `excluded.${name.trim()}`)
        .join(', ')})
    ),
    -- Makes the commissions of the new referrer.
    commission AS (
      INSERT INTO ${commissions} (user_id, referral_id, channel_id, mode, amount, reverted_at, is_self_referral, available_at,
        held_for, held_from, created_at, updated_at, moved_from, ${copied})
      SELECT ${$.to}, ${$.referral}::bigint, new_channel_id, new_mode, net, CASE WHEN is_whole THEN at.now END,
        ${$.isSelfReferral}::boolean, CASE WHEN causes = '{}' THEN ${from} ELSE 'infinity' END, causes,
        CASE WHEN causes <> '{}' THEN ${from} END, at.now, at.now, id, ${copied}
      FROM earning CROSS JOIN at ORDER BY id
      RETURNING *
    ),
    -- Inserts the entries of the refunds so far.
    refund_entries AS (
      INSERT INTO ${commissionEntries} (user_id, commission_id, amount, refund, created_at)
      SELECT n.user_id, n.id, -r.back, r.reference, at.now
      FROM commission n JOIN earning e ON e.id = n.moved_from AND e.kind = 'purchase'
      CROSS JOIN LATERAL ${refundedShares(database, shares)} AS r CROSS JOIN at
      WHERE r.back > 0 ORDER BY n.id, r.reference
    )`;
};

const sumCtes = (tables: Tables): string => `
    -- By how much the sums of both referrers change.
    moves AS (
      SELECT user_id, coalesce(channel_id, 0) AS channel_id, mode, period, 0 AS commissions,
        CASE WHEN is_revenue THEN refunded - paid ELSE 0 END AS revenue, -amount AS amount,
        (reverted_at IS NULL)::integer AS reverted, -(reverted_at IS NULL)::integer AS matured, -amount AS matured_amount,
        available_at AS matured_at, false AS is_woken
      FROM chosen WHERE is_here
      UNION ALL SELECT n.user_id, coalesce(n.channel_id, 0), n.mode, n.period, 1,
        CASE WHEN n.channel_id IS NOT NULL AND n.kind = 'purchase' THEN e.paid - e.refunded ELSE 0 END, n.amount,
        (n.reverted_at IS NOT NULL)::integer, (n.reverted_at IS NULL)::integer, n.amount, n.available_at, true
      FROM commission n JOIN earning e ON e.id = n.moved_from
    ),
    -- Changes what the referee has earned both.
    pairs AS (
      UPDATE ${tables.referees} e SET earned = e.earned + sums.amount
      FROM (SELECT user_id, sum(amount) AS amount FROM moves GROUP BY 1) AS sums, (SELECT DISTINCT referee_id FROM chosen) AS c
      WHERE e.user_id = sums.user_id AND e.referee_id = c.referee_id
    ),
    -- Changes what limits for both count in the periods.
    ${periodChanges(tables, 'moves', { back: '-amount' })},
    ${totalChanges(tables, 'moves', 'limited')}`;

/** Makes the rows of totals and periods of the new referrer that {@link moveStatement} adds to, unless there are some. */
export function roomStatement({ tables }: Database): Statement<Omit<MoveParameters, 'isSelfReferral'>> {
  return statement(
    { user: true, ids: true, to: true, referral: true, now: true },
    ($) => `
    WITH
    periods AS (
      INSERT INTO ${tables.referrerPeriods} (user_id, period, earned)
      SELECT DISTINCT ${$.to}, period, 0 FROM ${tables.commissions}
      WHERE referee_id = ${$.user} AND id = ANY (${$.ids}::bigint[]) AND period IS NOT NULL
      ON CONFLICT DO NOTHING
      RETURNING user_id
    )
    -- count(*) >= 0 is always true. It makes PostgreSQL lock the periods first.
    INSERT INTO ${tables.totals} (user_id, channel_id, mode, matured_until)
    SELECT a.user_id, coalesce(h.id, 0), a.mode, ${timeOf($.now)}
    FROM ${tables.accounts} a LEFT JOIN ${tables.channels} h ON h.id = ${$.referral}::bigint
    WHERE a.user_id = ${$.to} AND (SELECT count(*) FROM periods) >= 0
    ON CONFLICT DO NOTHING`,
  );
}

/**
 * Counts anew what a referee has bought through each of two referrers, after purchases were moved between them. The pair
 * of one through whom nothing is earned or bought any more is deleted, as a reassignment does.
 */
export function recountStatement({ tables }: Database): Statement<{ user: string; owners: readonly string[] }> {
  const { referees, commissions, accounts } = tables;
  return statement(
    { user: true, owners: true },
    ($) => `
    WITH
    -- What was credited to each of them.
    counts AS (
      SELECT e.user_id, e.upgraded_at AS upgraded_before, count(p.id) AS purchases, min(p.purchased_at) AS first_purchase_at,
        min(p.decided_at) AS upgraded_at, e.earned = 0 AND count(p.id) = 0 AND NOT EXISTS (
          SELECT FROM ${tables.signups} s WHERE s.user_id = ${$.user} AND s.referrer_id = e.user_id
        ) AND NOT EXISTS (
          SELECT FROM ${commissions} c WHERE c.user_id = e.user_id AND c.referee_id = ${$.user} AND c.moved_at IS NULL
        ) AS is_gone
      FROM ${referees} e LEFT JOIN ${decidedPurchases(tables)} p
        ON p.user_id = e.referee_id AND p.referrer_id = e.user_id AND p.amount > 0
        AND coalesce(p.no_commission, '') NOT IN ('own-referral', 'suspended')
      WHERE e.referee_id = ${$.user} AND e.user_id = ANY (${$.owners}::varchar[]) GROUP BY e.user_id, e.referee_id
    ),
    changed AS (
      UPDATE ${referees} e SET purchases = c.purchases, first_purchase_at = c.first_purchase_at, upgraded_at = c.upgraded_at
      FROM counts c WHERE e.user_id = c.user_id AND e.referee_id = ${$.user} AND NOT c.is_gone
    ),
    gone AS (
      DELETE FROM ${referees} e USING counts c WHERE e.user_id = c.user_id AND e.referee_id = ${$.user} AND c.is_gone
    )
    UPDATE ${accounts} a SET users_referred = a.users_referred - c.is_gone::integer,
      users_upgraded = a.users_upgraded + (c.upgraded_at IS NOT NULL)::integer - (c.upgraded_before IS NOT NULL)::integer
    FROM counts c WHERE a.user_id = c.user_id`,
  );
}
