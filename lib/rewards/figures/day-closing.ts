import type { EntityManager } from 'typeorm';
import type { Database } from '../../database/database';
import { isLockTimeout } from '../../database/driver-errors';
import { sql } from '../../database/named-parameters';
import type { Settings } from '../../options';
import { bookedDays } from './booked-days';

/** If a page had to read more rows than this itself, days are closed. */
const maxWalked = 1000;

/**
 * A day can be closed so long after its end: what is written with a time of that day has begun to be written by then, also on
 * a machine whose option `clock` is behind, and by a statement that waits for a lock.
 */
const graceMs = 60 * 60 * 1000;

/** So long a page waits at most for a transaction of somebody who changes what was, such as one of the host's. */
const lockTimeoutMs = 100;

/** The day before which days can be closed at a time, `YYYY-MM-DD`. */
export const closableUntil = (now: Date): string => new Date(now.getTime() - graceMs).toISOString().slice(0, 10);

/** What stands for no closed days, in the place of the day until which they are. */
export const nothingClosed = '-infinity';

/** SQL: the day until which a user's days are closed; null if none are, also if the clock was set back before it. */
export function closedUntil({ closedDays }: Database['tables'], user: string, now: string): string {
  return `(SELECT until FROM ${closedDays} WHERE user_id = ${user} AND until <= (${now}::timestamptz AT TIME ZONE 'UTC')::date)`;
}

/** SQL: such a day as text, `YYYY-MM-DD` or {@link nothingClosed}. */
export const closedAsText = (until: string): string => `coalesce(to_char(${until}, 'YYYY-MM-DD'), '${nothingClosed}')`;

/**
 * Closes days that are over: sums up what was counted on them, so that pages need not read it again. Nobody waits for it, and
 * no call that counts something takes part in it.
 *
 * A day is over once every transaction that may have written something on it has ended. So it takes two steps. The first
 * notes, when the day has ended, the id of its own transaction: those that write by then have lower ones. The second sums the
 * day up once they have all ended, which any later statement sees in its snapshot. Whatever changes a closed day undoes that: see
 * `forgetDays`.
 */
export class DayClosing {
  readonly #database: Database;
  readonly #onError: Settings['onError'];

  constructor(database: Database, { onError }: Pick<Settings, 'onError'>) {
    this.#database = database;
    this.#onError = onError;
  }

  /**
   * Takes the number of rows that a page had to read of days that can be closed, and goes on with closing them if it is large, or if
   * the clock was set back before closed days. An error goes to `onError`, because the page has its result already.
   */
  async noteWalked(user: string, now: Date, count: number, isSetBack = false): Promise<void> {
    if (count > maxWalked || isSetBack) await this.close(user, now).catch(this.#onError);
  }

  /**
   * Goes on with closing the days of a user. Does nothing while transactions from before are in progress, or while one opens
   * the days again.
   */
  async close(user: string, now: Date): Promise<void> {
    try {
      await this.#withoutWaiting((manager) => this.#note(user, now, manager));
      await this.#withoutWaiting((manager) => this.#sumUp(user, manager));
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
    }
  }

  #withoutWaiting(work: (manager: EntityManager) => Promise<void>): Promise<void> {
    return this.#database.transaction(async (manager) => {
      await this.#database.query(`SELECT set_config('lock_timeout', '${lockTimeoutMs}', true)`, manager);
      await work(manager);
    });
  }

  /**
   * Notes which days are to be closed next, unless some are already; also if ids of transactions begin anew, as after a restore.
   * If the clock was set back, days that were closed go on: they are opened again.
   */
  async #note(user: string, now: Date, manager: EntityManager): Promise<void> {
    const { closedDays } = this.#database.tables;
    const isSetBack = 'coalesce(d.until > excluded.closing_until + 1, false)';
    await this.#database.query(
      sql(
        { user, until: closableUntil(now) },
        ($) => `
        INSERT INTO ${closedDays} AS d (user_id, closing_until, closing_xid)
        SELECT ${$.user}, ${$.until}::date, pg_current_xact_id()::text::bigint
        ON CONFLICT (user_id) DO UPDATE SET closing_until = excluded.closing_until, closing_xid = excluded.closing_xid,
          until = CASE WHEN ${isSetBack} THEN NULL ELSE d.until END
        WHERE ((d.closing_until IS NULL OR d.closing_xid > excluded.closing_xid)
          AND (d.until < excluded.closing_until) IS NOT FALSE) OR ${isSetBack}`,
      ),
      manager,
    );
  }

  /**
   * The tables are locked first, as by every statement that writes to them, so that a merge of users, which locks them as a
   * whole, waits here. Then the user's row: who opens the days again waits for it.
   */
  async #sumUp(user: string, manager: EntityManager): Promise<void> {
    const { userDays, userLinks, closedDays, referrals } = this.#database.tables;
    await this.#database.query(`LOCK TABLE ${userDays}, ${userLinks}, ${closedDays} IN ROW EXCLUSIVE MODE`, manager);
    const [row] = await this.#database.query<Period & { links: string[] | null }>(
      sql(
        { user },
        ($) => `
        SELECT ${closedAsText('d.until')} AS since,
          to_char(d.closing_until, 'YYYY-MM-DD') AS until, d.until IS NULL AS "isFirst",
          (SELECT array_agg(id) FROM ${referrals} WHERE user_id = ${$.user}) AS links
        FROM ${closedDays} d
        WHERE d.user_id = ${$.user} AND d.closing_xid <= pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        FOR NO KEY UPDATE SKIP LOCKED`,
      ),
      manager,
    );
    if (!row) return;
    const { since, until, isFirst } = row;
    const links = row.links ?? [];
    if (isFirst)
      for (const table of [userDays, userLinks])
        await this.#database.query(
          sql({ user }, ($) => `DELETE FROM ${table} WHERE user_id = ${$.user}`),
          manager,
        );
    await this.#sumBooks(user, { since, until }, manager);
    if (links.length > 0) await this.#sumClicks(user, links, { since, until }, manager);
    await this.#database.query(
      sql(
        { user },
        ($) => `UPDATE ${closedDays} SET until = closing_until, closing_until = NULL, closing_xid = NULL
        WHERE user_id = ${$.user}`,
      ),
      manager,
    );
  }

  async #sumBooks(user: string, period: Period, manager: EntityManager): Promise<void> {
    const { tables } = this.#database;
    await this.#database.query(
      sql(
        { user, since: period.since, until: period.until },
        ($) => `
        INSERT INTO ${tables.userDays} (user_id, day, signups, customers, earned)
        SELECT ${$.user}, day, sum(signups), sum(customers), sum(earned)
        FROM (${bookedDays(tables, {
          user: `${$.user}::varchar`,
          start: `(${$.since}::timestamp AT TIME ZONE 'UTC')`,
          end: `(${$.until}::timestamp AT TIME ZONE 'UTC')`,
        })}) AS booked
        GROUP BY day`,
      ),
      manager,
    );
  }

  /** Two statements, each with one table of clicks, which may be on other nodes. */
  async #sumClicks(user: string, links: readonly string[], period: Period, manager: EntityManager): Promise<void> {
    const { userDays, userLinks, dailyCounts } = this.#database.tables;
    const parameters = { user, links, since: period.since, until: period.until };
    const summed = (column: string, $: Record<keyof typeof parameters, string>): string => `
        SELECT ${$.user}, ${column}, sum(clicks), sum(visitors) FROM ${dailyCounts}
        WHERE referral_id = ANY(${$.links}::bigint[]) AND day >= ${$.since}::date AND day < ${$.until}::date
        GROUP BY ${column}`;
    await this.#database.query(
      sql(
        parameters,
        ($) => `
        INSERT INTO ${userDays} AS d (user_id, day, clicks, visitors) ${summed('day', $)}
        ON CONFLICT (user_id, day) DO UPDATE SET clicks = excluded.clicks, visitors = excluded.visitors`,
      ),
      manager,
    );
    await this.#database.query(
      sql(
        parameters,
        ($) => `
        INSERT INTO ${userLinks} AS l (user_id, referral_id, clicks, visitors) ${summed('referral_id', $)}
        ON CONFLICT (user_id, referral_id) DO UPDATE
          SET clicks = l.clicks + excluded.clicks, visitors = l.visitors + excluded.visitors`,
      ),
      manager,
    );
  }
}

interface Period {
  /** The first day; `-infinity` for all. */
  since: string;
  /** The day after the last. */
  until: string;
  /** Whether no days are closed yet. What is summed is left over. */
  isFirst?: boolean;
}
