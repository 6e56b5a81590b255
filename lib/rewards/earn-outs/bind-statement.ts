import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { type EarnOutTerms, isPayable, isDue, modes } from './due-accounts';

export interface BindParameters extends EarnOutTerms {
  /** The users whose accounts the caller has locked. */
  users: readonly string[];
}

type Tables = Database['tables'];
type Parameters = Placeholders<BindParameters>;

/**
 * Creates the earn-outs of accounts. To each it binds the commissions of its mode that are available and not paid yet,
 * with the entries of refunds on them.
 *
 * The refund of a commission that is paid already leaves a debt. The earn-out of the same mode subtracts the debt, if
 * the rest is at least the minimum. Otherwise the earn-out of the other mode subtracts it, so that no user is paid in
 * one mode while owing in the other. A commission whose earn-out is still in progress has no debt yet.
 *
 * Locks, all held until the transaction ends:
 *
 * 1. `referral_accounts`: the caller has locked these rows, ordered by user, in an earlier statement. So concurrent
 *    runs do not bind the same account, and the snapshot of this statement contains what the previous holder of the
 *    lock has bound.
 * 2. `referral_earn_outs`: new rows only. The unique index allows one in progress for each user and mode.
 * 3. `referral_commissions` and `referral_commission_entries`: the rows that are bound. A concurrent refund can hold
 *    these locks, so the caller sets a `lock_timeout`.
 */
export function bindStatement(database: Database): Statement<BindParameters> {
  const { tables } = database;
  return statement<BindParameters>(
    { now: true, period: true, isPayoutOffered: true, minimum: true, users: true },
    ($) => `
    WITH
    ${[
      dueModes(database, $),
      openAmounts(tables, $),
      earnOutAmounts($),
      madeAndBound(tables, $),
      addedToAccounts(tables),
    ].join(',')}
    SELECT count(*) AS made FROM made`,
  );
}

const dueModes = (database: Database, $: Parameters): string => `
    -- The time of the statement.
    at AS (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The accounts and modes that are due. Tested again, because the accounts were selected before they were locked.
    due AS (
      SELECT a.user_id, m.mode, CASE m.mode WHEN 'payout' THEN a.payout_email END AS payout_email
      FROM ${database.tables.accounts} a CROSS JOIN ${modes($.isPayoutOffered)} CROSS JOIN at
      WHERE a.user_id = ANY(${$.users}::varchar[]) AND ${isPayable} AND ${isDue(database, 'at.now', $.period)}
    )`;

const openAmounts = (tables: Tables, $: Parameters): string => `
    -- Entries of refunds that no earn-out has included. is_debt: the commission of the entry is paid already.
    open_entries AS (
      SELECT e.user_id, e.commission_id, e.id, e.amount, c.mode, c.earn_out_id IS NOT NULL AS is_debt
      FROM ${tables.commissionEntries} e
      JOIN ${tables.commissions} c ON c.user_id = e.user_id AND c.id = e.commission_id CROSS JOIN at
      WHERE e.user_id = ANY(${$.users}::varchar[]) AND e.earn_out_id IS NULL AND c.available_at <= at.now AND (
        c.earn_out_id IS NULL
        OR EXISTS (
          SELECT FROM ${tables.earnOuts} o
          WHERE o.user_id = c.user_id AND o.id = c.earn_out_id AND o.status = 'completed'
        )
      )
    ),
    -- All parts of earn-outs: the available commissions that are not paid, before refunds, and the entries of refunds.
    parts AS (
      SELECT c.user_id, c.mode, c.earned AS amount, 1 AS is_commission, false AS is_debt
      FROM ${tables.commissions} c CROSS JOIN at
      WHERE c.user_id = ANY(${$.users}::varchar[]) AND c.earn_out_id IS NULL AND c.available_at <= at.now
      UNION ALL SELECT user_id, mode, amount, 0, is_debt FROM open_entries
    )`;

const earnOutAmounts = ($: Parameters): string => `
    -- The sums of the parts by user and mode. The debt is a sum of its own.
    nets AS (
      SELECT user_id, mode, coalesce(sum(amount) FILTER (WHERE NOT is_debt), 0) AS ready,
        sum(is_commission) AS commissions,
        coalesce(sum(amount) FILTER (WHERE is_debt), 0) AS debt
      FROM parts GROUP BY user_id, mode
    ),
    -- The amount of each earn-out: own, and the debt of the other mode (others), unless an earn-out of that mode
    -- subtracts it.
    sums AS (
      SELECT due.user_id, due.mode, due.payout_email, n.commissions, n.ready + n.debt AS own,
        coalesce(other.debt, 0) AS others
      FROM due JOIN nets n USING (user_id, mode)
      LEFT JOIN nets other ON other.user_id = due.user_id AND other.mode <> due.mode
        AND NOT (other.ready + other.debt >= ${$.minimum}::numeric AND EXISTS (
          SELECT FROM due d WHERE d.user_id = due.user_id AND d.mode = other.mode
        ))
    )`;

const madeAndBound = (tables: Tables, $: Parameters): string => `
    -- Inserts the earn-outs whose amount reaches the minimum. It guards the writes below: each joins its rows.
    made AS (
      INSERT INTO ${tables.earnOuts} (user_id, mode, payout_email, amount, commissions, status, idempotency_key,
        created_at, updated_at)
      SELECT user_id, mode, payout_email, own + others, commissions, 'processing', gen_random_uuid()::text,
        at.now, at.now
      FROM sums CROSS JOIN at WHERE own + others >= ${$.minimum}::numeric ORDER BY user_id, mode
      RETURNING *
    ),
    -- Binds the commissions. The amount is earned, which never changes: a concurrent refund adds an entry, which stays
    -- open for the next earn-out.
    bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = made.id
      FROM made CROSS JOIN at
      WHERE c.user_id = made.user_id AND c.mode = made.mode AND c.earn_out_id IS NULL AND c.available_at <= at.now
      RETURNING c.user_id, c.mode, c.earned AS amount
    ),
    -- Binds the entries: those of the mode, and the debts of the other mode if sums has included them.
    netted AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = made.id
      FROM open_entries JOIN made ON made.user_id = open_entries.user_id
      JOIN sums s ON s.user_id = made.user_id AND s.mode = made.mode
      WHERE e.user_id = open_entries.user_id AND e.commission_id = open_entries.commission_id AND e.id = open_entries.id
        AND (open_entries.mode = made.mode OR (open_entries.is_debt AND s.others < 0))
      RETURNING e.user_id, open_entries.mode, e.amount
    )`;

const addedToAccounts = (tables: Tables): string => `
    -- Adds the parts to what the accounts were paid, by the mode in which they were earned.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts
      FROM (${sumsByMode('SELECT * FROM bound UNION ALL SELECT * FROM netted')}) AS by_user
      WHERE a.user_id = by_user.user_id
    )`;

/** SQL: the sums of parts of earn-outs for each user, by the mode in which they were earned. */
export function sumsByMode(parts: string): string {
  return `SELECT user_id, coalesce(sum(amount) FILTER (WHERE mode = 'credits'), 0) AS credits,
    coalesce(sum(amount) FILTER (WHERE mode = 'payout'), 0) AS payouts FROM (${parts}) AS parts GROUP BY user_id`;
}
