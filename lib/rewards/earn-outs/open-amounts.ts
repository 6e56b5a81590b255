import type { Database } from '../../database/database';
import type { Placeholders } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { modes, payableFrom } from './payable-from';
import type { EarnOutTerms } from './terms';

export interface OpenAmountParameters extends EarnOutTerms {
  /** The users whose accounts the caller has locked. */
  users: readonly string[];
}

type Tables = Database['tables'];
type Parameters = Placeholders<OpenAmountParameters>;

/**
 * The CTEs that compute what earn-outs can pay now. `parts` are all open amounts: commissions that are available and
 * not paid, and entries and adjustments that no earn-out has included. `sums` are the earn-outs that these parts would make.
 *
 * The refund of a commission that is paid already leaves a debt, and so do a payment for which nothing was available and a
 * deduction.
 * The earn-out of the same mode subtracts the debt, if more is ready in that mode. Otherwise the earn-out of the other
 * mode subtracts it, so that no user is paid in one mode while owing in the other. A commission whose earn-out is still in
 * progress has no debt yet.
 */
export function openAmounts(database: Database, $: Parameters): string {
  return [dueModes(database, $), openEntries(database.tables, $), parts(database.tables, $), sums()].join(',');
}

const dueModes = (database: Database, $: Parameters): string => `
    -- The time of the statement.
    at AS (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The accounts and modes that are due, each with the least amount that is paid.
    due AS (
      SELECT a.user_id, m.mode, CASE m.mode WHEN 'payout' THEN a.payout_email END AS payout_email,
        coalesce(a.minimum, ${$.minimum}::numeric) AS minimum
      FROM ${wantedAccounts(database.tables, $)} CROSS JOIN ${modes($.isPayoutOffered)} CROSS JOIN at
      WHERE ${payableFrom(database, 'at.now', $)} <= at.now
    )`;

/**
 * SQL: the accounts of the users, as the table `a`. A join, because a condition with `ANY` would be compared with the
 * whole list once for each account.
 */
export function wantedAccounts({ accounts }: Tables, $: Pick<Parameters, 'users'>): string {
  return `unnest(${$.users}::varchar[]) AS wanted (user_id) JOIN ${accounts} a ON a.user_id = wanted.user_id`;
}

/**
 * SQL: the natural key of a commission `c`. It has no ids, so that it is the same after a restore.
 *
 * A referrer has one commission for each purchase of a referee, but one for each sign-up of the same: they differ in how
 * many there were before.
 */
const commissionKey = ({ commissions }: Tables): string => `CASE c.kind
          WHEN 'purchase' THEN json_build_array(c.kind, c.referee_id, c.purchase)
          ELSE json_build_array(c.kind, c.referee_id, c.purchase, (
            SELECT count(*) FROM ${commissions} s WHERE s.user_id = c.user_id AND s.referee_id = c.referee_id
              AND s.kind = c.kind AND s.purchase = c.purchase AND s.id < c.id
          )) END`;

const openEntries = (tables: Tables, $: Parameters): string => `
    -- Entries of commissions that no earn-out has included. is_debt: the commission of the entry is paid already. The key
    -- of a refund's entry is the one that it had before there were other kinds: only purchases have refunds, and a reference
    -- of a buyer is that of one refund. What was taken back from credit is settled.
    open_entries AS (
      SELECT e.user_id, e.commission_id, e.id, e.amount + e.taken_back AS amount, c.mode,
        c.earn_out_id IS NOT NULL AS is_debt,
        CASE e.kind WHEN 'refund' THEN json_build_array(e.kind, c.referee_id, e.refund)
          ELSE json_build_array(e.kind, ${commissionKey(tables)}, e.refund) END::text AS natural_key
      FROM ${tables.commissionEntries} e
      JOIN ${tables.commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id CROSS JOIN at
      WHERE e.user_id = ANY(${$.users}::varchar[]) AND e.earn_out_id IS NULL AND c.available_at <= at.now AND (
        c.earn_out_id IS NULL
        -- A value instead of EXISTS, which PostgreSQL may turn into a scan of all completed earn-outs.
        OR (SELECT o.status FROM ${tables.earnOuts} o WHERE o.user_id = c.user_id AND o.id = c.earn_out_id) = 'completed'
      )
    ),
    -- Entries of payments that no earn-out has included. They are of the mode payout.
    open_payments AS (
      SELECT x.user_id, x.id, x.amount, json_build_array('payment', o.idempotency_key, x.amount)::text AS natural_key
      FROM ${tables.earnOutEntries} x
      JOIN ${tables.earnOuts} o ON o.user_id = x.user_id AND o.id = x.payment_id
      WHERE x.user_id = ANY(${$.users}::varchar[]) AND x.earn_out_id IS NULL
    ),
    -- Adjustments that no earn-out has included.
    open_adjustments AS (
      SELECT x.user_id, x.id, x.mode, x.amount, json_build_array('adjustment', x.reference)::text AS natural_key
      FROM ${tables.adjustments} x
      WHERE x.user_id = ANY(${$.users}::varchar[]) AND x.earn_out_id IS NULL
    )`;

const parts = (tables: Tables, $: Parameters): string => `
    -- All open amounts: the commissions before refunds, and the entries.
    parts AS (
      SELECT c.user_id, c.mode, c.earned AS amount, 1 AS is_commission, false AS is_debt,
        ${commissionKey(tables)}::text AS natural_key
      FROM ${tables.commissions} c CROSS JOIN at
      WHERE c.user_id = ANY(${$.users}::varchar[]) AND c.earn_out_id IS NULL AND c.available_at <= at.now
      UNION ALL SELECT user_id, mode, amount, 0, is_debt, natural_key FROM open_entries
      UNION ALL SELECT user_id, 'payout', amount, 0, amount < 0, natural_key FROM open_payments
      UNION ALL SELECT user_id, mode, amount, 0, amount < 0, natural_key FROM open_adjustments
    )`;

const sums = (): string => `
    -- The sums of the parts by user and mode. The debt is a sum of its own.
    nets AS (
      SELECT user_id, mode, coalesce(sum(amount) FILTER (WHERE NOT is_debt), 0) AS ready,
        sum(is_commission) AS commissions,
        coalesce(sum(amount) FILTER (WHERE is_debt), 0) AS debt
      FROM parts GROUP BY user_id, mode
    ),
    -- The amount of each earn-out: the parts of its mode, and the debt of the other mode, unless what is ready there is
    -- more than the debt. total: the sum of the user's earn-outs, which is what the minimum is about.
    sums AS (
      SELECT netted.*, sum(amount) FILTER (WHERE amount > 0) OVER (PARTITION BY user_id) AS total
      FROM (
        SELECT due.user_id, due.mode, due.payout_email, due.minimum, n.commissions,
          n.ready + n.debt + coalesce(other.debt, 0) AS amount, coalesce(other.debt, 0) < 0 AS takes_debt
        FROM due JOIN nets n USING (user_id, mode)
        LEFT JOIN nets other ON other.user_id = due.user_id AND other.mode <> due.mode AND other.ready + other.debt <= 0
      ) AS netted
    )`;
