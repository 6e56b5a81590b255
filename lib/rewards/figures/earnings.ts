import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import { openTime } from '../../entities/columns';
import type { CommissionsAsked, OwnAdjustment, OwnCommission, OwnPayout } from '../../types/figures';
import { belowOf, idOf, pageOf, type Reader } from './rows';

type CommissionRow = Omit<OwnCommission, 'id' | 'availableAt'> & { id: string; availableAt: Date | number };
type AdjustmentRow = Omit<OwnAdjustment, 'id'> & { id: string };
type PayoutRow = Omit<OwnPayout, 'id'> & { id: string };

/** SQL: whether a commission `c` is among those that are asked for. */
const isAsked: Record<CommissionsAsked, (now: string) => string> = {
  'pending': (now) => `c.reverted_at IS NULL AND c.available_at > ${now} AND c.available_at < 'infinity'`,
  'held': () => `c.available_at = 'infinity' AND c.reverted_at IS NULL`,
  'available': (now) => `c.reverted_at IS NULL AND c.available_at <= ${now} AND c.earn_out_id IS NULL`,
  'paid': () => `c.reverted_at IS NULL AND c.earn_out_id IS NOT NULL`,
  'taken-back': () => 'c.reverted_at IS NOT NULL',
};

/** The statuses of commissions that can be asked for. */
export const commissionsAsked = Object.keys(isAsked) as CommissionsAsked[];

/** A user's commissions, newest first; of one kind, or all. */
export function commissionReader(
  database: Database,
  clock: Clock,
  asked: CommissionsAsked | null = null,
): Reader<OwnCommission> {
  const { commissions, referrals, earnOuts } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<CommissionRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1, now: clock.parameter() },
        ($) => `
        SELECT c.id, c.kind, c.referee_id AS "friendId", r.code, c.mode, c.earned, c.amount,
          CASE WHEN c.rejected_at IS NOT NULL THEN 'rejected' WHEN c.reverted_at IS NOT NULL THEN 'reverted'
            WHEN o.status = 'completed' THEN 'paid' WHEN o.id IS NOT NULL THEN 'paying'
            WHEN c.held_from IS NOT NULL THEN 'held' WHEN c.available_at <= ${timeOf($.now)} THEN 'available'
            ELSE 'pending' END AS status,
          ${timeInResult('c.available_at')} AS "availableAt",
          CASE WHEN c.held_for = '{}' THEN NULL WHEN 'staff' = ANY (c.held_for) THEN 'staff' ELSE 'review' END AS "heldBy",
          ${timeInResult(`CASE WHEN o.status = 'completed' THEN o.settled_at END`)} AS "paidAt",
          ${timeInResult('c.created_at')} AS "createdAt"
        FROM (
          SELECT * FROM ${commissions} c WHERE c.user_id = ${$.user} AND c.id < ${$.below}::bigint
            ${asked === null ? '' : `AND ${isAsked[asked](timeOf($.now))}`}
          ORDER BY c.id DESC LIMIT ${$.limit}::integer
        ) AS c
        JOIN ${referrals} r ON r.id = c.referral_id
        LEFT JOIN ${earnOuts} o ON o.user_id = c.user_id AND o.id = c.earn_out_id
        ORDER BY c.id DESC`,
      ),
    );
    return pageOf(read, wanted, idOf, ({ id, earned, amount, availableAt, ...row }) => ({
      ...{ id: Number(id), ...row, earned: database.shown(earned), amount: database.shown(amount) },
      availableAt: openTime.from(availableAt) as Date | null,
    }));
  };
}

/** What staff have added to a user's earnings, or taken from them, newest first. */
export function adjustmentReader(database: Database): Reader<OwnAdjustment> {
  const { adjustments } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<AdjustmentRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1 },
        ($) => `
        SELECT id, mode, amount, reason, ${timeInResult('created_at')} AS "createdAt" FROM ${adjustments}
        WHERE user_id = ${$.user} AND id < ${$.below}::bigint ORDER BY id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    return pageOf(read, wanted, idOf, ({ id, amount, ...row }) => ({
      ...{ id: Number(id), ...row, amount: database.shown(amount) },
    }));
  };
}

/** A user's payments, newest first. */
export function payoutReader(database: Database): Reader<OwnPayout> {
  const { earnOuts } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<PayoutRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1 },
        ($) => `
        SELECT id, mode, payout_email AS address, amount, commissions, status, awaits_approval AS "isWaiting",
          error_reason AS reason, ${timeInResult('created_at')} AS "createdAt", ${timeInResult('settled_at')} AS "settledAt",
          ${timeInResult('next_attempt_at')} AS "nextAttemptAt"
        FROM ${earnOuts}
        WHERE user_id = ${$.user} AND id < ${$.below}::bigint ORDER BY id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    return pageOf(read, wanted, idOf, ({ id, amount, ...row }) => ({
      ...{ id: Number(id), ...row, amount: database.shown(amount) },
    }));
  };
}
