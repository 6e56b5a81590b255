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
 * Makes the earn-outs of accounts, and binds to each the commissions of its mode that are available and not paid yet,
 * with the entries of refunds on them.
 *
 * A refund of a commission that is paid already leaves a debt. The debt is netted in its own mode, if what remains
 * there is enough for an earn-out; else in the other mode: nobody is paid in one mode who owes in the other. The
 * commissions of an earn-out that is under way owe nothing yet.
 *
 * Locks, all held until the transaction ends:
 *
 * 1. `referral_accounts`: the caller has locked these rows, ordered by user, in a statement before. So runs at the same
 *    time do not share an account, and the snapshot of this statement sees what the previous holder of the lock has
 *    bound.
 * 2. `referral_earn_outs`: new rows only. The unique key allows one under way for each user and mode.
 * 3. `referral_commissions` and `referral_commission_entries`: the rows that are bound. A refund can hold their locks;
 *    the caller sets a `lock_timeout`.
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
    -- The time, one for all rows.
    at AS (
      SELECT ${timeOf($.now)} AS now
    ),
    -- What is due: accounts by mode. It is tested once more, because the accounts were found before they were locked.
    due AS (
      SELECT a.user_id, m.mode, CASE m.mode WHEN 'payout' THEN a.payout_email END AS payout_email
      FROM ${database.tables.accounts} a CROSS JOIN ${modes($.isPayoutOffered)} CROSS JOIN at
      WHERE a.user_id = ANY(${$.users}::varchar[]) AND ${isPayable} AND ${isDue(database, 'at.now', $.period)}
    )`;

const openAmounts = (tables: Tables, $: Parameters): string => `
    -- Entries of refunds that no earn-out has netted. Debts are those of commissions that are paid.
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
    -- All that earn-outs can contain: available commissions that are not paid, as they were earned, and the entries.
    parts AS (
      SELECT c.user_id, c.mode, c.earned AS amount, 1 AS is_commission, false AS is_debt
      FROM ${tables.commissions} c CROSS JOIN at
      WHERE c.user_id = ANY(${$.users}::varchar[]) AND c.earn_out_id IS NULL AND c.available_at <= at.now
      UNION ALL SELECT user_id, mode, amount, 0, is_debt FROM open_entries
    )`;

const earnOutAmounts = ($: Parameters): string => `
    -- The parts added up by user and mode. The debt is kept apart.
    nets AS (
      SELECT user_id, mode, coalesce(sum(amount) FILTER (WHERE NOT is_debt), 0) AS ready,
        sum(is_commission) AS commissions,
        coalesce(sum(amount) FILTER (WHERE is_debt), 0) AS debt
      FROM parts GROUP BY user_id, mode
    ),
    -- The amount of each earn-out: own, and the debt of the other mode (others), unless that has an earn-out to net it.
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
    -- The earn-outs whose amount reaches the minimum, and the guard of the writes below: each joins its rows.
    made AS (
      INSERT INTO ${tables.earnOuts} (user_id, mode, payout_email, amount, commissions, status, idempotency_key,
        created_at, updated_at)
      SELECT user_id, mode, payout_email, own + others, commissions, 'processing', gen_random_uuid()::text,
        at.now, at.now
      FROM sums CROSS JOIN at WHERE own + others >= ${$.minimum}::numeric ORDER BY user_id, mode
      RETURNING *
    ),
    -- The commissions in each. What was earned never changes: the entry of a refund that commits meanwhile stays open.
    bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = made.id
      FROM made CROSS JOIN at
      WHERE c.user_id = made.user_id AND c.mode = made.mode AND c.earn_out_id IS NULL AND c.available_at <= at.now
      RETURNING c.user_id, c.mode, c.earned AS amount
    ),
    -- The entries in each: those of its mode, and the debts of the other mode, if sums has included them.
    netted AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = made.id
      FROM open_entries JOIN made ON made.user_id = open_entries.user_id
      JOIN sums s ON s.user_id = made.user_id AND s.mode = made.mode
      WHERE e.user_id = open_entries.user_id AND e.commission_id = open_entries.commission_id AND e.id = open_entries.id
        AND (open_entries.mode = made.mode OR (open_entries.is_debt AND s.others < 0))
      RETURNING e.user_id, open_entries.mode, e.amount
    )`;

const addedToAccounts = (tables: Tables): string => `
    -- Adds the parts to what the accounts were paid, by the mode that they were earned in.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts
      FROM (${sumsByMode('SELECT * FROM bound UNION ALL SELECT * FROM netted')}) AS by_user
      WHERE a.user_id = by_user.user_id
    )`;

/** Adds up parts of earn-outs for each user, by the mode that they were earned in. */
export function sumsByMode(parts: string): string {
  return `SELECT user_id, coalesce(sum(amount) FILTER (WHERE mode = 'credits'), 0) AS credits,
    coalesce(sum(amount) FILTER (WHERE mode = 'payout'), 0) AS payouts FROM (${parts}) AS parts GROUP BY user_id`;
}
