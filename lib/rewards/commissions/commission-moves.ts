import type { EntityManager } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import type { Events } from '../../database/events';
import { sql, type Statement } from '../../database/named-parameters';
import { ReferralCommission } from '../../entities/referral-commission';
import type { MovedPast } from '../../types/signups';
import type { Audit, Author, Change } from '../records/audit';
import type { MovedEarnings, Reassigned } from '../records/moved-earnings';
import { decidedPurchases } from './decided-purchases';
import { type MoveParameters, moveStatement, type MoveRow, recountStatement, roomStatement } from './move-statement';

/**
 * Moves the past commissions of sign-ups that were reassigned: those of the sign-up itself, and of purchases that were credited
 * by it, or by the click before it. A coupon credits its owner by itself. What is in an earn-out stays, because it is paid or
 * being paid, and what is rejected stays so.
 */
export class CommissionMoves implements MovedEarnings {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #audit: Audit;
  readonly #room: ReturnType<typeof roomStatement>;
  readonly #move: Statement<MoveParameters>;
  readonly #recount: ReturnType<typeof recountStatement>;

  constructor(database: Database, clock: Clock, events: Events, audit: Audit) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#audit = audit;
    this.#room = roomStatement(database);
    this.#move = moveStatement(database);
    this.#recount = recountStatement(database);
  }

  async move(reassigned: Reassigned, author: Author, manager: EntityManager): Promise<MovedPast> {
    const { user, from, to, isSelfReferral } = reassigned;
    const owners = [from, to?.user].filter((owner) => typeof owner === 'string');
    await this.#lockPairs(user, owners, manager);
    const { ids, stays } = await this.#chosen(reassigned, manager);
    if (ids.length === 0) return { moved: this.#database.shown('0'), commissions: 0, stays };
    const parameters = {
      user,
      ids,
      to: to?.user ?? null,
      referral: to?.referral ?? null,
      now: this.#clock.parameter(),
    };
    if (to) await this.#database.query(this.#room.with(parameters), manager);
    const rows = await this.#database.query<MoveRow>(this.#move.with({ ...parameters, isSelfReferral }), manager);
    await this.#database.query(this.#recount.with({ user, owners }), manager);
    const changes = rows.map((row) => this.#changeOf(row, this.#madeIn(row)));
    await this.#audit.record(changes, author, manager);
    for (const row of rows) {
      const made = this.#madeIn(row);
      if (made) this.#events.emit(manager, 'commissionEarned', made);
    }
    return { moved: this.#database.shown(rows[0]!.movedInAll), commissions: rows.length, stays };
  }

  /**
   * Locks the pairs of both referrers, before the commissions, as a review does that begins to hold them. So what is moved is
   * held by it, or it waits and finds what was moved.
   */
  async #lockPairs(user: string, owners: readonly string[], manager: EntityManager): Promise<void> {
    const { referees } = this.#database.tables;
    const query = sql(
      { user, owners },
      ($) => `SELECT FROM ${referees} WHERE referee_id = ${$.user} AND user_id = ANY(${$.owners}::varchar[])
        ORDER BY user_id FOR NO KEY UPDATE`,
    );
    await this.#database.query(query, manager);
  }

  /** Locks the commissions in question. Returns those that can be moved, and the sum of what the earlier referrer keeps. */
  async #chosen(
    { user, signupId, from, to }: Reassigned,
    manager: EntityManager,
  ): Promise<{ ids: number[]; stays: string }> {
    const { tables } = this.#database;
    const query = sql(
      { user, signup: signupId, from, to: to?.user ?? null },
      ($) => `
      WITH
      -- What the sign-up has earned the earlier referrer; without one, what was moved to nobody, and nowhere since. An earn-out
      -- that has one of those pays nothing for it.
      locked AS (
        SELECT c.id, c.amount, (c.earn_out_id IS NULL OR c.moved_at IS NOT NULL) AND c.rejected_at IS NULL
          AND ${$.from}::varchar IS DISTINCT FROM ${$.to}::varchar AS is_movable
        FROM ${tables.commissions} c
        WHERE c.referee_id = ${$.user} AND CASE WHEN ${$.from}::varchar IS NULL
            THEN c.moved_at IS NOT NULL AND NOT EXISTS (SELECT FROM ${tables.commissions} n WHERE n.moved_from = c.id)
            ELSE c.moved_at IS NULL AND c.user_id = ${$.from} END
          AND CASE c.kind WHEN 'sign-up' THEN c.signup_id = ${$.signup}::bigint ELSE EXISTS (
            SELECT FROM ${decidedPurchases(tables)} p
            WHERE p.user_id = c.referee_id AND p.reference = c.purchase AND CASE WHEN ${$.from}::varchar IS NULL
              THEN p.referrer_id IS NULL ELSE p.referrer_id = c.user_id AND p.source IN ('sign-up', 'attribution') END
          ) END
        ORDER BY c.user_id, c.id FOR NO KEY UPDATE OF c
      )
      SELECT coalesce(array_agg(id::text) FILTER (WHERE is_movable), '{}') AS ids,
        coalesce(sum(amount) FILTER (WHERE NOT is_movable), 0)::text AS stays
      FROM locked`,
    );
    const [row] = await this.#database.query<{ ids: string[]; stays: string }>(query, manager);
    return { ids: row!.ids.map(Number), stays: this.#database.shown(row!.stays) };
  }

  /** The commission that one became; null if it was moved to nobody. */
  #madeIn(row: MoveRow): ReferralCommission | null {
    return row['commission.id'] === null ? null : this.#database.entity(ReferralCommission, row, 'commission.');
  }

  #changeOf({ id, userId, amountBefore, revertedBefore, movedAt }: MoveRow, made: ReferralCommission | null): Change {
    const before = { amount: this.#database.shown(amountBefore), revertedAt: revertedBefore, movedTo: null };
    const after = {
      amount: this.#database.shown('0'),
      revertedAt: revertedBefore ?? movedAt,
      movedTo: made?.id ?? null,
    };
    return { call: 'signups.reassign', subject: 'commission', subjectId: Number(id), userId, before, after };
  }
}
