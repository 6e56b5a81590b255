import type { Database } from '../../database/database';
import { type Placeholders, type Statement, statement } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCreditSpend } from '../../entities/referral-credit-spend';
import { kindsOfSpends } from './entries';

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

/** The result of a settlement: the columns of the spend or hold, or nulls if there is none. */
export interface SettleRow {
  userId: string | null;
  /** Whether this statement settled it. */
  isNew: boolean;
  /** Whether it is settled for the amount of this call, by this statement or an earlier one. */
  isSame: boolean | null;
  /** Whether another call settled it after this statement's snapshot. */
  isOvertaken: boolean | null;
}

/** The parts in which capture and refund differ. All but `entry` are SQL on the columns of `referral_credit_spends`. */
interface Settlement {
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
      when: `captured IS NULL AND coalesce(${$.amount}::numeric, covered) <= covered`,
      isSame: `s.captured = coalesce(${$.amount}::numeric, s.covered)`,
      back: 'covered - captured',
      from: 'true',
      entry: 'release',
    }),
  );
}

/** Gives back what was spent from credits of refundable types. */
export function spendRefundStatement(database: Database): Statement<SettleParameters> {
  return statement<SettleParameters>({ user: true, reference: true, now: true }, ($) =>
    settleText(database, $, {
      set: 'refunded = (SELECT coalesce(sum(amount), 0) FROM taken)',
      settledAt: 'refunded_at',
      when: 'captured IS NOT NULL AND refunded IS NULL',
      isSame: 'true',
      back: 'refunded',
      from: 't.refundable',
      entry: 'refund',
    }),
  );
}

/**
 * Settles a spend or hold, once. What is not spent goes back to the credits that it came from, last to expire first.
 */
function settleText(
  database: Database,
  $: Placeholders<SettleParameters>,
  { set, settledAt, when, isSame, back, from, entry }: Settlement,
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
    -- Settles the row, and so locks it. It guards all CTEs below: if it returns no row, they do nothing. The time is not
    -- before that of the spend, also if the two had the time from different clocks.
    settled AS (
      UPDATE ${spends} SET ${set}, ${settledAt} = greatest((SELECT now FROM at), created_at, captured_at)
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
      SELECT id, current_balance AS held, least(amount, back - before) AS amount
      FROM (
        SELECT id, current_balance, amount, back,
          sum(amount) OVER (ORDER BY expiry_date DESC, id DESC) - amount AS before
        FROM locked
      ) AS running
      WHERE before < back
    ),
    -- Sets the new balances from the locked values, as the spend statement does.
    credited AS (
      UPDATE ${credits} c SET current_balance = share.held + share.amount, is_used_up = false, entries = c.entries + 1
      FROM share WHERE c.user_id = ${$.user} AND c.id = share.id
    ),
    -- Adds the ledger entry of each credit.
    entered AS (
      INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
      SELECT ${$.user}, share.id, '${entry}', share.amount, settled.description, ${$.reference}, settled.${settledAt}
      FROM share CROSS JOIN settled ORDER BY share.id
    )
    SELECT ${database.columns(ReferralCreditSpend, 's')}, EXISTS (SELECT FROM settled) AS "isNew",
      ${isSame} AS "isSame", ${when} AS "isOvertaken"
    FROM (SELECT) AS always LEFT JOIN (
      SELECT * FROM settled
      UNION ALL SELECT * FROM ${spends}
        WHERE user_id = ${$.user} AND reference = ${$.reference} AND NOT EXISTS (SELECT FROM settled)
    ) AS s ON true`;
}
