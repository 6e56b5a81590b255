import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import type { Events } from '../database/events';
import type { Referral } from '../entities/referral';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
import { pageOf } from '../input';
import type { Settings } from '../options';
import type { ListOptions } from '../types/common';
import type { Visit } from './visitor-token';

/** The facts of a response that is to be recorded. */
export interface NewResponse {
  referralId: number;
  visitorId: string | null;
  userId: string | null;
  ipAddress: string | null;
  userAgent: string | null;
  httpReferrer: string | null;
  action: string;
  targetType: string | null;
  targetId: string | null;
  /** Null: the database's `now()`. */
  createdAt: Date | null;
  /** The touch that it is attributed by; null: itself. */
  touchedAt: Date | null;
}

/** Each fact's column and type, in the order of the parameters. */
const facts = [
  ['referralId', 'referral_id', 'bigint'],
  ['visitorId', 'visitor_id', 'uuid'],
  ['userId', 'user_id', 'text'],
  ['ipAddress', 'ip_address', 'text'],
  ['userAgent', 'user_agent', 'text'],
  ['httpReferrer', 'http_referrer', 'text'],
  ['action', 'action', 'text'],
  ['targetType', 'target_type', 'text'],
  ['targetId', 'target_id', 'text'],
  ['createdAt', 'created_at', 'timestamptz'],
  ['touchedAt', 'touched_at', 'timestamptz'],
] as const;

/** Records, links, counts and lists responses: all of the SQL on them. */
export class Responses {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #events: Events;
  readonly #settings: Settings;
  readonly #columns: string;
  /** Everything up to the final SELECT, which may read `inserted`. */
  readonly #insert: string;

  constructor(database: Database, clock: Clock, events: Events, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#events = events;
    this.#settings = settings;
    this.#columns = database.columns(ReferralResponse);
    const { referrals, responses, dailyCounts } = database.tables;
    const columns = facts.map(([, column]) => column).join(', ');
    // The join decides whether the referral still counts, whatever a process remembers of it. Counts are written in the
    // order of their keys, so that two batches never wait for each other in a circle.
    this.#insert = `
      WITH given AS (
        SELECT * FROM unnest(${facts.map(([, , type], index) => `$${index + 1}::${type}[]`).join(', ')}) AS g(${columns})
      ), inserted AS (
        INSERT INTO ${responses} (${columns})
        SELECT ${facts.map(([, column]) => insertedValue(column)).join(', ')}
        FROM given g JOIN ${referrals} r ON r.id = g.referral_id
        WHERE r.expired_at IS NULL OR r.expired_at > ${insertedValue('touched_at')}
        RETURNING *
      ), counted AS (
        INSERT INTO ${dailyCounts} AS c (referral_id, day, clicks)
        SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*)
        FROM inserted WHERE action = '${RESPONDED}' GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (referral_id, day) DO UPDATE SET clicks = c.clicks + excluded.clicks
      )`;
  }

  /**
   * Records a batch of clicks in one statement.
   *
   * @returns the ids of the referrals whose clicks were recorded: the others' have expired or are deleted.
   */
  async recordClicks(clicks: readonly NewResponse[]): Promise<{ recorded: ReadonlySet<number>; now: Date }> {
    const parameters = parametersOf(clicks);
    if (this.#events.has('response')) {
      const rows = await this.#database.query<ReferralResponse & { now: Date }>(
        `${this.#insert} SELECT now(), ${this.#columns} FROM (SELECT) AS always LEFT JOIN inserted ON true ORDER BY id`,
        parameters,
      );
      const now = rows[0]!.now;
      const responses = rows
        .filter((row) => row.id !== null)
        .map((row) => this.#database.entity(ReferralResponse, row));
      for (const response of responses) this.#events.emit(undefined, 'response', response);
      return { recorded: new Set(responses.map(({ referralId }) => referralId)), now };
    }
    const [answer] = await this.#database.query<{ recorded: string[] | null; now: Date }>(
      `${this.#insert} SELECT now(), array_agg(DISTINCT referral_id) AS recorded FROM inserted`,
      parameters,
    );
    return { recorded: new Set(answer!.recorded?.map(Number)), now: answer!.now };
  }

  /** Records one response; null when its referral is deleted, or had expired at the touch. */
  async record(response: NewResponse, manager?: EntityManager): Promise<ReferralResponse | null> {
    const [row] = await this.#database.query<ReferralResponse>(
      `${this.#insert} SELECT ${this.#columns} FROM inserted`,
      parametersOf([{ ...response, createdAt: response.createdAt ?? this.#clock.parameter() }]),
      manager,
    );
    if (!row) return null;
    const recorded = this.#database.entity(ReferralResponse, row);
    this.#events.emit(manager, 'response', recorded);
    return recorded;
  }

  /**
   * Sets the user on the visitor's userless responses, of one referral or of all. Of several calls at once each response
   * is linked by one: the rows are locked in the order of their keys, and tested again once locked.
   */
  async link(
    visitorId: string,
    userId: string,
    referralId: number | null,
    manager?: EntityManager,
  ): Promise<ReferralResponse[]> {
    const { tables } = this.#database;
    const rows = await this.#database.query<ReferralResponse>(
      `WITH found AS (
         SELECT referral_id, id FROM ${tables.responses}
         WHERE visitor_id = $1 AND user_id IS NULL AND ($3::bigint IS NULL OR referral_id = $3)
         ORDER BY referral_id, id FOR UPDATE
       ), linked AS (
         UPDATE ${tables.responses} AS r SET user_id = $2
         FROM found WHERE r.referral_id = found.referral_id AND r.id = found.id
         RETURNING r.*
       )
       SELECT ${this.#columns} FROM linked ORDER BY created_at, id`,
      [visitorId, userId, referralId],
      manager,
    );
    const linked = rows.map((row) => this.#database.entity(ReferralResponse, row));
    for (const response of linked) this.#events.emit(manager, 'userLinkedToResponse', response);
    return linked;
  }

  /**
   * Sees to it that the click which the visitor carries is on record, also when its insert failed at the time. Sign-ins
   * at once (two tabs) take turns by a lock on the referral's row, so that it is restored once.
   */
  async restoreClick(visit: Visit, referral: Referral, userId: string): Promise<void> {
    const { tables } = this.#database;
    await this.#database.transaction(async (manager) => {
      await manager.query(`SELECT id FROM ${tables.referrals} WHERE id = $1 FOR NO KEY UPDATE`, [referral.id]);
      // A statement of its own, so that it sees what was committed while it waited for the lock.
      const [found] = await this.#database.query(
        `SELECT 1 FROM ${tables.responses} WHERE visitor_id = $1 AND referral_id = $2 AND touched_at >= $3
         AND (user_id = $4 OR user_id IS NULL) LIMIT 1`,
        [visit.visitorId, referral.id, visit.clickedAt, userId],
        manager,
      );
      if (found) return;
      const click: NewResponse = {
        ...{ referralId: referral.id, visitorId: visit.visitorId, userId: null, action: RESPONDED },
        ...{ ipAddress: null, userAgent: null, httpReferrer: null, targetType: null, targetId: null },
        ...{ createdAt: visit.clickedAt, touchedAt: visit.clickedAt },
      };
      await this.record(click, manager);
      await this.link(visit.visitorId, userId, referral.id, manager);
    });
  }

  /** How many clicks a referral has. */
  async count(referralId: number, manager?: EntityManager): Promise<number> {
    const [row] = await this.#database.query<{ clicks: string }>(
      `SELECT coalesce(sum(clicks), 0) AS clicks FROM ${this.#database.tables.dailyCounts} WHERE referral_id = $1`,
      [referralId],
      manager,
    );
    return Number(row!.clicks);
  }

  /** All responses of a visitor, newest first: the user's, and those of the visitor id that are no user's yet. */
  ofVisitor(userId: string | null, visitorId: string | null, options: ListOptions): Promise<ReferralResponse[]> {
    return this.#list('user_id = $1 OR (visitor_id = $2 AND user_id IS NULL)', [userId, visitorId], options);
  }

  /** All responses to the referrals that a user owns, newest first. */
  ofReferrer(userId: string, options: ListOptions): Promise<ReferralResponse[]> {
    const owned = `SELECT id FROM ${this.#database.tables.referrals} WHERE user_id = $1`;
    return this.#list(`referral_id IN (${owned})`, [userId], options);
  }

  async #list(where: string, parameters: unknown[], options: ListOptions): Promise<ReferralResponse[]> {
    const { take, skip } = pageOf(options);
    const { tables } = this.#database;
    const count = parameters.length;
    const rows = await this.#database.query<ReferralResponse>(
      `SELECT ${this.#columns} FROM ${tables.responses} WHERE ${where}
       ORDER BY created_at DESC, id DESC LIMIT $${count + 1} OFFSET $${count + 2}`,
      [...parameters, take ?? null, skip],
      options.manager,
    );
    return rows.map((row) => this.#database.entity(ReferralResponse, row));
  }

  /** A referral's responses as the host's filter leaves them. */
  filtered(referral: Referral, options: ListOptions): Promise<ReferralResponse[]> {
    const { take, skip } = pageOf(options);
    return this.#database.use((manager) => {
      const query = manager
        .createQueryBuilder(ReferralResponse, 'response')
        .where('response.referralId = :referralId', { referralId: referral.id })
        .orderBy('response.id', 'DESC'); // newest first, in the order of the primary key
      return this.#settings.responsesFilter(query, referral).take(take).skip(skip).getMany();
    }, options.manager);
  }
}

/** The value of a column in the INSERT: what was given, and for the times what they default to. */
function insertedValue(column: string): string {
  if (column === 'created_at') return 'coalesce(g.created_at, now())';
  if (column === 'touched_at') return 'coalesce(g.touched_at, g.created_at, now())';
  return `g.${column}`;
}

/** An array a column. One that is all null, as most are for clicks, is sent empty: unnest() fills up with nulls. */
function parametersOf(responses: readonly NewResponse[]): unknown[] {
  return facts.map(([fact]) =>
    responses.some((response) => response[fact] !== null) ? responses.map((response) => response[fact]) : [],
  );
}
