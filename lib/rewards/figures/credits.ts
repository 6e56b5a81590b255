import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { CreditEntry, OwnCredit } from '../../types/figures';
import { balanceAt, isOverdue } from '../credits/overdue-holds';
import { belowOf, idOf, notAMark, pageOf, type Reader, type Wanted } from './rows';

type CreditRow = Omit<OwnCredit, 'id'> & { id: string };
type EntryRow = Omit<CreditEntry, 'id' | 'creditId'> & { id: string; creditId: string };

/** A user's credits, newest first. */
export function creditReader(database: Database, clock: Clock): Reader<OwnCredit> {
  const { tables } = database;
  return async (user, wanted) => {
    const read = await database.query<CreditRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1, now: clock.parameter() },
        ($) => `
        SELECT c.id, c.kind, CASE WHEN c.kind = 'reward' THEN c.referee_id END AS "friendId",
          c.initial_balance AS initial, b.balance AS "left", ${timeInResult('c.start_date')} AS "from",
          ${timeInResult('c.expiry_date')} AS until, ${timeInResult('c.created_at')} AS "createdAt",
          CASE WHEN b.balance = 0 THEN 'used-up' WHEN c.expiry_date <= ${timeOf($.now)} THEN 'expired'
            WHEN c.start_date > ${timeOf($.now)} THEN 'early' ELSE 'open' END AS state
        FROM ${tables.credits} c CROSS JOIN LATERAL (SELECT ${balanceAt(tables, 'c', timeOf($.now))} AS balance) AS b
        WHERE c.user_id = ${$.user} AND c.id < ${$.below}::bigint
        ORDER BY c.id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    return pageOf(read, wanted, idOf, ({ id, initial, left, ...row }) => ({
      ...{ id: Number(id), ...row, initial: database.shown(initial), left: database.shown(left) },
    }));
  };
}

/** The entries of a user's credits, or of one of them: those of the newest credit first, and of each the newest first. */
export function entryReader(database: Database, creditId: number | null = null): Reader<CreditEntry> {
  const { transactions } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<EntryRow>(
      sql(
        { user, creditId, ...afterEntry(wanted), limit: wanted.take + 1 },
        ($) => `
        SELECT e.id, e.credit_id AS "creditId", e.kind, e.value, e.description, ${timeInResult('e.created_at')} AS "createdAt"
        FROM ${transactions} e
        WHERE e.user_id = ${$.user} AND (e.credit_id, e.id) < (${$.credit}::bigint, ${$.entry}::bigint)
          ${creditId === null ? `AND ${$.creditId}::bigint IS NULL` : `AND e.credit_id = ${$.creditId}::bigint`}
        ORDER BY e.credit_id DESC, e.id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    return pageOf(
      read,
      wanted,
      (row) => `${row.creditId}.${row.id}`,
      ({ id, creditId: of, value, ...row }) => ({
        ...{ id: Number(id), creditId: Number(of), ...row, value: database.shown(value) },
      }),
    );
  };
}

function afterEntry({ after }: Wanted): { credit: string; entry: string } {
  const [credit, entry, ...rest] = after?.split('.') ?? [null, null];
  if (entry === undefined || rest.length > 0) throw notAMark(after);
  return { credit: belowOf(credit!), entry: belowOf(entry) };
}

/** What open holds of a user have taken from credits, but for those that have ended. */
export async function heldCredit(database: Database, clock: Clock, user: string): Promise<string> {
  const [row] = await database.query<{ held: string }>(
    sql(
      { user, now: clock.parameter() },
      ($) => `
      SELECT coalesce(sum(covered), 0)::text AS held FROM ${database.tables.spends}
      WHERE user_id = ${$.user} AND captured IS NULL AND NOT ${isOverdue(timeOf($.now))}`,
    ),
  );
  return database.shown(row!.held);
}
