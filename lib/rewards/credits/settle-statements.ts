import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { kindsOfSpends } from './entries';
import { isOverdue } from './overdue-holds';

/** The parameters of every settlement. */
export interface SettleParameters {
  user: string;
  reference: string;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

export interface CaptureParameters extends SettleParameters {
  /** How much of the hold is captured: null for all of it, 0 to release it. */
  amount: string | null;
}

export interface SpendRefundParameters extends SettleParameters {
  /** How much to give back; null for all that is left. */
  amount: string | null;
  /** The reference of the refund; null for the amount. */
  refund: string | null;
  /** How long the credits last from now on, at least; null to leave their ends. */
  extendDays: number | null;
}

/** The result of a settlement: the columns of the spend or hold, or nulls if there is none. */
export interface SettleRow {
  userId: string | null;
  /** Whether this statement settled it. */
  isNew: boolean;
  /** Whether it is settled for the amount of this call, by this statement or an earlier one. */
  isSame: boolean | null;
  /** Whether another call settled it after this statement's snapshot. */
  isOvertaken: boolean | null;
  /** Whether nothing was written because it is a hold that has ended, and must be released first. */
  isOverdue: boolean | null;
}

/** The result of a refund. */
export interface SpendRefundRow extends SettleRow {
  /** How much of the refund went to credit that had run out; null if there is no refund with this reference. */
  expired: string | null;
  /** What is left to refund; null while it is held. */
  left: string | null;
  /** The credits that got more time, as JSON. */
  extended: string;
}

/** A credit that a refund has given more time. */
export interface ExtendedCredit {
  id: number;
  before: string;
  after: string;
}

/** The parts in which capture and refund differ. All but `entry` are SQL on the columns of `referral_credit_spends`. */
interface Settlement {
  /** More CTEs, before the row is settled. */
  before?: string;
  /** More CTEs, after all others. */
  after?: string;
  /** A further assignment for each credit `c` that gets a `share` back. */
  ofCredit?: string;
  /** More columns of the result. */
  columns?: string;
  /** The assignment that settles the row. */
  set: string;
  /** The column for the time of the settlement. */
  settledAt: 'captured_at' | 'refunded_at';
  /** Whether the row can be settled. */
  when: string;
  /** Whether the row is settled for the amount of this call. */
  isSame: string;
  /** The amount that goes back to the credits. */
  back: string;
  /** The condition on the types `t` of the credits to which it goes back. */
  from: string;
  /** The kind of the ledger's entries. */
  entry: 'release' | 'refund';
}

/** Captures a hold: `amount` of it is spent, and the rest goes back to the credits. */
export function captureStatement(database: Database): Statement<CaptureParameters> {
  return statement<CaptureParameters>({ user: true, reference: true, now: true, amount: true }, ($) =>
    settleText(database, $, {
      set: `captured = coalesce(${$.amount}::numeric, covered)`,
      settledAt: 'captured_at',
      when: `captured IS NULL AND NOT ${isOverdue('(SELECT now FROM at)')}
        AND coalesce(${$.amount}::numeric, covered) <= covered`,
      isSame: `s.captured = coalesce(${$.amount}::numeric, s.covered)`,
      back: 'covered - captured',
      from: 'true',
      entry: 'release',
    }),
  );
}

/**
 * Gives back what was spent from credits of refundable types, or a part of it, once for each reference of a refund. The
 * column `refunds` is an optimistic lock: what is left to give back is read in the snapshot, so that nothing is written if
 * another refund of the spend has come first.
 */
export function spendRefundStatement(database: Database): Statement<SpendRefundParameters> {
  const { refunds, spends } = { refunds: database.tables.creditRefunds, spends: database.tables.spends };
  return statement<SpendRefundParameters>(
    { user: true, reference: true, now: true, amount: true, refund: true, extendDays: true },
    ($) => {
      const key = `coalesce(${$.refund}::text, ${$.amount}::numeric(20,4)::text, 'all')`;
      const ofSpend = `user_id = ${$.user} AND reference = ${$.reference}`;
      const end = `greatest(share.expiry_date, (SELECT now FROM at) + ${$.extendDays}::integer * interval '24 hours')`;
      return settleText(database, $, {
        before: `
    -- An earlier refund with this reference. If there is one, nothing is written.
    known AS (
      SELECT * FROM ${refunds} WHERE ${ofSpend} AND refund_reference = ${key}
    ),
    -- What goes back: as much of the amount as comes from refundable types.
    giving AS (
      SELECT least(coalesce(${$.amount}::numeric, total), total) AS given
      FROM (SELECT coalesce(sum(amount), 0) AS total FROM taken) AS takings
    ),`,
        set: `refunds = refunds + 1, refunded = coalesce(refunded, 0) + (SELECT given FROM giving)`,
        settledAt: 'refunded_at',
        when: `captured IS NOT NULL AND NOT EXISTS (SELECT FROM known)
        AND refunds = (SELECT n.refunds FROM ${spends} n WHERE n.user_id = ${$.user} AND n.reference = ${$.reference})
        AND coalesce(${$.amount}::numeric, 0) <= captured - coalesce(refunded, 0)`,
        isSame: `coalesce((
        SELECT ${$.amount}::numeric IS NULL OR amount IS NOT DISTINCT FROM ${$.amount}::numeric FROM known
      ), true)`,
        back: '(SELECT given FROM giving)',
        from: 't.refundable',
        entry: 'refund',
        ofCredit: `, expiry_date = ${end}`,
        after: `,
    -- Keeps the refund.
    kept AS (
      INSERT INTO ${refunds} (user_id, reference, refund_reference, amount, given, expired, created_at)
      SELECT ${$.user}, ${$.reference}, ${key}, ${$.amount}::numeric, giving.given, coalesce((
          SELECT sum(share.amount) FROM share WHERE ${end} <= (SELECT now FROM at)
        ), 0), settled.refunded_at
      FROM settled CROSS JOIN giving
      RETURNING *
    )`,
        columns: `,
      (SELECT expired::text FROM (SELECT expired FROM kept UNION ALL SELECT expired FROM known) AS r) AS expired,
      (s.captured - coalesce(s.refunded, 0))::text AS "left", (
        SELECT coalesce(json_agg(json_build_object('id', share.id, 'before', share.expiry_date, 'after', ${end}) ORDER BY share.id), '[]')
        FROM share WHERE share.expiry_date < ${end}
      )::text AS extended`,
      });
    },
  );
}

/**
 * Settles a spend or hold, once. What is not spent goes back to the credits that it came from, last to expire first.
 */
function settleText(
  database: Database,
  $: Placeholders<SettleParameters>,
  { set, settledAt, when, isSame, back, from, entry, before = '', after = '', ofCredit = '', columns = '' }: Settlement,
): string {
  const { spends, credits, creditTypes, transactions } = database.tables;
  return `
    WITH
    -- The time of the statement.
    at AS (
      SELECT ${timeOf($.now)} AS now
    ),
    -- The amount that is taken from each credit, by the entries of the ledger. It needs no lock: only a settlement adds
    -- entries to the reference of an existing spend, and of concurrent settlements only one passes the CTE settled.
    taken AS (
      SELECT e.credit_id, -sum(e.value) AS amount
      FROM ${transactions} e JOIN ${credits} c ON c.user_id = e.user_id AND c.id = e.credit_id
      JOIN ${creditTypes} t ON t.id = c.type_id
      WHERE e.user_id = ${$.user} AND e.reference = ${$.reference} AND e.kind IN ${kindsOfSpends} AND ${from}
      GROUP BY e.credit_id HAVING sum(e.value) < 0
    ),
    ${before}
    -- Settles the row, and so locks it. It guards all CTEs below: if it returns no row, they do nothing. The time is not
    -- before that of the spend, also if the two had the time from different clocks.
    settled AS (
      UPDATE ${spends} SET ${set}, ${settledAt} = greatest((SELECT now FROM at), created_at, captured_at, refunded_at)
      WHERE user_id = ${$.user} AND reference = ${$.reference} AND ${when}
      RETURNING *
    ),
    -- Locks the credits in the order in which all calls lock them, and reads their newest balances.
    locked AS (
      SELECT c.id, c.expiry_date, c.current_balance, taken.amount, ${back} AS back
      FROM ${credits} c JOIN taken ON taken.credit_id = c.id CROSS JOIN settled
      WHERE c.user_id = ${$.user}
      ORDER BY c.expiry_date, c.id FOR NO KEY UPDATE OF c
    ),
    -- The amount that goes back to each credit.
    share AS (
      SELECT id, expiry_date, current_balance AS held, least(amount, back - before) AS amount
      FROM (
        SELECT id, expiry_date, current_balance, amount, back,
          sum(amount) OVER (ORDER BY expiry_date DESC, id DESC) - amount AS before
        FROM locked
      ) AS running
      WHERE before < back
    ),
    -- Sets the new balances from the locked values, as the spend statement does.
    credited AS (
      UPDATE ${credits} c SET current_balance = share.held + share.amount, is_used_up = false, entries = c.entries + 1
        ${ofCredit}
      FROM share WHERE c.user_id = ${$.user} AND c.id = share.id
    ),
    -- Adds the ledger entry of each credit.
    entered AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
      SELECT ${$.user}, share.id, '${entry}', share.amount, settled.description, ${$.reference}, settled.${settledAt}
      FROM share CROSS JOIN settled ORDER BY share.id
    )${after}
    SELECT ${database.columns(ReferralCreditSpend, 's')}, EXISTS (SELECT FROM settled) AS "isNew",
      ${isSame} AS "isSame", ${when} AS "isOvertaken", ${isOverdue('(SELECT now FROM at)', 's')} AS "isOverdue"${columns}
    FROM (SELECT) AS always LEFT JOIN (
      SELECT * FROM settled
      UNION ALL SELECT * FROM ${spends}
        WHERE user_id = ${$.user} AND reference = ${$.reference} AND NOT EXISTS (SELECT FROM settled)
    ) AS s ON true`;
}
