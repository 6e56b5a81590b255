import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import type { Settings } from '../../options';
import type { EarningMode } from '../../types/earn-outs';

/** From how many commissions on, that a reader had to count between the stored moment and now, the moment is moved. */
const maxWalked = 1000;

/** What a user's commissions of one channel and mode add up to now. Amounts are net of refunds, as PostgreSQL's text. */
export interface Total {
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

/** Answers what commissions add up to without reading them all. */
export class Totals {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #onError: Settings['onError'];

  constructor(database: Database, clock: Clock, { onError }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** The sums of a user's commissions, by channel and mode. */
  async of(userId: string): Promise<Total[]> {
    const rows = await this.#database.query<Row>(this.currentSql(), [userId, this.#clock.parameter()]);
    const walked = rows.reduce((sum, row) => sum + Number(row.walked), 0);
    await this.walked(userId, walked);
    return rows.map(({ walked: _, channelId, available, ...row }) => ({
      ...row,
      channelId: channelId === '0' ? null : Number(channelId),
      available: Number(available),
    }));
  }

  /**
   * Told how many commissions a reader had to count, which became available since the stored moment: if they were many, moves the
   * moment, so that they are counted once and not by each reader. The reader has its answer, whatever becomes of this.
   */
  async walked(userId: string, count: number): Promise<void> {
    if (count > maxWalked) await this.#advance(userId).catch(this.#onError);
  }

  /** The rows of `$1`, a user, at `$2`, now. */
  currentSql(): string {
    const { totals, commissions } = this.#database.tables;
    return `
      SELECT t.channel_id AS "channelId", t.mode, t.commissions, t.reverted, t.amount::text, t.redemptions,
        t.revenue::text, t.matured + moved.sign * moved.count AS available,
        (t.matured_amount + moved.sign * moved.amount)::text AS "availableAmount", moved.walked
      FROM ${totals} t CROSS JOIN (SELECT ${timeOf('$2')} AS now) AS at
      CROSS JOIN LATERAL (
        SELECT CASE WHEN at.now < t.matured_until THEN -1 ELSE 1 END AS sign, count(*) AS walked,
          count(*) FILTER (WHERE c.reverted_at IS NULL) AS count, coalesce(sum(c.amount), 0) AS amount
        FROM ${commissions} c
        WHERE c.user_id = t.user_id AND coalesce(c.channel_id, 0::bigint) = t.channel_id AND c.mode = t.mode
          AND c.available_at > least(t.matured_until, at.now) AND c.available_at <= greatest(t.matured_until, at.now)
      ) AS moved
      WHERE t.user_id = $1`;
  }

  /**
   * Whoever adds or lowers a commission touches its row here in the same statement. So the rows are locked first, and counted by a
   * statement that begins after: what it does not see yet waits for the lock, and then finds the moment moved. Rows that are locked
   * already are left for another time.
   */
  async #advance(userId: string): Promise<void> {
    const { totals, commissions } = this.#database.tables;
    await this.#database.transaction(async (manager) => {
      const locked = await this.#database.query<{ id: string; mode: string }>(
        `SELECT channel_id AS id, mode FROM ${totals} WHERE user_id = $1 ORDER BY channel_id, mode FOR NO KEY UPDATE SKIP LOCKED`,
        [userId],
        manager,
      );
      await this.#database.query(
        `UPDATE ${totals} t SET matured = t.matured + moved.count, matured_amount = t.matured_amount + moved.amount,
           matured_until = moved.now
         FROM (
           SELECT o.channel_id, o.mode, at.now, count(c.id) FILTER (WHERE c.reverted_at IS NULL) AS count,
             coalesce(sum(c.amount), 0) AS amount
           FROM unnest($3::bigint[], $4::varchar[]) AS locked (channel_id, mode)
           JOIN ${totals} o ON o.user_id = $1 AND o.channel_id = locked.channel_id AND o.mode = locked.mode
           CROSS JOIN (SELECT ${timeOf('$2')} AS now) AS at
           LEFT JOIN ${commissions} c ON c.user_id = o.user_id AND coalesce(c.channel_id, 0::bigint) = o.channel_id
             AND c.mode = o.mode AND c.available_at > o.matured_until AND c.available_at <= at.now
           WHERE o.matured_until < at.now
           GROUP BY 1, 2, 3
         ) AS moved
         WHERE t.user_id = $1 AND t.channel_id = moved.channel_id AND t.mode = moved.mode`,
        [userId, this.#clock.parameter(), locked.map(({ id }) => id), locked.map(({ mode }) => mode)],
        manager,
      );
    });
  }
}

interface Row extends Omit<Total, 'channelId' | 'available'> {
  channelId: string;
  available: string;
  walked: string;
}
