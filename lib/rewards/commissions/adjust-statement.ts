import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralAdjustment } from '../../entities/referral-adjustment';
import type { EarningMode } from '../../types/earn-outs';

export interface AdjustParameters {
  user: string;
  reference: string;
  amount: string;
  /** Null for the mode of the account. */
  mode: EarningMode | null;
  reason: string;
  /** The time of the injected clock; null for that of the statement. */
  now: Date | null;
}

/** The result: the columns of the adjustment, or nulls if a concurrent call with the same reference has overtaken it. */
export interface AdjustRow {
  id: string | null;
  isNew: boolean;
  /** Whether the adjustment has the amount and the mode of this call; null without one. */
  isSame: boolean | null;
}

/**
 * Adds an adjustment of a user's earnings, once for each reference. It is available at once.
 *
 * Locks, as a purchase does: the account, which is inserted if there is none, then the row of its totals.
 */
export function adjustStatement(database: Database): Statement<AdjustParameters> {
  const { accounts, adjustments, totals } = database.tables;
  return statement<AdjustParameters>(
    { user: true, reference: true, amount: true, mode: true, reason: true, now: true },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- An earlier adjustment with this reference. If there is one, nothing is written.
    known AS (
      SELECT * FROM ${adjustments} WHERE user_id = ${$.user} AND reference = ${$.reference}
    ),
    -- Locks the account. The update changes nothing: it returns the mode of the row as it is now.
    account AS (
      INSERT INTO ${accounts} AS a (user_id, created_at, updated_at)
      SELECT ${$.user}, at.now, at.now FROM at WHERE NOT EXISTS (SELECT FROM known)
      ON CONFLICT (user_id) DO UPDATE SET mode = a.mode
      RETURNING a.mode
    ),
    -- Inserts the adjustment. Of concurrent calls with the same reference, the unique index lets only one insert.
    made AS (
      INSERT INTO ${adjustments} (user_id, reference, mode, amount, reason, created_at)
      SELECT ${$.user}, ${$.reference}, coalesce(${$.mode}::varchar, account.mode), ${$.amount}::numeric, ${$.reason}, at.now
      FROM account CROSS JOIN at
      ON CONFLICT DO NOTHING
      RETURNING *
    ),
    -- Adds it to the totals, also to what is available. The next run looks at a user who gets something.
    added AS (
      INSERT INTO ${totals} AS t (user_id, channel_id, mode, amount, matured_amount, matured_until, due_at)
      SELECT made.user_id, 0, made.mode, made.amount, made.amount, at.now, at.now FROM made CROSS JOIN at
      ON CONFLICT (user_id, channel_id, mode) DO UPDATE SET amount = t.amount + excluded.amount,
        matured_amount = t.matured_amount + excluded.matured_amount,
        due_at = CASE WHEN excluded.amount > 0 THEN excluded.due_at ELSE t.due_at END,
        due_terms = CASE WHEN excluded.amount > 0 THEN 0 ELSE t.due_terms END
    )
    SELECT EXISTS (SELECT FROM made) AS "isNew", ${database.columns(ReferralAdjustment, 'x')},
      x.amount = ${$.amount}::numeric AND x.mode = coalesce(${$.mode}::varchar, x.mode) AS "isSame"
    FROM (SELECT) AS always LEFT JOIN (SELECT * FROM made UNION ALL SELECT * FROM known) AS x ON true`,
  );
}
