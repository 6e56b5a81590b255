import type { Database } from '../../database/database';
import type { Invariant } from './invariant';

/** Reviews and what they hold: both ways. */
export function reviewInvariants({
  reviews,
  signups,
  referees,
  accounts,
  commissions,
}: Database['tables']): Invariant[] {
  /** The rows of a table that a review which does not hold, or does not exist, holds. */
  const heldFor = (table: Invariant['table'], from: string, id: string): Invariant => ({
    ...{ name: 'what a review holds is of one that holds', table },
    sql: `SELECT ${id} AS id, NULL AS expected, cause AS found
      FROM ${from} t CROSS JOIN unnest(t.held_for) AS h (cause)
      WHERE cause LIKE 'review:%' AND NOT EXISTS (
        SELECT FROM ${reviews} r WHERE 'review:' || r.id = h.cause AND r.is_holding AND r.status <> 'allowed')`,
  });
  /** The rows of a table that a review should hold, and does not. */
  const unheld = (table: Invariant['table'], from: string, id: string, whose: string): Invariant => ({
    ...{ name: 'a review that holds has a hold on what it is about', table },
    sql: `SELECT ${id} AS id, 'review:' || r.id AS expected, t.held_for::text AS found
      FROM ${reviews} r JOIN ${from} t ON ${whose}
      WHERE r.is_holding AND NOT t.held_for @> ARRAY['review:' || r.id]`,
  });
  const pair = `t.user_id || '/' || t.referee_id`;
  return [
    heldFor('signups', signups, 't.id'),
    heldFor('referees', referees, pair),
    heldFor('accounts', accounts, 't.id'),
    heldFor('commissions', commissions, 't.id'),
    unheld('signups', signups, 't.id', 't.user_id = r.referee_id AND t.referrer_id IS NOT DISTINCT FROM r.user_id'),
    unheld('referees', referees, pair, 't.user_id = r.user_id AND t.referee_id = r.referee_id'),
    unheld('accounts', accounts, 't.id', 't.user_id = r.user_id AND r.referee_id IS NULL'),
    unheld(
      'commissions',
      commissions,
      't.id',
      `t.user_id = r.user_id AND t.referee_id = r.referee_id AND t.earn_out_id IS NULL AND t.rejected_at IS NULL
        AND t.moved_at IS NULL`,
    ),
  ];
}
