import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import type { Events } from '../database/events';
import { sql, statement, type Statement } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import type { Referral } from '../entities/referral';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
import { type Batch, batchFields, batchOf, insertResponses, type NewResponse } from './response-insert';
import { claimSql } from './visitor-owners';
import type { Touch } from './visitor-token';

/** Records, links and counts responses. */
export class Responses {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #columns: string;
  /** Inserts a batch and returns each new row. */
  readonly #insertRows: Statement<Batch>;
  /** Inserts a batch of clicks, and returns each new row and the database's time. */
  readonly #insertClicks: Statement<Batch>;
  /** Inserts a batch of clicks, and returns only the ids of the referrals and the database's time. */
  readonly #countClicks: Statement<Batch>;

  constructor(database: Database, clock: Clock, events: Events) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#columns = database.columns(ReferralResponse);
    const insertAnd = (select: string): Statement<Batch> =>
      statement<Batch>(batchFields, ($) => `${insertResponses(database, $)} ${select}`);
    this.#insertRows = insertAnd(`SELECT ${this.#columns} FROM inserted`);
    this.#insertClicks = insertAnd(
      `SELECT ${timeInResult('now()')} AS now, ${this.#columns} FROM (SELECT) AS always LEFT JOIN inserted ON true ORDER BY id`,
    );
    this.#countClicks = insertAnd(
      `SELECT ${timeInResult('now()')} AS now, array_agg(DISTINCT referral_id) AS recorded FROM inserted`,
    );
  }

  /**
   * Records a batch of clicks in one statement.
   *
   * @returns the ids of the referrals whose clicks were recorded. The other referrals have expired or are deleted.
   */
  async recordClicks(clicks: readonly NewResponse[]): Promise<{ recorded: ReadonlySet<number>; now: Date }> {
    const batch = batchOf(clicks);
    if (this.#events.has('response')) {
      const rows = await this.#database.query<{ id: string | null; now: Date }>(this.#insertClicks.with(batch));
      const responses = rows
        .filter((row) => row.id !== null)
        .map((row) => this.#database.entity(ReferralResponse, row));
      for (const response of responses) this.#events.emit(undefined, 'response', response);
      return { recorded: new Set(responses.map(({ referralId }) => referralId)), now: rows[0]!.now };
    }
    const [row] = await this.#database.query<{ recorded: string[] | null; now: Date }>(this.#countClicks.with(batch));
    return { recorded: new Set(row!.recorded?.map(Number)), now: row!.now };
  }

  /** Records one response. Returns null if its referral is deleted, or had expired at the time of the touch. */
  async record(response: NewResponse, manager?: EntityManager): Promise<ReferralResponse | null> {
    const batch = batchOf([{ ...response, createdAt: response.createdAt ?? this.#clock.parameter() }]);
    const [row] = await this.#database.query<object>(this.#insertRows.with(batch), manager);
    if (!row) return null;
    const recorded = this.#database.entity(ReferralResponse, row);
    this.#events.emit(manager, 'response', recorded);
    return recorded;
  }

  /**
   * Makes the visitor id the user's, and sets the user on the visitor's responses that have none, to one referral or to
   * all. Concurrent calls link each response once: the statement locks the rows in the order of their keys, and
   * PostgreSQL tests `user_id IS NULL` again on each row once it is locked.
   *
   * @returns the responses that the call has changed; null if the visitor id is another user's.
   */
  async link(
    visitorId: string,
    userId: string,
    referralId: number | null,
    manager?: EntityManager,
  ): Promise<ReferralResponse[] | null> {
    const { tables } = this.#database;
    const { responses } = tables;
    const query = sql(
      { visitor: visitorId, user: userId, referral: referralId },
      ($) => `WITH owner AS (
         ${claimSql(tables, $.visitor, $.user)}
       ), found AS (
         SELECT referral_id, id FROM ${responses}
         WHERE visitor_id = ${$.visitor} AND user_id IS NULL AND EXISTS (SELECT FROM owner WHERE owner.user_id = ${$.user})
           AND (${$.referral}::bigint IS NULL OR referral_id = ${$.referral})
         ORDER BY referral_id, id FOR UPDATE
       ), linked AS (
         UPDATE ${responses} AS r SET user_id = ${$.user}
         FROM found WHERE r.referral_id = found.referral_id AND r.id = found.id
         RETURNING r.*
       )
       SELECT owner.user_id = ${$.user} AS "isOwner", ${this.#database.columns(ReferralResponse, 'linked')}
       FROM owner LEFT JOIN linked ON true ORDER BY linked.created_at, linked.id`,
    );
    const rows = await this.#database.query<{ isOwner: boolean; id: string | null }>(query, manager);
    if (!rows[0]!.isOwner) return null;
    const linked = rows.filter(({ id }) => id !== null).map((row) => this.#database.entity(ReferralResponse, row));
    for (const response of linked) this.#events.emit(manager, 'userLinkedToResponse', response);
    return linked;
  }

  /**
   * Inserts the click that the visitor carries, if it could not be inserted at the time of the click. Concurrent
   * sign-ins (two tabs) take a lock on the referral's row, so that only one of them inserts it.
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
        ($) => `SELECT 1 FROM ${responses}
         WHERE visitor_id = ${$.visitorId} AND referral_id = ${$.referral} AND touched_at >= ${$.clickedAt}
         AND (user_id = ${$.user} OR user_id IS NULL) LIMIT 1`,
      );
      const [found] = await this.#database.query(find, manager);
      if (found) return;
      const click: NewResponse = {
        ...{ referralId: referral.id, visitorId, userId: null, action: RESPONDED },
        ...{ ipAddress: null, userAgent: null, httpReferrer: null, targetType: null, targetId: null },
        ...{ createdAt: clickedAt, touchedAt: clickedAt },
      };
      await this.record(click, manager);
      await this.link(visitorId, userId, referral.id, manager);
    });
  }

  /** Returns the number of clicks of a referral. */
  async count(referralId: number, manager?: EntityManager): Promise<number> {
    const { dailyCounts } = this.#database.tables;
    const query = sql(
      { referral: referralId },
      ($) => `SELECT coalesce(sum(clicks), 0) AS clicks FROM ${dailyCounts} WHERE referral_id = ${$.referral}`,
    );
    const [row] = await this.#database.query<{ clicks: string }>(query, manager);
    return Number(row!.clicks);
  }
}
