import type { Database } from '../../database/database';

/**
 * Returns the CTEs that change the totals of users after changes of several of their commissions. They need the CTE `at`.
 *
 * They lock the rows first, in the order of their key, and count with the values that the rows have then: a reader may
 * have moved `matured_until` in the meantime.
 *
 * @param source the CTE with the changes. Its columns: `user_id`, `channel_id` (0 for none) and `mode` of the row;
 * `commissions`, `revenue`, `amount` and `reverted`, to add to the totals; `matured` and `matured_amount`, to add if `matured_at` is not after
 * `matured_until`; `is_woken`, whether the next run looks at the user.
 * @param after a CTE of the statement whose locks precede these. Default: none.
 */
export function totalChanges({ totals }: Database['tables'], source: string, after?: string): string {
  return `
    -- Locks the rows of the totals.
    locked_totals AS (
      SELECT t.user_id, t.channel_id, t.mode, t.matured_until FROM ${totals} t
      JOIN (SELECT DISTINCT user_id, channel_id, mode FROM ${source}) AS k
        ON k.user_id = t.user_id AND k.channel_id = t.channel_id AND k.mode = t.mode
      ${after === undefined ? '' : `WHERE (SELECT count(*) FROM ${after}) >= 0`}
      ORDER BY t.user_id, t.channel_id, t.mode FOR NO KEY UPDATE OF t
    ),
    -- Adds the changes. A run that has looked at the user before leaves the row as it is: see rescheduleStatement.
    changed_totals AS (
      UPDATE ${totals} t SET commissions = t.commissions + by_row.commissions, revenue = t.revenue + by_row.revenue,
        amount = t.amount + by_row.amount, reverted = t.reverted + by_row.reverted,
        matured = t.matured + by_row.matured, matured_amount = t.matured_amount + by_row.matured_amount,
        due_at = CASE WHEN by_row.is_woken THEN at.now ELSE t.due_at END,
        due_terms = CASE WHEN by_row.is_woken THEN 0 ELSE t.due_terms END
      FROM (
        SELECT l.user_id, l.channel_id, l.mode, sum(s.commissions) AS commissions, sum(s.revenue) AS revenue,
          sum(s.amount) AS amount, sum(s.reverted) AS reverted,
          coalesce(sum(s.matured) FILTER (WHERE s.matured_at <= l.matured_until), 0) AS matured,
          coalesce(sum(s.matured_amount) FILTER (WHERE s.matured_at <= l.matured_until), 0) AS matured_amount,
          bool_or(s.is_woken) AS is_woken
        FROM locked_totals l
        JOIN ${source} s ON s.user_id = l.user_id AND s.channel_id = l.channel_id AND s.mode = l.mode
        GROUP BY 1, 2, 3
      ) AS by_row CROSS JOIN at
      WHERE t.user_id = by_row.user_id AND t.channel_id = by_row.channel_id AND t.mode = by_row.mode
    )`;
}
