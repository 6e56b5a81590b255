import type { EntityManager } from 'typeorm';
import type { VisitorClock } from '../database/clock';
import { forgetDaysOfOwner } from '../database/closed-days';
import type { Database } from '../database/database';
import type { Events } from '../database/events';
import { sql } from '../database/named-parameters';
import type { Referral } from '../entities/referral';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
import type { ClickLayout } from './click-layout';
import type { ClickLimit } from './click-limit';
import { DistributedInsert } from './distributed-insert';
import { BatchInsert, type Inserted, type NewResponse, type ResponseInsert } from './response-insert';
import type { VisitorOwners } from './visitor-owners';
import type { Touch } from './visitor-token';

/** Records, links and counts responses. */
export class Responses {
  readonly #database: Database;
  readonly #layout: ClickLayout;
  readonly #clock: VisitorClock;
  readonly #events: Events;
  readonly #owners: VisitorOwners;
  readonly #limit: ClickLimit;
  readonly #plain: ResponseInsert;
  readonly #distributed: ResponseInsert;

  constructor(
    database: Database,
    layout: ClickLayout,
    clock: VisitorClock,
    events: Events,
    owners: VisitorOwners,
    limit: ClickLimit,
  ) {
    this.#database = database;
    this.#owners = owners;
    this.#layout = layout;
    this.#clock = clock;
    this.#events = events;
    this.#limit = limit;
    this.#plain = new BatchInsert(database, limit.max);
    this.#distributed = new DistributedInsert(database, limit.max);
  }

  /** Records a batch of clicks. */
  async recordClicks(clicks: readonly NewResponse[]): Promise<Inserted> {
    const inserted = await this.#insert(clicks, this.#events.has('response'));
    for (const response of inserted.responses) this.#events.emit(undefined, 'response', response);
    return inserted;
  }

  /** Records one response. Returns null if its referral is deleted, or had expired at the time of the touch. */
  async record(response: NewResponse, manager?: EntityManager): Promise<ReferralResponse | null> {
    const given = { ...response, createdAt: response.createdAt ?? this.#clock.parameter() };
    const [recorded] = (await this.#insert([given], true, manager)).responses;
    if (!recorded) return null;
    this.#events.emit(manager, 'response', recorded);
    return recorded;
  }

  async #insert(given: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted> {
    const way = (await this.#layout.isDistributed(manager)) ? this.#distributed : this.#plain;
    const inserted = await way.insert(given, isReturning, manager);
    this.#limit.tell(inserted.many, this.#events, manager);
    return inserted;
  }

  /**
   * Makes the visitor id the user's, and then sets the user on the visitor's responses that have none, to one referral or
   * to all. Outside of a transaction, the first is committed before the second: a response that is committed too late for
   * the second finds the user ({@link VisitorOwners.of}).
   *
   * Concurrent calls link each response once: PostgreSQL tests `user_id IS NULL` again on each row once it is locked. A
   * row lock in a sub-select (FOR UPDATE) would give them an order, but can't be distributed: so a deadlock, with what
   * deletes the rows, is retried. In the host's transaction it is not, because the other one may wait for what that has
   * locked before: it is thrown, and the host repeats its transaction.
   *
   * @returns the responses that the call has changed, oldest first; null if the visitor id is another user's.
   */
  async link(
    visitorId: string,
    userId: string,
    referralId: number | null,
    manager?: EntityManager,
  ): Promise<ReferralResponse[] | null> {
    const { responses } = this.#database.tables;
    const query = sql(
      { visitor: visitorId, user: userId, referral: referralId },
      ($) => `WITH linked AS (
         UPDATE ${responses} SET user_id = ${$.user}
         WHERE visitor_id = ${$.visitor} AND user_id IS NULL
           AND (${$.referral}::bigint IS NULL OR referral_id = ${$.referral})
         RETURNING *
       )
       SELECT ${this.#database.columns(ReferralResponse)} FROM linked`,
    );
    const rows = await this.#database.attempt(
      async (within) =>
        (await this.#owners.claim(visitorId, userId, within)) ? this.#database.query<object>(query, within) : null,
      manager,
    );
    if (!rows) return null;
    // Sorted here: Citus expects so many rows of an UPDATE that PostgreSQL would compile the sort (JIT), for 70 ms.
    const linked = rows
      .map((row) => this.#database.entity(ReferralResponse, row))
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime() || a.id - b.id);
    for (const response of linked) this.#events.emit(manager, 'userLinkedToResponse', response);
    return linked;
  }

  /**
   * Inserts the click that the visitor carries, if it could not be inserted at the time of the click. Concurrent
   * sign-ins (two tabs) take a lock on the referral's row, so that only one of them inserts it. The day of the click may be closed.
   */
  async restoreClick(touch: Touch, referral: Referral, userId: string): Promise<void> {
    const { referrals, responses } = this.#database.tables;
    await this.#database.transaction(async (manager) => {
      const lock = sql(
        { referral: referral.id },
        ($) => `SELECT id FROM ${referrals} WHERE id = ${$.referral} FOR NO KEY UPDATE`,
      );
      await this.#database.query(lock, manager);
      // In a separate statement, because its snapshot contains what was committed while the lock was awaited.
      const { visitorId, clickedAt } = touch;
      const find = sql(
        { visitorId, referral: referral.id, clickedAt, user: userId },
        ($) => `SELECT touched_at >= ${$.clickedAt} AS "isOnRecord" FROM ${responses}
         WHERE visitor_id = ${$.visitorId} AND referral_id = ${$.referral}
         AND (user_id = ${$.user} OR user_id IS NULL) ORDER BY touched_at DESC LIMIT 1`,
      );
      const [newest] = await this.#database.query<{ isOnRecord: boolean }>(find, manager);
      if (newest?.isOnRecord) return;
      const click: NewResponse = {
        ...{ referralId: referral.id, visitorId, userId: null, action: RESPONDED },
        ...{ ipAddress: null, userAgent: null, httpReferrer: null, targetType: null, targetId: null },
        ...{ createdAt: clickedAt, touchedAt: clickedAt, isNewVisitor: newest === undefined },
      };
      await this.record(click, manager);
      await forgetDaysOfOwner(this.#database, referral.id, clickedAt.toISOString().slice(0, 10), manager);
      await this.link(visitorId, userId, referral.id, manager);
    });
  }

  /** Returns the sum of a column of the daily counts of a referral. */
  async count(referralId: number, column: 'clicks' | 'visitors', manager?: EntityManager): Promise<number> {
    const { dailyCounts } = this.#database.tables;
    const query = sql(
      { referral: referralId },
      ($) => `SELECT coalesce(sum(${column}), 0) AS sum FROM ${dailyCounts} WHERE referral_id = ${$.referral}`,
    );
    const [row] = await this.#database.query<{ sum: string }>(query, manager);
    return Number(row!.sum);
  }
}
