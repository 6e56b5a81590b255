import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralEarnOut } from '../../entities/referral-earn-out';
import type { EarnOutStatus } from '../../types/earn-outs';
import { sumsByMode } from './bind-statement';
import { wake } from './due-accounts';
import { isClaimedBy, isUnpaid, unclaimed } from './statuses';
import { refusalWait } from './waits';

export interface RefuseParameters {
  user: string;
  id: number;
  now: Date | null;
  /** `failed` or `returned`. */
  status: EarnOutStatus;
  /** The status that the earn-out must have. */
  before: EarnOutStatus;
  /** The claim that must hold it; null if that makes no difference. */
  claim: string | null;
  reason: string;
  /** The provider's reference, if it is known now. */
  reference: string | null;
  /** Whether staff have refused it. The account then waits for `earnOuts.retry`, and not for a time. */
  isByStaff: boolean;
}

/**
 * Ends an earn-out that was not paid, or whose money came back: unbinds its commissions and entries, and stores how long
 * the account waits before the next one. The caller has locked the account.
 */
export function refuseStatement(database: Database): Statement<RefuseParameters> {
  const { tables } = database;
  const { earnOuts } = tables;
  return statement<RefuseParameters>(
    {
      ...{ user: true, id: true, now: true, status: true, before: true, claim: true, reason: true, reference: true },
      isByStaff: true,
    },
    ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The refusals in a row before this one: those of the newest refused earn-out of the mode, unless another one was
    -- completed since then.
    before AS (
      SELECT o.refusals FROM ${earnOuts} o JOIN ${earnOuts} this ON this.user_id = o.user_id AND this.mode = o.mode
      WHERE this.user_id = ${$.user} AND this.id = ${$.id} AND o.id <> this.id AND ${isUnpaid('o')}
        AND o.refused_at IS NOT NULL AND NOT EXISTS (
          SELECT FROM ${earnOuts} newer WHERE newer.user_id = o.user_id AND newer.mode = o.mode AND newer.id <> this.id
            AND newer.status = 'completed' AND newer.settled_at > o.refused_at
        )
      ORDER BY o.refused_at DESC, o.id DESC LIMIT 1
    ),
    -- Sets the status. It guards the writes below: no row if the earn-out has another status or claim.
    refused AS (
      UPDATE ${earnOuts} e SET status = ${$.status}, error_reason = ${$.reason}, settled_at = at.now,
        refused_at = at.now, refusals = n.number, updated_at = at.now, reference = coalesce(${$.reference}, e.reference),
        next_attempt_at = CASE WHEN NOT ${$.isByStaff}::boolean THEN at.now + ${refusalWait('n.number', 'e.mode')} END,
        ${unclaimed}
      FROM at CROSS JOIN (SELECT coalesce((SELECT refusals FROM before), 0) + 1 AS number) AS n
      WHERE e.user_id = ${$.user} AND e.id = ${$.id} AND e.status = ${$.before}
        AND ${isClaimedBy($.claim)}
      RETURNING e.*
    ),
    -- Unbinds the commissions, for the next earn-out.
    freed AS (
      UPDATE ${tables.commissions} SET earn_out_id = NULL
      WHERE user_id = ${$.user} AND earn_out_id = (SELECT id FROM refused)
      RETURNING user_id, mode, earned AS amount
    ),
    -- Unbinds the entries of refunds.
    freed_entries AS (
      UPDATE ${tables.commissionEntries} e SET earn_out_id = NULL FROM ${tables.commissions} c
      WHERE e.user_id = ${$.user} AND e.earn_out_id = (SELECT id FROM refused)
        AND c.user_id = e.user_id AND c.id = e.commission_id
      RETURNING e.user_id, c.mode, e.amount + e.taken_back AS amount
    ),
    -- Unbinds the entries of payments.
    freed_payments AS (
      UPDATE ${tables.earnOutEntries} SET earn_out_id = NULL
      WHERE user_id = ${$.user} AND earn_out_id = (SELECT id FROM refused)
      RETURNING user_id, 'payout' AS mode, amount
    ),
    -- Unbinds the adjustments.
    freed_adjustments AS (
      UPDATE ${tables.adjustments} SET earn_out_id = NULL
      WHERE user_id = ${$.user} AND earn_out_id = (SELECT id FROM refused)
      RETURNING user_id, mode, amount
    ),
    -- Subtracts all of them from what the account was paid.
    paid AS (
      UPDATE ${tables.accounts} a
      SET credits_paid = a.credits_paid - by_user.credits, payouts_paid = a.payouts_paid - by_user.payouts
      FROM (
        ${sumsByMode(`SELECT * FROM freed UNION ALL SELECT * FROM freed_entries UNION ALL SELECT * FROM freed_payments
          UNION ALL SELECT * FROM freed_adjustments`)}
      ) AS by_user
      WHERE a.user_id = by_user.user_id
    ),
    -- The next run finds out from when on the amount can be paid.
    woken AS (
      ${wake(tables, 'refused')}
    )
    SELECT ${database.columns(ReferralEarnOut)} FROM refused`,
  );
}
