import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { type Query, sql } from '../database/named-parameters';
import { readingRunner } from '../database/reading-runner';
import type { Referral } from '../entities/referral';
import { ReferralResponse } from '../entities/referral-response';
import { takeAndSkipOf } from '../input';
import type { Settings } from '../options';
import type { ListOptions } from '../types/common';
import type { ClickLayout } from './click-layout';

const newestFirst = 'ORDER BY created_at DESC, id DESC';

/**
 * Lists responses, newest first. A page is read in the order of an index, whatever the table holds: the cost grows with
 * `take`, `skip` and the number of links.
 */
export class ResponseLists {
  readonly #database: Database;
  readonly #layout: ClickLayout;
  readonly #settings: Settings;
  readonly #columns: string;

  constructor(database: Database, layout: ClickLayout, settings: Settings) {
    this.#database = database;
    this.#layout = layout;
    this.#settings = settings;
    this.#columns = database.columns(ReferralResponse);
  }

  /** Returns a visitor's responses: those of the user, and those of the visitor id that have no user yet. */
  ofVisitor(userId: string | null, visitorId: string | null, options: ListOptions): Promise<ReferralResponse[]> {
    const { take = null, skip } = takeAndSkipOf(options);
    const { responses } = this.#database.tables;
    const query = sql({ user: userId, visitor: visitorId, take, skip }, ($) => {
      // A page is among the newest of both.
      const newestOf = (whose: string): string =>
        `(SELECT * FROM ${responses} WHERE ${whose} ${newestFirst} LIMIT ${$.take}::bigint + ${$.skip}::bigint)`;
      return `
      SELECT ${this.#columns} FROM (
        ${newestOf(`user_id = ${$.user}`)}
        UNION ALL ${newestOf(`visitor_id = ${$.visitor} AND user_id IS NULL`)}
      ) AS found ${newestFirst} LIMIT ${$.take} OFFSET ${$.skip}`;
    });
    return this.#read(query, options.manager);
  }

  /** Returns the responses to the referrals that a user owns. */
  async ofReferrer(userId: string, options: ListOptions): Promise<ReferralResponse[]> {
    const { take, skip } = takeAndSkipOf(options);
    const { referrals } = this.#database.tables;
    const owned = sql({ user: userId }, ($) => `SELECT id FROM ${referrals} WHERE user_id = ${$.user}`);
    const links = (await this.#database.query<{ id: string }>(owned, options.manager)).map(({ id }) => id);
    if (links.length === 0 || take === 0) return [];
    // Citus can't plan a page's statement: there, each shard sorts its responses.
    const isSorted = take === undefined || (await this.#layout.isDistributed(options.manager));
    const query = isSorted ? this.#sorted(links, take ?? null, skip) : this.#page(links, take, skip);
    return this.#read(query, options.manager);
  }

  /** Reads and sorts all responses to these links. */
  #sorted(links: readonly string[], take: number | null, skip: number): Query {
    return sql(
      { links, take, skip },
      ($) => `SELECT ${this.#columns} FROM ${this.#database.tables.responses}
       WHERE referral_id = ANY (${$.links}::bigint[]) ${newestFirst} LIMIT ${$.take} OFFSET ${$.skip}`,
    );
  }

  /**
   * One page of the responses to many links. PostgreSQL has no plan that merges the entries of many links in the order of
   * an index, and would read and sort all of them. So the statement first reads a few entries of each link, to learn how
   * old the last response of the page can be, and then no older one.
   */
  #page(links: readonly string[], take: number, skip: number): Query {
    const { responses } = this.#database.tables;
    const needed = take + skip;
    const each = Math.ceil(needed / links.length);
    return sql(
      { links, each, needed, take, skip },
      ($) => `
      WITH
      -- The newest responses of each link: together as many as are needed, unless there are links with few.
      sample AS MATERIALIZED (
        SELECT link.id AS referral_id, r.created_at, r.id
        FROM unnest(${$.links}::bigint[]) AS link (id) CROSS JOIN LATERAL (
          SELECT created_at, id FROM ${responses} WHERE referral_id = link.id ${newestFirst} LIMIT ${$.each}
        ) AS r
      ),
      -- One row: a response that the last of the page is not older than.
      bound AS MATERIALIZED (
        (SELECT created_at, id FROM sample ${newestFirst} OFFSET ${$.needed}::bigint - 1 LIMIT 1)
        UNION ALL SELECT '-infinity', 0 ${newestFirst} LIMIT 1
      ),
      -- The links that have such responses.
      chosen AS (
        SELECT DISTINCT sample.referral_id AS id
        FROM sample JOIN bound ON (sample.created_at, sample.id) >= (bound.created_at, bound.id)
      ),
      page AS (
        SELECT r.* FROM bound CROSS JOIN chosen CROSS JOIN LATERAL (
          SELECT referral_id, created_at, id FROM ${responses} AS r
          WHERE r.referral_id = chosen.id AND (r.created_at, r.id) >= (bound.created_at, bound.id)
          ${newestFirst} LIMIT ${$.needed}
        ) AS r ${newestFirst} LIMIT ${$.take} OFFSET ${$.skip}
      )
      SELECT ${this.#columns} FROM page JOIN ${responses} USING (referral_id, created_at, id) ${newestFirst}`,
    );
  }

  async #read(query: Query, manager: EntityManager | undefined): Promise<ReferralResponse[]> {
    const rows = await this.#database.query<object>(query, manager);
    return rows.map((row) => this.#database.entity(ReferralResponse, row));
  }

  /**
   * Returns a referral's responses, filtered or ordered by the option `responsesFilter`, which is called before a
   * connection is taken.
   */
  async filtered(referral: Referral, options: ListOptions): Promise<ReferralResponse[]> {
    const { take, skip } = takeAndSkipOf(options);
    const all = (options.manager ?? this.#database.dataSource.manager)
      .createQueryBuilder(ReferralResponse, 'response')
      .cache(false) // the option `cache` of the DataSource may be always on
      .where('response.referralId = :referralId', { referralId: referral.id })
      .orderBy('response.id', 'DESC'); // newest first, in the order of the primary key
    const query = this.#settings.responsesFilter(all, referral).take(take).skip(skip);
    return this.#database.use(async (within) => {
      const found = await query.setQueryRunner(readingRunner(within.queryRunner!)).getMany();
      await this.#readTimes(referral, found, within);
      return found;
    }, options.manager);
  }

  /** Reads the times that TypeORM could not read, because the `DateStyle` of the role is not ISO. */
  async #readTimes(referral: Referral, found: readonly ReferralResponse[], manager: EntityManager): Promise<void> {
    const isUnread = (time: Date | undefined): boolean => time !== undefined && Number.isNaN(time.getTime());
    const unread = found.filter(({ createdAt, touchedAt }) => isUnread(createdAt) || isUnread(touchedAt));
    if (unread.length === 0) return;
    const query = sql(
      { referral: referral.id, ids: unread.map(({ id }) => id) },
      ($) => `SELECT ${this.#columns} FROM ${this.#database.tables.responses}
        WHERE referral_id = ${$.referral} AND id = ANY(${$.ids}::bigint[])`,
    );
    const read = new Map((await this.#read(query, manager)).map((one) => [one.id, one]));
    for (const response of unread) {
      const { createdAt, touchedAt } = read.get(response.id) ?? response;
      if (isUnread(response.createdAt)) Object.assign(response, { createdAt });
      if (isUnread(response.touchedAt)) Object.assign(response, { touchedAt });
    }
  }
}
