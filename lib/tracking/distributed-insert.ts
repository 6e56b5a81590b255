import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { timeAsText, timeInResult } from '../database/result-types';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
import { type CountedVisitor, limitedVisitor, manyClicksOf } from './click-limit';
import {
  type Inserted,
  insertedValue,
  isOpen,
  type NewResponse,
  type ResponseInsert,
  responseColumns,
} from './response-insert';

/** A response that may be inserted: its place in the batch, and its times. */
interface Accepted {
  /** From 1. */
  n: string;
  createdAt: string;
  touchedAt: string;
  day: string;
}

/**
 * Inserts a batch of responses into tables that Citus distributes by the referral. Rows given as VALUES go straight to
 * their shards; `INSERT … SELECT` with a join, as in `BatchInsert`, would move the batch about between the nodes.
 */
export class DistributedInsert implements ResponseInsert {
  readonly #database: Database;
  readonly #columns: string;
  readonly #max: number | null;

  /** @param max how many clicks of a visitor on a referral and day are counted each; null for all. */
  constructor(database: Database, max: number | null) {
    this.#database = database;
    this.#max = max;
    this.#columns = database.columns(ReferralResponse);
  }

  insert(given: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted> {
    return this.#database.transaction(async (within) => {
      const { now, accepted } = await this.#lock(given, within);
      const isNew = await this.#newVisitors(given, within);
      const open = accepted.map(({ n, createdAt, touchedAt, day }) => {
        const response = given[Number(n) - 1]!;
        return { ...response, isNewVisitor: isNew(response), createdAt, touchedAt, day, isCounted: true };
      });
      const recorded = new Set(open.map(({ referralId }) => referralId));
      if (open.length === 0) return { recorded, responses: [], many: [], now };
      const { rows, many } =
        this.#max === null ? { rows: open, many: [] } : await this.#limited(open, this.#max, within);
      const inserting = [...responseColumns, ['is_counted', 'isCounted', 'boolean']] as const;
      const values = rows.map((row) => inserting.map(([, field]) => row[field]));
      const types = inserting.map(([, , type]) => type);
      const columns = inserting.map(([column]) => column).join(', ');
      const { responses, dailyCounts } = this.#database.tables;
      const insert = `INSERT INTO ${responses} (${columns}) VALUES ${valuesOf(values.length, types)}`;
      const inserted = await this.#database.query<{ id: string }>(
        {
          // A function that reads a setting, as those of times do, is not allowed in RETURNING.
          text: isReturning ? `WITH inserted AS (${insert} RETURNING *) SELECT ${this.#columns} FROM inserted` : insert,
          values: values.flat(),
        },
        within,
      );
      const counts = clicksOf(rows);
      if (counts.length > 0)
        await this.#database.query(
          {
            text: `INSERT INTO ${dailyCounts} AS c (referral_id, day, clicks, visitors)
              VALUES ${valuesOf(counts.length, ['bigint', 'date', 'bigint', 'bigint'])}
              ON CONFLICT (referral_id, day) DO UPDATE
                SET clicks = c.clicks + excluded.clicks, visitors = c.visitors + excluded.visitors`,
            values: counts.flat(),
          },
          within,
        );
      return {
        ...{ recorded, now, many: manyClicksOf(many, given) },
        responses: inserted
          .sort((a, b) => Number(a.id) - Number(b.id))
          .map((row) => this.#database.entity(ReferralResponse, row)),
      };
    }, manager);
  }

  /** Returns whether a click is its visitor's first. Like the look-up of `BatchInsert`, for the clicks that need it. */
  async #newVisitors(given: readonly NewResponse[], manager: EntityManager): Promise<(click: NewResponse) => boolean> {
    const unknown = given.filter(({ isNewVisitor }) => isNewVisitor === null);
    if (unknown.length === 0) return ({ isNewVisitor }) => isNewVisitor === true;
    const { responses } = this.#database.tables;
    const query = sql(
      {
        referralIds: unknown.map(({ referralId }) => referralId),
        userIds: unknown.flatMap(({ userId }) => userId ?? []),
        visitorIds: unknown.flatMap(({ userId, visitorId }) => (userId === null ? (visitorId ?? []) : [])),
      },
      ($) =>
        [`user_id = ANY(${$.userIds}::text[])`, `visitor_id = ANY(${$.visitorIds}::uuid[]) AND user_id IS NULL`]
          .map(
            (whose) => `SELECT referral_id, user_id, visitor_id FROM ${responses}
            WHERE ${whose} AND referral_id = ANY(${$.referralIds}::bigint[]) AND action = '${RESPONDED}'`,
          )
          .join(' UNION '),
    );
    const rows = await this.#database.query<{ referral_id: string; user_id: string | null; visitor_id: string | null }>(
      query,
      manager,
    );
    const known = new Set(rows.map((row) => visitorKey(Number(row.referral_id), row.user_id, row.visitor_id)));
    return ({ isNewVisitor, referralId, userId, visitorId }) =>
      isNewVisitor ?? !known.has(visitorKey(referralId, userId, visitorId));
  }

  /** Adds the clicks to those of their visitors, and says which are counted. As the CTEs of `BatchInsert` do. */
  async #limited<R extends Keyed & { isNewVisitor: boolean; isCounted: boolean }>(
    open: readonly R[],
    max: number,
    manager: EntityManager,
  ): Promise<{ rows: readonly R[]; many: CountedVisitor[] }> {
    const groups = new Map<string, { key: [number, string, string]; rows: R[] }>();
    for (const row of open) {
      const visitor = limitedVisitor(row);
      if (visitor === null) continue;
      const key: [number, string, string] = [row.referralId, visitor, row.day];
      const group = groups.get(key.join(' ')) ?? { key, rows: [] };
      groups.set(key.join(' '), group);
      group.rows.push(row);
    }
    if (groups.size === 0) return { rows: open, many: [] };
    const ordered = [...groups.values()].sort((a, b) => a.key[0] - b.key[0] || (a.key.join() < b.key.join() ? -1 : 1));
    const visits = await this.#database.query<CountedVisitor & { clicks: string }>(
      {
        text: `WITH visits AS (
            INSERT INTO ${this.#database.tables.visitorClicks} AS v (referral_id, visitor, day, clicks)
            VALUES ${valuesOf(ordered.length, ['bigint', 'uuid', 'date', 'bigint'])}
            ON CONFLICT (referral_id, visitor, day) DO UPDATE SET clicks = v.clicks + excluded.clicks
            RETURNING referral_id, visitor, day, clicks
          )
          SELECT referral_id AS "referralId", visitor, to_char(day, 'YYYY-MM-DD') AS day, clicks FROM visits`,
        values: ordered.flatMap(({ key, rows }) => [...key, rows.length]),
      },
      manager,
    );
    const uncounted = new Set<R>();
    for (const { referralId, visitor, day, clicks } of visits) {
      const { rows } = groups.get(`${referralId} ${visitor} ${day}`)!;
      const room = Math.max(0, max + 1 - (Number(clicks) - rows.length));
      for (const row of rows.slice(room)) uncounted.add(row);
    }
    return {
      rows: open.map((row) => (uncounted.has(row) ? { ...row, isCounted: false, isNewVisitor: false } : row)),
      many: visits.filter(({ clicks }) => Number(clicks) > max),
    };
  }

  /** Locks the referrals as `BatchInsert` does, and returns the responses to those that are there and have not expired. */
  async #lock(
    given: readonly NewResponse[],
    manager: EntityManager,
  ): Promise<{ now: Date; accepted: readonly Accepted[] }> {
    const { referrals } = this.#database.tables;
    const query = sql(
      {
        referralIds: given.map(({ referralId }) => referralId),
        createdAt: given.map(({ createdAt }) => createdAt),
        touchedAt: given.map(({ touchedAt }) => touchedAt),
      },
      ($) => `
      WITH links AS (
        SELECT id, expired_at FROM ${referrals} WHERE id = ANY(${$.referralIds}::bigint[]) ORDER BY id FOR KEY SHARE
      )
      SELECT ${timeInResult('statement_timestamp()')} AS now, n, ${timeAsText(insertedValue('created_at'))} AS "createdAt",
        ${timeAsText(insertedValue('touched_at'))} AS "touchedAt",
        ${timeAsText(`(${insertedValue('created_at')} AT TIME ZONE 'UTC')::date`)} AS day
      FROM (SELECT) AS always LEFT JOIN (
        unnest(${$.referralIds}::bigint[], ${$.createdAt}::timestamptz[], ${$.touchedAt}::timestamptz[])
          WITH ORDINALITY AS g (referral_id, created_at, touched_at, n)
        JOIN links r ON r.id = g.referral_id AND ${isOpen('r')}
      ) ON true ORDER BY n`,
    );
    const rows = await this.#database.query<{ now: Date; n: string | null } & Omit<Accepted, 'n'>>(query, manager);
    return { now: rows[0]!.now, accepted: rows.filter((row): row is typeof row & Accepted => row.n !== null) };
  }
}

/** What a click is counted by. */
type Keyed = Pick<NewResponse, 'referralId' | 'action' | 'userId' | 'visitorId'> & { day: string };

/** The visitor of a click on a referral, as a key: the user, or while nobody is signed in, the visitor id. */
function visitorKey(referralId: number, userId: string | null, visitorId: string | null): string {
  return userId === null ? `${referralId} visitor ${visitorId}` : `${referralId} user ${userId}`;
}

/** SQL: rows of placeholders with these types. */
function valuesOf(rows: number, types: readonly string[]): string {
  const row = (index: number): string =>
    `(${types.map((type, column) => `$${index * types.length + column + 1}::${type}`).join(', ')})`;
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ');
}

/** How many clicks and new visitors there are of each referral and day, in the order of the keys. */
function clicksOf(
  rows: readonly { referralId: number; action: string; day: string; isNewVisitor: boolean; isCounted: boolean }[],
): [referralId: number, day: string, clicks: number, visitors: number][] {
  const counts = new Map<string, [number, string, number, number]>();
  for (const { referralId, action, day, isNewVisitor, isCounted } of rows) {
    if (action !== RESPONDED || !isCounted) continue;
    const key = `${referralId} ${day}`;
    const [, , clicks, visitors] = counts.get(key) ?? [referralId, day, 0, 0];
    counts.set(key, [referralId, day, clicks + 1, visitors + Number(isNewVisitor)]);
  }
  return [...counts.values()].sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1));
}
