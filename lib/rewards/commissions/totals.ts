import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Placeholders, type Query, sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import type { Settings } from '../../options';
import type { EarningMode } from '../../types/earn-outs';

/** If a reader had to count more commissions than this, `matured_until` is moved forward. */
const maxWalked = 1000;

/**
 * The current sums of a user's commissions of one channel and mode. Amounts are net of refunds, in the format of
 * PostgreSQL.
 */
export interface CommissionTotals {
  /** Null for commissions without a channel. */
  channelId: number | null;
  mode: EarningMode;
  commissions: number;
  reverted: number;
  available: number;
  amount: string;
  availableAmount: string;
  redemptions: number;
  revenue: string;
}

/**
 * Sums up commissions without reading them all.
 *
 * A stored row of totals counts the commissions that were available at the time `matured_until`. A reader adds those
 * that became available between that time and now.
 */
export class Totals {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #onError: Settings['onError'];

  constructor(database: Database, clock: Clock, { onError }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Returns the sums of a user's commissions, by channel and mode. */
  async byChannelAndMode(userId: string): Promise<CommissionTotals[]> {
    const query = sql({ user: userId, now: this.#clock.parameter() }, ($) => this.currentSql($));
    const rows = await this.#database.query<TotalsRow>(query);
    const walked = rows.reduce((sum, row) => sum + Number(row.walked), 0);
    await this.noteWalked(userId, walked);
    return rows.map(({ walked: _, channelId, available, ...row }) => ({
      ...row,
      channelId: channelId === '0' ? null : Number(channelId),
      available: Number(available),
    }));
  }

  /**
   * Takes the number of commissions that a reader had to count. If it is large, moves `matured_until` forward, so that
   * the next reader need not count them again. An error goes to `onError`, because the reader has its result already.
   */
  async noteWalked(userId: string, count: number): Promise<void> {
    if (count > maxWalked) await this.#advance(userId).catch(this.#onError);
  }

  /**
   * Returns a query for the current totals of a user. If the time is before `matured_until`, because the clock was set
   * back, it subtracts the commissions that are not available yet.
   */
  currentSql({ user, now }: Placeholders<{ user: string; now: Date | null }>): string {
    const { totals, commissions } = this.#database.tables;
    return `
      SELECT t.channel_id AS "channelId", t.mode, t.commissions, t.reverted, t.amount::text, t.redemptions,
        t.revenue::text, t.matured + moved.sign * moved.count AS available,
        (t.matured_amount + moved.sign * moved.amount)::text AS "availableAmount", moved.walked
      FROM ${totals} t CROSS JOIN (SELECT ${timeOf(now)} AS now) AS at
      CROSS JOIN LATERAL (
        SELECT CASE WHEN at.now < t.matured_until THEN -1 ELSE 1 END AS sign, count(*) AS walked,
          count(*) FILTER (WHERE c.reverted_at IS NULL) AS count, coalesce(sum(c.amount), 0) AS amount
        FROM ${commissions} c
        WHERE c.user_id = t.user_id AND coalesce(c.channel_id, 0::bigint) = t.channel_id AND c.mode = t.mode
          AND c.available_at > least(t.matured_until, at.now) AND c.available_at <= greatest(t.matured_until, at.now)
      ) AS moved
      WHERE t.user_id = ${user}`;
  }

  /**
   * Moves `matured_until` of a user's totals to now.
   *
   * A first statement locks the rows. A second statement counts, with a snapshot that begins after the locks are taken.
   * Every statement that adds or lowers a commission also updates its row of totals. So a commission that is not in the
   * snapshot waits for the lock, and its statement then reads the new `matured_until`. Rows that another transaction
   * has locked are skipped: a later call moves them.
   */
  async #advance(userId: string): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const locked = await this.#lockedRows(userId, manager);
      await this.#database.query(this.#advanceQuery(userId, locked), manager);
    });
  }

  #lockedRows(userId: string, manager: EntityManager): Promise<LockedRow[]> {
    return this.#database.query<LockedRow>(
      sql(
        { user: userId },
        ($) => `
        SELECT channel_id AS id, mode FROM ${this.#database.tables.totals} WHERE user_id = ${$.user}
        ORDER BY channel_id, mode FOR NO KEY UPDATE SKIP LOCKED`,
      ),
      manager,
    );
  }

  #advanceQuery(userId: string, locked: readonly LockedRow[]): Query {
    const { totals, commissions } = this.#database.tables;
    const parameters = {
      user: userId,
      now: this.#clock.parameter(),
      channelIds: locked.map(({ id }) => id),
      modes: locked.map(({ mode }) => mode),
    };
    return sql(
      parameters,
      ($) => `
      UPDATE ${totals} t SET matured = t.matured + moved.count, matured_amount = t.matured_amount + moved.amount,
        matured_until = moved.now
      FROM (
        SELECT o.channel_id, o.mode, at.now, count(c.id) FILTER (WHERE c.reverted_at IS NULL) AS count,
          coalesce(sum(c.amount), 0) AS amount
        FROM unnest(${$.channelIds}::bigint[], ${$.modes}::varchar[]) AS locked (channel_id, mode)
        JOIN ${totals} o ON o.user_id = ${$.user} AND o.channel_id = locked.channel_id AND o.mode = locked.mode
        CROSS JOIN (SELECT ${timeOf($.now)} AS now) AS at
        LEFT JOIN ${commissions} c ON c.user_id = o.user_id AND coalesce(c.channel_id, 0::bigint) = o.channel_id
          AND c.mode = o.mode AND c.available_at > o.matured_until AND c.available_at <= at.now
        WHERE o.matured_until < at.now
        GROUP BY 1, 2, 3
      ) AS moved
      WHERE t.user_id = ${$.user} AND t.channel_id = moved.channel_id AND t.mode = moved.mode`,
    );
  }
}

interface LockedRow {
  id: string;
  mode: EarningMode;
}

interface TotalsRow extends Omit<CommissionTotals, 'channelId' | 'available'> {
  /** 0 for commissions without a channel. */
  channelId: string;
  available: string;
  /** How many commissions became available between `matured_until` and now. */
  walked: string;
}
