import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import type { PayoutApproval } from '../../types/earn-outs';
import { openAmounts, type OpenAmountParameters } from './open-amounts';
import { keyOf } from './payout-key';
import { termNames } from './terms';

type Tables = Database['tables'];
type Parameters = Placeholders<BindParameters>;

export interface BindParameters extends OpenAmountParameters {
  /** Which payouts wait for `earnOuts.approve`. */
  approve: PayoutApproval;
}

/** The result, one row. */
export interface BindRow {
  /** How many earn-outs are created. */
  made: string;
  /** Whether all commissions that the amounts contain are bound. */
  isWhole: boolean;
  /** The ids of the earn-outs that wait for an approval. */
  awaiting: string[];
}

/**
 * Creates the earn-outs of accounts. To each it binds the open amounts of its mode, and the debt of the other mode if
 * it subtracts that (`open-amounts.ts`). An account gets its earn-outs if their sum is at least its minimum.
 *
 * Locks, all held until the transaction ends:
 *
 * 1. `referral_accounts`: the caller has locked these rows, ordered by user, in an earlier statement. So concurrent
 *    runs do not bind the same account, and the snapshot of this statement contains what the previous holder of the
 *    lock has bound.
 * 2. `referral_earn_outs`: new rows only. The unique index allows one in progress for each user and mode.
 * 3. `referral_commissions`, `referral_commission_entries`, `referral_earn_out_entries` and `referral_adjustments`: the rows
 *    that are bound. A concurrent refund can hold these locks, so the caller sets a `lock_timeout`. A concurrent hold can as well: what it has
 *    held meanwhile is not bound, although the amount contains it. Then `isWhole` is false, and the caller rolls back.
 */
export function bindStatement(database: Database): Statement<BindParameters> {
  const { tables } = database;
  return statement<BindParameters>(
    { ...termNames, users: true, approve: true },
    ($) => `
    WITH
    ${[openAmounts(database, $), made(tables, $), bound(tables), addedToAccounts(tables)].join(',')}
    SELECT (SELECT count(*) FROM made) AS made,
      (SELECT coalesce(sum(commissions), 0) FROM made) = (SELECT count(*) FROM bound) AS "isWhole",
      (SELECT coalesce(array_agg(id::text ORDER BY id), '{}') FROM made WHERE awaits_approval) AS awaiting`,
  );
}

const made = (tables: Tables, $: Parameters): string => `
    -- The earn-outs that are paid, with the key of the newest attempt that was ever refused. A later attempt has a higher
    -- id, so that no two attempts for the same parts have the same key.
    chosen AS (
      SELECT s.*, (
        SELECT o.idempotency_key FROM ${tables.earnOuts} o
        WHERE o.user_id = s.user_id AND o.mode = s.mode AND o.refused_at IS NOT NULL ORDER BY o.id DESC LIMIT 1
      ) AS refused_key
      FROM sums s WHERE s.amount > 0 AND s.total >= s.minimum
    ),
    -- The same, with the natural keys of the parts of each earn-out as one text.
    described AS (
      SELECT c.user_id, c.mode, c.payout_email, c.amount, c.commissions, c.refused_key,
        string_agg(p.natural_key, E'\\n' ORDER BY p.natural_key COLLATE "C") AS contents
      FROM chosen c JOIN parts p ON p.user_id = c.user_id AND (p.mode = c.mode OR (p.is_debt AND c.takes_debt))
      GROUP BY 1, 2, 3, 4, 5, 6
    ),
    -- Inserts the earn-outs. It guards the writes below: each joins its rows.
    made AS (
      INSERT INTO ${tables.earnOuts} (user_id, mode, payout_email, amount, commissions, status, idempotency_key,
        next_attempt_at, awaits_approval, created_at, updated_at)
      SELECT user_id, mode, payout_email, amount, commissions, 'processing',
        ${keyOf('json_build_array(user_id, mode, refused_key)::text', 'contents')},
        CASE WHEN mode = 'payout' AND NOT awaited.is_awaited THEN at.now END, awaited.is_awaited, at.now, at.now
      FROM described d CROSS JOIN at CROSS JOIN LATERAL (SELECT ${isAwaited(tables, $)} AS is_awaited) AS awaited
      ORDER BY user_id, mode
      RETURNING *
    )`;

/** SQL: whether an earn-out of the table `d` waits for an approval. */
const isAwaited = ({ earnOuts }: Tables, $: Parameters): string => `d.mode = 'payout' AND CASE ${$.approve}::text
        WHEN 'all' THEN true
        WHEN 'new-accounts' THEN NOT EXISTS (
          SELECT FROM ${earnOuts} o WHERE o.user_id = d.user_id AND o.mode = d.mode AND o.completions > 0
            AND o.status = 'completed'
        )
        ELSE false END`;

const bound = (tables: Tables): string => `
    -- Binds the commissions. The amount is earned, which never changes: a concurrent refund adds an entry, which stays
    -- open for the next earn-out.
    bound AS (
      UPDATE ${tables.commissions} c SET earn_out_id = made.id
      FROM made CROSS JOIN at
      WHERE c.user_id = made.user_id AND c.mode = made.mode AND c.earn_out_id IS NULL AND c.available_at <= at.now
      RETURNING c.user_id, c.mode, c.earned AS amount
    ),
    -- Binds the entries of refunds: those of the mode, and the debts of the other mode that the earn-out subtracts.
    bound_entries AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = made.id
      FROM open_entries x JOIN made ON made.user_id = x.user_id
      JOIN chosen ON chosen.user_id = made.user_id AND chosen.mode = made.mode
      WHERE e.user_id = x.user_id AND e.commission_id = x.commission_id AND e.id = x.id
        AND (x.mode = made.mode OR (x.is_debt AND chosen.takes_debt))
      RETURNING e.user_id, x.mode, x.amount
    ),
    -- Binds the entries of payments in the same way.
    bound_payments AS (
      UPDATE ${tables.earnOutEntries} e SET earn_out_id = made.id
      FROM open_payments x JOIN made ON made.user_id = x.user_id
      JOIN chosen ON chosen.user_id = made.user_id AND chosen.mode = made.mode
      WHERE e.user_id = x.user_id AND e.id = x.id
        AND (made.mode = 'payout' OR (x.amount < 0 AND chosen.takes_debt))
      RETURNING e.user_id, 'payout' AS mode, e.amount
    ),
    -- Binds the adjustments in the same way.
    bound_adjustments AS (
      UPDATE ${tables.adjustments} e SET earn_out_id = made.id
      FROM open_adjustments x JOIN made ON made.user_id = x.user_id
      JOIN chosen ON chosen.user_id = made.user_id AND chosen.mode = made.mode
      WHERE e.user_id = x.user_id AND e.id = x.id
        AND (x.mode = made.mode OR (x.amount < 0 AND chosen.takes_debt))
      RETURNING e.user_id, x.mode, e.amount
    )`;

const addedToAccounts = (tables: Tables): string => `
    -- Adds the parts to what the accounts were paid, by the mode in which they were earned, and counts the earn-outs.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid + by_user.credits, payouts_paid = a.payouts_paid + by_user.payouts,
        earn_outs = a.earn_outs + by_user.earn_outs
      FROM (
        ${sumsByMode(
          `SELECT user_id, mode, amount, 0 AS earn_out FROM bound UNION ALL SELECT user_id, mode, amount, 0 FROM bound_entries
          UNION ALL SELECT user_id, mode, amount, 0 FROM bound_payments
          UNION ALL SELECT user_id, mode, amount, 0 FROM bound_adjustments UNION ALL SELECT user_id, mode, 0, 1 FROM made`,
          'sum(earn_out) AS earn_outs',
        )}
      ) AS by_user
      WHERE a.user_id = by_user.user_id
    )`;

/** SQL: the sums of parts of earn-outs for each user, by the mode in which they were earned, and another sum. */
export function sumsByMode(parts: string, more = 'count(*) AS parts'): string {
  return `SELECT user_id, coalesce(sum(amount) FILTER (WHERE mode = 'credits'), 0) AS credits,
    coalesce(sum(amount) FILTER (WHERE mode = 'payout'), 0) AS payouts, ${more}
    FROM (${parts}) AS parts GROUP BY user_id`;
}
