import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { timeAsText, timeInResult } from '../database/result-types';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
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

  constructor(database: Database) {
    this.#database = database;
    this.#columns = database.columns(ReferralResponse);
  }

  insert(given: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted> {
    return this.#database.transaction(async (within) => {
      const { now, accepted } = await this.#lock(given, within);
      const rows = accepted.map(({ n, createdAt, touchedAt, day }) => {
        return { ...given[Number(n) - 1]!, createdAt, touchedAt, day };
      });
      const recorded = new Set(rows.map(({ referralId }) => referralId));
      if (rows.length === 0) return { recorded, responses: [], now };
      const values = rows.map((row) => responseColumns.map(([, field]) => row[field]));
      const types = responseColumns.map(([, , type]) => type);
      const columns = responseColumns.map(([column]) => column).join(', ');
      const { responses, dailyCounts } = this.#database.tables;
      const inserted = await this.#database.query<{ id: string }>(
        {
          text: `INSERT INTO ${responses} (${columns}) VALUES ${valuesOf(values.length, types)}
            ${isReturning ? `RETURNING ${this.#columns}` : ''}`,
          values: values.flat(),
        },
        within,
      );
      const counts = clicksOf(rows);
      if (counts.length > 0)
        await this.#database.query(
          {
            text: `INSERT INTO ${dailyCounts} AS c (referral_id, day, clicks)
              VALUES ${valuesOf(counts.length, ['bigint', 'date', 'bigint'])}
              ON CONFLICT (referral_id, day) DO UPDATE SET clicks = c.clicks + excluded.clicks`,
            values: counts.flat(),
          },
          within,
        );
      return {
        ...{ recorded, now },
        responses: inserted
          .sort((a, b) => Number(a.id) - Number(b.id))
          .map((row) => this.#database.entity(ReferralResponse, row)),
      };
    }, manager);
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
      SELECT ${timeInResult('now()')} AS now, n, ${timeAsText(insertedValue('created_at'))} AS "createdAt",
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

/** SQL: rows of placeholders with these types. */
function valuesOf(rows: number, types: readonly string[]): string {
  const row = (index: number): string =>
    `(${types.map((type, column) => `$${index * types.length + column + 1}::${type}`).join(', ')})`;
  return Array.from({ length: rows }, (_, index) => row(index)).join(', ');
}

/** How many clicks there are of each referral and day, in the order of the keys. */
function clicksOf(
  rows: readonly { referralId: number; action: string; day: string }[],
): [referralId: number, day: string, clicks: number][] {
  const counts = new Map<string, [number, string, number]>();
  for (const { referralId, action, day } of rows) {
    if (action !== RESPONDED) continue;
    const key = `${referralId} ${day}`;
    counts.set(key, [referralId, day, (counts.get(key)?.[2] ?? 0) + 1]);
  }
  return [...counts.values()].sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1));
}
