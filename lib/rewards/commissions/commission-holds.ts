import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import { referralError } from '../../errors';
import { type Chosen, isChosen } from './chosen-commissions';
import { totalChanges } from './total-changes';

type Tables = Database['tables'];

/**
 * Holds commissions, and releases them. One that is held for any cause is available at `infinity`. The release of the
 * last cause puts its time back, as if it had never been held.
 *
 * Locks: the commissions, then the rows of their totals, each in the order of their keys. A purchase that is under way
 * can add a commission of the same referrer and referee that is not held: a caller who must rule that out takes the
 * buyer's turn before.
 */
export class CommissionHolds {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Holds commissions for a cause. Returns those that were not held for it before. Leaves out those that are in an
   * earn-out, rejected or moved away, unless they are chosen by their ids.
   *
   * @throws ReferralError `COMMISSION_BOUND`, `COMMISSION_REJECTED` for such a one that is chosen by its id.
   */
  async hold(chosen: Chosen, cause: string, within: EntityManager): Promise<ReferralCommission[]> {
    const rows = await this.#change(chosen, cause, heldCtes, within);
    for (const { lockedId, boundTo, isRejected } of 'ids' in chosen ? rows : []) {
      if (isRejected) throw referralError('COMMISSION_REJECTED', Number(lockedId));
      if (boundTo !== null) throw referralError('COMMISSION_BOUND', Number(lockedId), Number(boundTo));
    }
    return this.#changed(rows);
  }

  /**
   * Releases commissions that are held for a cause. Returns those that were. One that is held for another cause too stays
   * held. A rejected one is not held any more.
   *
   * @throws ReferralError `COMMISSION_REJECTED` for a rejected one that is chosen by its id.
   */
  async release(chosen: Chosen, cause: string, within: EntityManager): Promise<ReferralCommission[]> {
    const rows = await this.#change(chosen, cause, releasedCtes, within);
    for (const { lockedId, isRejected } of 'ids' in chosen ? rows : [])
      if (isRejected) throw referralError('COMMISSION_REJECTED', Number(lockedId));
    return this.#changed(rows);
  }

  /** Locks the chosen commissions, and changes them with the CTEs `changed` and `moves`. */
  #change(
    chosen: Chosen,
    cause: string,
    ctes: (tables: Tables, cause: string) => string,
    within: EntityManager,
  ): Promise<LockedRow[]> {
    const { tables } = this.#database;
    const query = sql(
      { ...chosen, cause, now: this.#clock.parameter() },
      ($) => `
    WITH
    -- The time of the statement.
    at AS MATERIALIZED (
      SELECT ${timeOf($.now)} AS now
    ),
    -- Locks the commissions.
    locked AS (
      SELECT c.* FROM ${tables.commissions} c WHERE ${isChosen(chosen, $)}
      ORDER BY c.user_id, c.id FOR NO KEY UPDATE
    ),
    ${ctes(tables, `${$.cause}::text`)},
    ${totalChanges(tables, 'moves')}
    SELECT l.id AS "lockedId", l.earn_out_id AS "boundTo", l.rejected_at IS NOT NULL AS "isRejected",
      ${this.#database.columns(ReferralCommission, 'c')}
    FROM locked l LEFT JOIN changed c ON c.user_id = l.user_id AND c.id = l.id ORDER BY l.user_id, l.id`,
    );
    return this.#database.query<LockedRow>(query, within);
  }

  #changed(rows: readonly LockedRow[]): ReferralCommission[] {
    return rows.filter(({ id }) => id !== null).map((row) => this.#database.entity(ReferralCommission, row));
  }
}

/** A commission that was locked, with the columns of what it has become; with nulls if it was not changed. */
interface LockedRow {
  lockedId: string;
  boundTo: string | null;
  isRejected: boolean;
  id: string | null;
}

const heldCtes = ({ commissions }: Tables, cause: string): string => `
    -- Holds those that are neither bound nor rejected.
    changed AS (
      UPDATE ${commissions} c SET held_for = c.held_for || ${cause},
        held_from = coalesce(c.held_from, c.available_at), available_at = 'infinity'
      FROM locked WHERE c.user_id = locked.user_id AND c.id = locked.id AND locked.earn_out_id IS NULL
        AND locked.rejected_at IS NULL AND locked.moved_at IS NULL AND NOT locked.held_for @> ARRAY[${cause}]
      RETURNING c.*, locked.available_at AS available_before
    ),
    -- They are not available any more.
    moves AS (
      SELECT user_id, coalesce(channel_id, 0) AS channel_id, mode, 0 AS commissions, 0 AS revenue, 0 AS amount, 0 AS reverted,
        -(reverted_at IS NULL)::integer AS matured, -amount AS matured_amount, available_before AS matured_at,
        false AS is_woken
      FROM changed
    )`;

const releasedCtes = ({ commissions }: Tables, cause: string): string => {
  const others = `array_remove(c.held_for, ${cause})`;
  return `
    -- Takes the cause away. Without another one, the commission gets its time back.
    changed AS (
      UPDATE ${commissions} c SET held_for = ${others},
        available_at = CASE WHEN ${others} = '{}' THEN c.held_from ELSE c.available_at END,
        held_from = CASE WHEN ${others} <> '{}' THEN c.held_from END
      FROM locked WHERE c.user_id = locked.user_id AND c.id = locked.id AND locked.held_for @> ARRAY[${cause}]
      RETURNING c.*
    ),
    -- Those without another cause count again, and the next run looks at their owners.
    moves AS (
      SELECT user_id, coalesce(channel_id, 0) AS channel_id, mode, 0 AS commissions, 0 AS revenue, 0 AS amount, 0 AS reverted,
        (reverted_at IS NULL)::integer AS matured, amount AS matured_amount, available_at AS matured_at,
        true AS is_woken
      FROM changed WHERE held_from IS NULL
    )`;
};
