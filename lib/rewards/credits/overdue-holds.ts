import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Computed } from '../../database/find';
import { type Placeholders, type Query, sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';

/**
 * SQL: whether a spend or hold is overdue: a hold whose `expires_at` has come, and of which no entry says so yet. What it
 * holds is available again from that time on. `ix_referral_credit_spends_expiring` finds those of a user.
 */
export function isOverdue(now: string, alias = ''): string {
  const of = alias && `${alias}.`;
  return `(${of}captured IS NULL AND ${of}expires_at IS NOT NULL AND ${of}expires_at <= ${now})`;
}

/** SQL: the balance of a credit at a time: with what overdue holds have taken from it. */
export function balanceAt({ spends, transactions }: Database['tables'], credit: string, now: string): string {
  return `(${credit}.current_balance + coalesce((
      SELECT -sum(e.value) FROM ${spends} s
      JOIN ${transactions} e ON e.user_id = s.user_id AND e.reference = s.reference AND e.kind = 'hold'
        AND e.credit_id = ${credit}.id
      WHERE s.user_id = ${credit}.user_id AND ${isOverdue(now, 's')}
    ), 0))`;
}

/** The fields of a credit that time changes. For a `find`, whose text is made anew each time. */
export function currentFields({ tables }: Database, clock: Clock): Computed {
  const time = clock.parameter();
  const now = timeOf(time === null ? 'NULL' : `'${time.toISOString()}'`);
  return { currentBalance: (credit) => balanceAt(tables, credit, now) };
}

/**
 * Releases overdue holds. Time alone ends a hold: what reads balances computes with what is overdue, and each call that
 * changes the user's credit writes it down first, as entries of the time at which the hold ended. A capture at the same
 * moment locks the row of the hold too, so that one of the two happens.
 */
export class OverdueHolds {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Writes down the overdue holds of those accounts whose credit is to be taken back for commissions, so that what they
   * held is taken too. It locks these accounts first, as what takes credit back does.
   *
   * @param condition SQL: which commissions `c`.
   */
  async releaseFor<P extends object>(
    parameters: P,
    condition: ($: Placeholders<P>) => string,
    manager: EntityManager,
  ): Promise<void> {
    const { accounts, commissions, earnOuts, spends } = this.#database.tables;
    const query = sql(
      { ...parameters, releasedAt: this.#clock.parameter() },
      ($) => `
      SELECT a.user_id AS user FROM ${accounts} a
      WHERE a.user_id IN (
        SELECT c.user_id FROM ${commissions} c JOIN ${earnOuts} o
          ON o.user_id = c.user_id AND o.id = c.earn_out_id AND o.mode = 'credits' AND o.status = 'completed'
        WHERE ${condition($)}
      ) AND EXISTS (SELECT FROM ${spends} s WHERE s.user_id = a.user_id AND ${isOverdue(timeOf($.releasedAt), 's')})
      ORDER BY a.user_id FOR NO KEY UPDATE OF a`,
    );
    for (const { user } of await this.#database.query<{ user: string }>(query, manager))
      await this.release(user, manager);
  }

  /** Writes down the overdue holds of a user. */
  async release(user: string, manager: EntityManager | undefined): Promise<void> {
    const query = releaseStatement(this.#database, user, this.#clock.parameter());
    await this.#database.attempt((within) => this.#database.query(query, within), manager);
  }
}

function releaseStatement({ tables }: Database, user: string, now: Date | null): Query {
  const { spends, credits, transactions } = tables;
  return sql(
    { user, now },
    ($) => `
    WITH
    -- Locks the overdue holds, in one order. After a wait, PostgreSQL tests the newest version of each.
    overdue AS (
      SELECT reference FROM ${spends} WHERE user_id = ${$.user} AND ${isOverdue(timeOf($.now))}
      ORDER BY reference FOR NO KEY UPDATE
    ),
    -- Ends them at their time. It guards the writes below.
    ended AS (
      UPDATE ${spends} s SET captured = 0, captured_at = s.expires_at
      FROM overdue WHERE s.user_id = ${$.user} AND s.reference = overdue.reference
      RETURNING s.reference, s.description, s.captured_at
    ),
    -- What each of them has taken from each credit. Only a settlement adds entries, and it locks the hold first.
    taken AS (
      SELECT e.credit_id, e.reference, ended.description, ended.captured_at, -sum(e.value) AS amount
      FROM ended JOIN ${transactions} e ON e.user_id = ${$.user} AND e.reference = ended.reference
      WHERE e.kind = 'hold' GROUP BY e.credit_id, e.reference, ended.description, ended.captured_at
    ),
    -- Locks the credits in the order in which all calls lock them, and reads their newest balances.
    locked AS (
      SELECT c.id, c.current_balance FROM ${credits} c
      WHERE c.user_id = ${$.user} AND c.id IN (SELECT credit_id FROM taken)
      ORDER BY c.expiry_date, c.id FOR NO KEY UPDATE
    ),
    -- Sets the new balances from the locked values, as the spend statement does.
    credited AS (
      UPDATE ${credits} c SET current_balance = locked.current_balance + back.amount, is_used_up = false,
        entries = c.entries + back.entries
      FROM locked JOIN (
        SELECT credit_id, sum(amount) AS amount, count(*) AS entries FROM taken GROUP BY credit_id
      ) AS back ON back.credit_id = locked.id
      WHERE c.user_id = ${$.user} AND c.id = locked.id
    )
    -- Adds the ledger entries.
    INSERT INTO ${transactions} (user_id, credit_id, kind, value, description, reference, created_at)
    SELECT ${$.user}, credit_id, 'release', amount, description, reference, captured_at FROM taken
    ORDER BY captured_at, reference, credit_id`,
  );
}
