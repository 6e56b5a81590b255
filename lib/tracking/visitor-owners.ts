import type { EntityManager } from 'typeorm';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';

type Tables = Database['tables'];

/**
 * SQL: makes a visitor id a user's for good, unless it is another user's already. Returns the user that it belongs to. The
 * update changes nothing: it waits for a concurrent call, and returns the row that is there.
 */
export function claimSql({ visitors }: Tables, visitor: string, user: string): string {
  return `INSERT INTO ${visitors} AS v (visitor_id, user_id) VALUES (${visitor}, ${user})
    ON CONFLICT (visitor_id) DO UPDATE SET user_id = v.user_id
    RETURNING v.user_id`;
}

/** SQL: whether a visitor id belongs to another user than this one. With a column, which Citus needs to read it on shards. */
export function isOthersSql({ visitors }: Tables, visitor: string, user: string): string {
  return `EXISTS (SELECT 1 FROM ${visitors} v WHERE v.visitor_id = ${visitor} AND v.user_id <> ${user})`;
}

/** Decides which user a visitor id belongs to: the first who signs in or signs up with it, for good. */
export class VisitorOwners {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes a visitor id a user's. Returns false if it is another user's. */
  async claim(visitorId: string, userId: string, manager?: EntityManager): Promise<boolean> {
    const { tables } = this.#database;
    const query = sql({ visitor: visitorId, user: userId }, ($) => claimSql(tables, $.visitor, $.user));
    const [row] = await this.#database.query<{ user_id: string }>(query, manager);
    return row!.user_id === userId;
  }
}
