import { forgetDays } from '../../database/closed-days';
import type { Database } from '../../database/database';
import { type Placeholders, type Query, sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ratedAmounts } from '../../entities/commission-terms';
import { reviewSubjects } from './review-subjects';

/** Two users who are one person: everything of `from` becomes that of `into`. */
export interface MergedUsers {
  from: string;
  into: string;
}

/** The columns with the commission terms of an account. */
const accountTerms = [
  ...ratedAmounts,
  ...(['commission_months', 'commission_purchases', 'commission_qualify', 'commission_period'] as const),
];

type Tables = Database['tables'];
type Parameters = Placeholders<MergedUsers>;
type Write = ($: Parameters) => string;
type WriteAt = ($: Placeholders<MergedUsers & { now: Date | null }>) => string;

/**
 * The statements that add up the rows that both users have, where a key allows only one, so that the rest of `from` can be
 * renamed. The books are locked, so each is simple: nothing changes between them.
 */
export function mergeStatements({ tables }: Database, users: MergedUsers, now: Date | null): Query[] {
  return [
    ...closedDays(tables).map((write) => sql(users, write)),
    sql({ ...users, now }, pairs(tables)),
    sql({ ...users, now }, accounts(tables)),
    sql(users, repeatedRedemptions(tables)),
    sql(users, buyers(tables)),
    ...coupons(tables).map((write) => sql(users, write)),
    sql(users, totals(tables)),
    sql(users, userCounts(tables)),
    sql(users, periods(tables)),
    sql(users, rewardCounts(tables)),
    sql(users, refusals(tables)),
    sql(users, labels(tables)),
  ];
}

/** The statements after the rename: what follows from the rows of both. */
export function settleStatements({ tables }: Database, { into }: MergedUsers, now: Date | null): Query[] {
  return [
    sql({ into }, recount(tables)),
    sql({ into }, limitTotals(tables)),
    sql({ into }, reviewSubjects(tables)),
    sql({ into, now }, stands(tables)),
  ];
}

/** SQL: whether a column has the id of one of the two. */
const isOne = (column: string, $: Parameters): string => `${column} IN (${$.from}, ${$.into})`;

/** SQL: an id, with `into` for `from`. */
const merged = (column: string, $: Parameters): string =>
  `CASE ${column} WHEN ${$.from} THEN ${$.into} ELSE ${column} END`;

/** Nothing stays closed of the two, nor of those who have referred them: two of their referees become one. */
const closedDays = (tables: Tables): Write[] => [
  ($) =>
    forgetDays(
      tables,
      `SELECT user_id FROM ${tables.referees} WHERE ${isOne('referee_id', $)} AND NOT ${isOne('user_id', $)}`,
    ),
  ...[tables.closedDays, tables.userDays, tables.userLinks].map(
    (table): Write =>
      ($) =>
        `DELETE FROM ${table} WHERE ${isOne('user_id', $)}`,
  ),
];

const pairs =
  ({ referees }: Tables): WriteAt =>
  ($) => `
    WITH
    -- The pairs of referrer and referee in which one of the two is, with what they become.
    affected AS (
      SELECT e.*, ${merged('e.user_id', $)} AS referrer, ${merged('e.referee_id', $)} AS referee
      FROM ${referees} e WHERE ${isOne('e.user_id', $)} OR ${isOne('e.referee_id', $)}
    ),
    -- Those that become one. The pair that a sign-up has made says how it began, else the first.
    sums AS (
      SELECT referrer, referee, sum(earned) AS earned, min(upgraded_at) AS upgraded_at,
        sum(purchases) AS purchases, min(first_purchase_at) AS first_purchase_at,
        (array_agg(met_by ORDER BY met_by = 'sign-up' DESC, created_at))[1] AS met_by,
        (array_agg(created_at ORDER BY met_by = 'sign-up' DESC, created_at))[1] AS created_at,
        (array_agg(user_id ORDER BY user_id, referee_id))[1] AS kept_user,
        (array_agg(referee_id ORDER BY user_id, referee_id))[1] AS kept_referee
      FROM affected GROUP BY 1, 2 HAVING count(*) > 1
    ),
    -- Adds them up in one of the rows.
    added AS (
      UPDATE ${referees} e SET earned = sums.earned, upgraded_at = sums.upgraded_at,
        purchases = sums.purchases, first_purchase_at = sums.first_purchase_at, held_for = ARRAY(
          SELECT DISTINCT cause FROM affected a, unnest(a.held_for) AS cause
          WHERE a.referrer = sums.referrer AND a.referee = sums.referee ORDER BY 1
        ), met_by = sums.met_by,
        created_at = sums.created_at, merged_at = ${timeOf($.now)}
      FROM sums WHERE e.user_id = sums.kept_user AND e.referee_id = sums.kept_referee
    )
    -- Deletes the others.
    DELETE FROM ${referees} e USING affected a JOIN sums USING (referrer, referee)
    WHERE e.user_id = a.user_id AND e.referee_id = a.referee_id
      AND (e.user_id, e.referee_id) <> (sums.kept_user, sums.kept_referee)`;

const accounts =
  ({ accounts: table }: Tables): WriteAt =>
  ($) => `
    WITH
    -- The account of the user who goes, if there are two.
    gone AS (
      DELETE FROM ${table} WHERE user_id = ${$.from} AND EXISTS (SELECT FROM ${table} WHERE user_id = ${$.into})
      RETURNING *
    )
    -- Mode, address and own referral stay those of the user who stays, and so do the minimum and the terms where there are
    -- any. A suspension of either stays, and so does a ban: if one is banned, the caller has banned the other one.
    UPDATE ${table} a SET credits_paid = a.credits_paid + gone.credits_paid,
      payouts_paid = a.payouts_paid + gone.payouts_paid, earn_outs = a.earn_outs + gone.earn_outs,
      minimum = coalesce(a.minimum, gone.minimum), ${termsOfEither()},
      suspended_at = least(a.suspended_at, gone.suspended_at), suspensions = a.suspensions + gone.suspensions,
      banned_at = least(a.banned_at, gone.banned_at),
      held_for = a.held_for || ARRAY(SELECT unnest(gone.held_for) EXCEPT SELECT unnest(a.held_for)),
      created_at = least(a.created_at, gone.created_at), updated_at = ${timeOf($.now)}
    FROM gone WHERE a.user_id = ${$.into}`;

/** SQL: the assignments that give an account the terms of the account that goes, all of them, if it has none. */
function termsOfEither(): string {
  const own = accountTerms.map((name) => `a.${name}`).join(', ');
  return accountTerms
    .map((name) => `${name} = CASE WHEN num_nonnulls(${own}) = 0 THEN gone.${name} ELSE a.${name} END`)
    .join(', ');
}

/** A user redeems a coupon once, so the later redemption of the same coupon is given back. */
const repeatedRedemptions =
  ({ redemptions, purchases, referrals, totals: table }: Tables): Write =>
  ($) => `
    WITH
    -- The redemptions of coupons that both have redeemed, first purchase first, and those last that were given back.
    both_redeemed AS (
      SELECT r.user_id, r.channel_id, p.referrer_id, p.mode, r.given_back_at,
        row_number() OVER (PARTITION BY r.channel_id ORDER BY r.given_back_at IS NOT NULL, p.id) AS position
      FROM ${redemptions} r JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
      WHERE ${isOne('r.user_id', $)}
    ),
    gone AS (
      DELETE FROM ${redemptions} r USING both_redeemed b
      WHERE b.position > 1 AND r.user_id = b.user_id AND r.channel_id = b.channel_id
      RETURNING b.channel_id, b.referrer_id, b.mode, b.given_back_at
    ),
    uncounted AS (
      UPDATE ${referrals} r SET redemptions = r.redemptions - 1
      FROM gone WHERE r.id = gone.channel_id AND gone.given_back_at IS NULL
    )
    UPDATE ${table} t SET redemptions = t.redemptions - 1 FROM gone
    WHERE t.user_id = gone.referrer_id AND t.channel_id = gone.channel_id AND t.mode = gone.mode
      AND gone.given_back_at IS NULL`;

const buyers =
  ({ buyers: table }: Tables): Write =>
  ($) => `
    WITH
    -- The row of the user who goes, if there are two.
    gone AS (
      DELETE FROM ${table} WHERE user_id = ${$.from} AND EXISTS (SELECT FROM ${table} WHERE user_id = ${$.into})
      RETURNING *
    )
    -- The applied coupon of the user who stays, else that of the other.
    UPDATE ${table} b SET version = b.version + gone.version + 1,
      purchase_count = b.purchase_count + gone.purchase_count, purchased = b.purchased + gone.purchased,
      first_purchase_at = least(b.first_purchase_at, gone.first_purchase_at),
      channel_id = coalesce(b.channel_id, gone.channel_id),
      is_redeemed = CASE WHEN b.channel_id IS NULL THEN gone.is_redeemed ELSE b.is_redeemed END,
      applied_at = CASE WHEN b.channel_id IS NULL THEN gone.applied_at ELSE b.applied_at END,
      is_own_channel = CASE WHEN b.channel_id IS NULL THEN gone.is_own_channel ELSE b.is_own_channel END
    FROM gone WHERE b.user_id = ${$.into}`;

/** A coupon of their own, and one that the other has redeemed, comes off; and only the applied one is kept. */
const coupons = ({ buyers: table, redemptions, referrals, purchases }: Tables): Write[] => [
  ($) => `
    UPDATE ${table} b SET channel_id = NULL, applied_at = NULL, is_redeemed = false
    WHERE ${isOne('b.user_id', $)} AND b.channel_id IS NOT NULL AND (
      EXISTS (SELECT FROM ${referrals} r WHERE r.id = b.channel_id AND ${isOne('r.user_id', $)} AND NOT b.is_own_channel)
      OR b.is_redeemed <> EXISTS (
        SELECT FROM ${redemptions} r
        WHERE ${isOne('r.user_id', $)} AND r.channel_id = b.channel_id AND r.given_back_at IS NULL
      )
    )`,
  ($) => `
    UPDATE ${redemptions} r SET is_kept = coalesce(r.channel_id = (
      SELECT channel_id FROM ${table} WHERE ${isOne('user_id', $)} AND is_redeemed LIMIT 1
    ), false)
    WHERE ${isOne('r.user_id', $)} AND r.given_back_at IS NULL`,
  // The coupon that was redeemed last credits later purchases to its owner: not to the buyer.
  ($) => `
    WITH last AS (
      SELECT r.channel_id FROM ${redemptions} r
      JOIN ${purchases} p ON p.user_id = r.user_id AND p.reference = r.reference
      WHERE ${isOne('r.user_id', $)} ORDER BY p.id DESC LIMIT 1
    )
    UPDATE ${table} b SET last_channel_id = (
      SELECT last.channel_id FROM last JOIN ${referrals} o ON o.id = last.channel_id WHERE NOT ${isOne('o.user_id', $)}
    ), is_own_last_channel = false
    WHERE ${isOne('b.user_id', $)}`,
];

const totals =
  ({ totals: table, commissions }: Tables): Write =>
  ($) => `
    WITH
    -- The rows of the two for the same channel and mode, and until when both are to count what is available.
    two AS (
      SELECT f.*, greatest(f.matured_until, i.matured_until) AS until
      FROM ${table} f JOIN ${table} i ON i.channel_id = f.channel_id AND i.mode = f.mode
      WHERE f.user_id = ${$.from} AND i.user_id = ${$.into}
    ),
    -- What became available of either since its own time.
    later AS (
      SELECT two.channel_id, two.mode, count(c.id) FILTER (WHERE c.reverted_at IS NULL) AS count,
        coalesce(sum(c.amount), 0) AS amount
      FROM two JOIN ${table} t ON ${isOne('t.user_id', $)} AND t.channel_id = two.channel_id AND t.mode = two.mode
      LEFT JOIN ${commissions} c ON c.user_id = t.user_id AND coalesce(c.channel_id, 0) = t.channel_id
        AND c.mode = t.mode AND c.available_at > t.matured_until AND c.available_at <= two.until
      GROUP BY 1, 2
    ),
    gone AS (
      DELETE FROM ${table} t USING two
      WHERE t.user_id = ${$.from} AND t.channel_id = two.channel_id AND t.mode = two.mode
    )
    UPDATE ${table} t SET commissions = t.commissions + two.commissions, reverted = t.reverted + two.reverted,
      amount = t.amount + two.amount, redemptions = t.redemptions + two.redemptions, revenue = t.revenue + two.revenue,
      matured = t.matured + two.matured + later.count, matured_amount = t.matured_amount + two.matured_amount + later.amount,
      matured_until = two.until, most_commissions = NULL
    FROM two JOIN later USING (channel_id, mode)
    WHERE t.user_id = ${$.into} AND t.channel_id = two.channel_id AND t.mode = two.mode`;

const userCounts =
  ({ userCounts: table }: Tables): Write =>
  ($) => `
    WITH gone AS (
      DELETE FROM ${table} WHERE user_id = ${$.from} AND EXISTS (SELECT FROM ${table} WHERE user_id = ${$.into})
      RETURNING *
    )
    UPDATE ${table} c SET grants = c.grants + gone.grants, granted = c.granted + gone.granted,
      empty_spends = c.empty_spends + gone.empty_spends, uncounted_usages = c.uncounted_usages + gone.uncounted_usages,
      uncounted_usage = c.uncounted_usage + gone.uncounted_usage
    FROM gone WHERE c.user_id = ${$.into}`;

const periods =
  ({ referrerPeriods: table }: Tables): Write =>
  ($) => `
    WITH gone AS (
      DELETE FROM ${table} f USING ${table} i
      WHERE f.user_id = ${$.from} AND i.user_id = ${$.into} AND i.period = f.period
      RETURNING f.*
    )
    UPDATE ${table} p SET earned = p.earned + gone.earned FROM gone
    WHERE p.user_id = ${$.into} AND p.period = gone.period`;

/** What a referrer has been rewarded stays counted, also for sign-ups that are deleted. */
const rewardCounts =
  ({ rewardCounts: table }: Tables): Write =>
  ($) => `
    WITH gone AS (
      DELETE FROM ${table} f USING ${table} i
      WHERE f.user_id = ${$.from} AND i.user_id = ${$.into} AND i.program_id = f.program_id AND i.period = f.period
      RETURNING f.*
    )
    UPDATE ${table} n SET rewards = n.rewards + gone.rewards, departed = n.departed + gone.departed FROM gone
    WHERE n.user_id = ${$.into} AND n.program_id = gone.program_id AND n.period = gone.period`;

const refusals =
  ({ refusals: table }: Tables): Write =>
  ($) => `
    DELETE FROM ${table} WHERE user_id = ${$.from} AND EXISTS (SELECT FROM ${table} WHERE user_id = ${$.into})`;

/** Both codes go on working: of two referrals that differ only in the user, one gets another label. */
const labels =
  ({ referrals }: Tables): Write =>
  ($) => `
    UPDATE ${referrals} f SET label = left(f.label, 70) || ' #' || f.id
    WHERE f.user_id = ${$.from} AND EXISTS (
      SELECT FROM ${referrals} i WHERE i.user_id = ${$.into} AND i.label = f.label AND i.redirect_to = f.redirect_to
        AND i.target_type IS NOT DISTINCT FROM f.target_type AND i.target_id IS NOT DISTINCT FROM f.target_id
    )`;

/** Counts the referees of everybody whose pairs were added up. */
const recount =
  ({ accounts: table, referees }: Tables) =>
  ($: Pick<Parameters, 'into'>): string => `
    UPDATE ${table} a SET users_referred = counts.referred, users_upgraded = counts.upgraded
    FROM (
      SELECT user_id, count(*) AS referred, count(upgraded_at) AS upgraded FROM ${referees}
      WHERE user_id = ${$.into} OR user_id IN (SELECT user_id FROM ${referees} WHERE referee_id = ${$.into})
      GROUP BY 1
    ) AS counts
    WHERE a.user_id = counts.user_id
      AND (a.users_referred, a.users_upgraded) IS DISTINCT FROM (counts.referred, counts.upgraded)`;

/** A suspended account earns no more commissions, and only such an account has the limit. */
const limitTotals =
  ({ totals: table, accounts: owners }: Tables) =>
  ($: Pick<Parameters, 'into'>): string => `
    UPDATE ${table} t SET most_commissions = CASE WHEN a.suspended_at IS NOT NULL THEN t.commissions END
    FROM ${owners} a WHERE a.user_id = ${$.into} AND t.user_id = a.user_id`;

/** What was decided about the purchases of either until now stands. */
const stands =
  ({ buyers: table }: Tables) =>
  ($: Placeholders<{ into: string; now: Date | null }>): string => `
    INSERT INTO ${table} AS b (user_id, reassigned_at) VALUES (${$.into}, ${timeOf($.now)})
    ON CONFLICT (user_id) DO UPDATE SET reassigned_at = excluded.reassigned_at`;
