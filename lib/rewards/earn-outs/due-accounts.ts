import type { Database } from '../../database/database';
import { type Statement, statement } from '../../database/named-parameters';
import { timeAsText, timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import { openAmounts, type OpenAmountParameters, wantedAccounts } from './open-amounts';
import { modes, payableFrom } from './payable-from';
import { periodStart } from './schedule';
import { termNames } from './terms';

/*
 * Which accounts are due is found by an index. Each row of totals has a time `due_at`, before which no earn-out of the
 * user can be due as far as it depends on that row: it is the time of the first of its commissions that nobody has
 * looked at. A purchase lowers it to the time of its commission, in the row that it updates anyway. A run looks at the
 * users whose time has come, pays what can be paid, and moves the time forward. So an account that waits for the
 * minimum, for its period or for an address costs nothing until something changes.
 */

/** The terms of a row whose time a purchase has set, when it inserted the row. That time is right with all terms. */
export const termsOfPurchase = 1;

export interface AdoptParameters {
  /** The hash of the terms of this run. */
  terms: number;
  now: Date | null;
  limit: number;
}

export interface DueParameters {
  terms: number;
  now: Date | null;
  /** Only rows after this one, in the order of time and user. */
  afterDueAt: string;
  afterUser: string;
  limit: number;
}

/**
 * SQL: a query for the rows whose time was computed with other terms: the host has changed its options since then. It
 * has ranges instead of `<>`, for which PostgreSQL would not use the index.
 */
function withOtherTerms({ totals }: Database['tables'], terms: string, limit = ''): string {
  const lowest = `least(${terms}::integer, ${termsOfPurchase})`;
  const highest = `greatest(${terms}::integer, ${termsOfPurchase})`;
  const ranges = [
    `due_terms < ${lowest}`,
    `due_terms > ${lowest} AND due_terms < ${highest}`,
    `due_terms > ${highest}`,
  ];
  return ranges
    .map((range) => `SELECT * FROM (SELECT user_id, channel_id, mode FROM ${totals} WHERE ${range} ${limit}) AS rows`)
    .join(' UNION ALL ');
}

/** Counts the rows with other terms. */
export function otherTermsStatement({ tables }: Database): Statement<{ terms: number }> {
  return statement<{ terms: number }>(
    { terms: true },
    ($) => `SELECT count(*) FROM (${withOtherTerms(tables, $.terms)}) AS others`,
  );
}

/** Makes rows with other terms due. */
export function adoptStatement({ tables }: Database): Statement<AdoptParameters> {
  return statement<AdoptParameters>(
    { terms: true, now: true, limit: true },
    ($) => `
    UPDATE ${tables.totals} t SET due_terms = ${$.terms}::integer, due_at = ${timeOf($.now)}
    FROM (
      ${withOtherTerms(tables, $.terms, `LIMIT ${$.limit}::integer FOR NO KEY UPDATE SKIP LOCKED`)}
    ) AS others
    WHERE t.user_id = others.user_id AND t.channel_id = others.channel_id AND t.mode = others.mode`,
  );
}

/**
 * Selects the next users whose time has come, and the time of the statement. It includes the rows of purchases, which
 * `adoptStatement` leaves as they are while another transaction has locked them.
 */
export function dueStatement({ tables }: Database): Statement<DueParameters> {
  return statement<DueParameters>({ terms: true, now: true, afterDueAt: true, afterUser: true, limit: true }, ($) => {
    // One index range for each, so that both are read in the order of time and user.
    const dueWith = (terms: string): string => `(
        SELECT t.user_id, t.due_at FROM ${tables.totals} t
        WHERE t.due_terms = ${terms} AND t.due_at <= ${timeOf($.now)}
          AND (t.due_at, t.user_id) > (${$.afterDueAt}::timestamptz, ${$.afterUser}::varchar)
        ORDER BY t.due_at, t.user_id LIMIT ${$.limit}::integer
      )`;
    return `
      SELECT due.user_id AS "userId", ${timeAsText('due.due_at')} AS "dueAt", ${timeInResult(timeOf($.now))} AS now
      FROM (${dueWith(`${$.terms}::integer`)} UNION ALL ${dueWith(String(termsOfPurchase))}) AS due
      ORDER BY due.due_at, due.user_id LIMIT ${$.limit}::integer`;
  });
}

/** What to do with accounts that another transaction has locked. */
export type LockedAccounts = 'skip' | 'wait';

/** Locks the rows of accounts, ordered by user. */
export function lockStatement({ tables }: Database, locked: LockedAccounts): Statement<{ users: readonly string[] }> {
  return statement<{ users: readonly string[] }>(
    { users: true },
    ($) => `
    SELECT user_id AS "userId" FROM ${tables.accounts} WHERE user_id = ANY(${$.users}::varchar[])
    ORDER BY user_id FOR NO KEY UPDATE ${locked === 'skip' ? 'SKIP LOCKED' : ''}`,
  );
}

/**
 * Moves the time of users forward, after their open amounts were bound: to now if enough has become available since
 * then; otherwise to the time at which a mode can be paid again, or at which the next commission becomes available.
 *
 * The last statement of its transaction, because it locks rows of totals, which purchases wait for. Rows that another
 * transaction has locked, or has changed since the snapshot, are left as they are: the next run looks at them again.
 */
export function rescheduleStatement(database: Database): Statement<OpenAmountParameters & { terms: number }> {
  const { tables } = database;
  return statement<OpenAmountParameters & { terms: number }>(
    { ...termNames, users: true, terms: true },
    ($) => `
    WITH
    ${openAmounts(database, $)},
    -- From when on each mode can be paid.
    payable AS (
      SELECT a.user_id, m.mode, ${payableFrom(database, 'at.now', $.period)} AS from_time
      FROM ${wantedAccounts(tables, $)} CROSS JOIN ${modes($.isPayoutOffered)} CROSS JOIN at
    ),
    -- The times at which something can become due.
    times AS (
      SELECT user_id, at.now AS due_at FROM sums CROSS JOIN at WHERE amount > 0 AND total >= ${$.minimum}::numeric
      UNION ALL SELECT p.user_id, p.from_time FROM payable p JOIN nets n USING (user_id, mode) CROSS JOIN at
      WHERE p.from_time > at.now AND greatest(n.ready, n.debt) > 0
      UNION ALL SELECT p.user_id, greatest(p.from_time, c.available_at)
      FROM payable p CROSS JOIN at CROSS JOIN LATERAL (
        SELECT min(available_at) AS available_at FROM ${tables.commissions}
        WHERE user_id = p.user_id AND mode = p.mode AND earn_out_id IS NULL AND available_at > at.now
          AND available_at < 'infinity'
      ) AS c
      WHERE p.from_time IS NOT NULL AND c.available_at IS NOT NULL
    ),
    next AS (
      SELECT wanted.user_id, min(times.due_at) AS due_at
      FROM unnest(${$.users}::varchar[]) AS wanted (user_id) LEFT JOIN times USING (user_id) GROUP BY 1
    ),
    -- The rows as they are now. Those that were changed since the snapshot differ from it.
    locked AS (
      SELECT user_id, channel_id, mode, commissions, due_at, due_terms FROM ${tables.totals}
      WHERE user_id = ANY(${$.users}::varchar[]) FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE ${tables.totals} t SET due_at = next.due_at, due_terms = ${$.terms}::integer
    FROM locked JOIN next USING (user_id)
    JOIN ${tables.totals} seen USING (user_id, channel_id, mode)
    WHERE t.user_id = locked.user_id AND t.channel_id = locked.channel_id AND t.mode = locked.mode
      AND seen.commissions = locked.commissions AND seen.due_at IS NOT DISTINCT FROM locked.due_at
      AND seen.due_terms = locked.due_terms
      AND (t.due_at IS DISTINCT FROM next.due_at OR t.due_terms <> ${$.terms}::integer)`,
  );
}

/**
 * SQL: makes the users of some rows due, so that the next run looks at them again. It also writes rows that are due
 * already: `rescheduleStatement` leaves rows that were changed since its snapshot.
 */
export function wake({ totals }: Database['tables'], rows: string): string {
  return `UPDATE ${totals} t SET due_at = at.now FROM ${rows} AS woken_users CROSS JOIN at
      WHERE t.user_id = woken_users.user_id`;
}

/**
 * SQL: the same for earn-outs that were completed after their period: new commissions have waited for it. The others
 * are looked at again at the end of the period.
 */
export function wakeIfLate(tables: Database['tables'], completed: string, period: string): string {
  const late = `SELECT e.user_id FROM ${completed} e JOIN ${tables.accounts} a ON a.user_id = e.user_id CROSS JOIN at
        WHERE e.created_at < ${periodStart('a', 'at.now', period)}`;
  return wake(tables, `(${late})`);
}

export interface WakeParameters {
  user: string;
  now: Date | null;
}

/** Makes a user due: the next run looks at the account. */
export function wakeStatement({ tables }: Database): Statement<WakeParameters> {
  return statement<WakeParameters>(
    { user: true, now: true },
    ($) => `
    WITH at AS (SELECT ${timeOf($.now)} AS now)
    ${wake(tables, `(SELECT ${$.user}::varchar AS user_id)`)}`,
  );
}
