import type { Database } from '../../database/database';
import { periodEnd, periodStart } from './schedule';
import { isUnpaid } from './statuses';

/** SQL: the modes of earn-outs, as the table `m`. */
export function modes(isPayoutOffered: string): string {
  return `(VALUES ('credits', true), ('payout', ${isPayoutOffered}::boolean)) AS m (mode, is_offered)`;
}

/**
 * SQL: from when on a mode `m` can pay an account `a`; null if it can't.
 *
 * A payout needs the option `earnOuts.payout`, an e-mail address, and no review that holds the account. The first period of the account must have passed.
 * An account with an earn-out of the mode in progress, or one completed in the current period, waits for the next
 * period. After a refusal it waits until the time that is stored in the refused earn-out, or, without one, for the
 * host's staff.
 */
export function payableFrom({ tables }: Database, now: string, period: string): string {
  const isRefused = `o.refused_at IS NOT NULL AND ${isUnpaid('o')}`;
  // One scan of the account's earn-outs by the primary key. Conditions on the status in WHERE could lead PostgreSQL to
  // an index on it, which is slow while it does not know how many earn-outs are completed.
  return `CASE WHEN m.is_offered AND (m.mode = 'credits' OR (a.payout_email IS NOT NULL AND a.held_for = '{}')) THEN (
      SELECT CASE WHEN bool_or(${isRefused} AND o.next_attempt_at IS NULL) IS NOT TRUE THEN greatest(
        a.created_at + ${period}::float8 * interval '1 millisecond',
        CASE
          WHEN bool_or(
            o.status = 'processing' OR (o.status = 'completed' AND o.created_at >= ${periodStart('a', now, period)})
          ) THEN ${periodEnd('a', now, period)}
        END,
        max(o.next_attempt_at) FILTER (WHERE ${isRefused})
      ) END
      FROM ${tables.earnOuts} o WHERE o.user_id = a.user_id AND o.mode = m.mode
    ) END`;
}
