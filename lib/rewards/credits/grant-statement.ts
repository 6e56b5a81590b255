import type { Database } from '../../database/database';
import { type Query, sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCredit } from '../../entities/referral-credit';
import { addCounts } from '../records/user-counts';
import { grantEntriesCte } from './entries';
import { balanceAt } from './overdue-holds';

/** A credit that the host's staff gives. */
export interface GrantParameters {
  user: string;
  reference: string | null;
  initialBalance: string;
  type: number;
  name: string | null;
  /** The start of the default name; the day follows. */
  namePrefix: string;
  voucherCode: string | null;
  /** Null for now. */
  startDate: Date | null;
  /** Null if `durationDays` is given. */
  expiryDate: Date | null;
  durationDays: number | null;
  /** The injected clock's time; null for the database's. */
  now: Date | null;
}

/**
 * The result: the columns of the credit, or nulls if a concurrent call with the same reference has overtaken this one.
 */
export interface GrantRow {
  /** A bigint: the driver gives a string. */
  id: string | null;
  isNew: boolean;
  /** Whether the credit has the amount and the type of this call; null without a credit. */
  isSame: boolean | null;
}

/** Gives a user a credit, once for each reference. */
export function grantStatement(database: Database, parameters: GrantParameters): Query {
  const { tables } = database;
  const { credits } = tables;
  return sql(
    parameters,
    ($) => `
      WITH
      -- The time of the statement, and the start of the credit.
      at AS (
        SELECT ${timeOf($.now)} AS now, coalesce(${$.startDate}::timestamptz, ${timeOf($.now)}) AS start
      ),
      -- An earlier credit with this reference. If there is one, nothing is written.
      known AS (
        SELECT * FROM ${credits} WHERE user_id = ${$.user} AND reference = ${$.reference}
      ),
      -- The new credit. Of concurrent calls with the same reference, the unique index lets only one insert.
      given AS (
        INSERT INTO ${credits} (user_id, reference, kind, initial_balance, current_balance, type_id, name, voucher_code,
          start_date, expiry_date, created_at)
        SELECT ${$.user}, ${$.reference}, 'grant', ${$.initialBalance}::numeric, ${$.initialBalance}::numeric,
          ${$.type}::bigint,
          coalesce(${$.name}, ${$.namePrefix}::text || to_char(at.start AT TIME ZONE 'UTC', 'YYYY-MM-DD')),
          ${$.voucherCode}, at.start,
          coalesce(${$.expiryDate}::timestamptz, at.start + ${$.durationDays}::integer * interval '24 hours'), at.now
        FROM at WHERE NOT EXISTS (SELECT FROM known)
        ON CONFLICT DO NOTHING
        RETURNING *
      ),
      ${grantEntriesCte(database, 'given')},
      -- Counts the credit.
      counted AS (
        ${addCounts(database, ['grants', 'granted'], 'SELECT user_id, 1, initial_balance FROM given')}
      )
      SELECT EXISTS (SELECT FROM given) AS "isNew",
        c.initial_balance = ${$.initialBalance}::numeric AND c.type_id = ${$.type} AS "isSame",
        ${database.columns(ReferralCredit, 'c', '', undefined, { currentBalance: (c) => balanceAt(tables, c, 'at.now') })}
      FROM at LEFT JOIN (SELECT * FROM given UNION ALL SELECT * FROM known) c ON true`,
  );
}
