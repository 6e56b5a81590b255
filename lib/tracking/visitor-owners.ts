import type { EntityManager } from 'typeorm';
import { arrayLiteral } from '../database/array-literal';
import type { Database } from '../database/database';
import { sql, type Statement, statement } from '../database/named-parameters';

type Tables = Database['tables'];

/** SQL: whether a visitor id belongs to another user than this one. With a column, which Citus needs to read it on shards. */
export function isOthersSql({ visitors }: Tables, visitor: string, user: string): string {
  return `EXISTS (SELECT 1 FROM ${visitors} v WHERE v.visitor_id = ${visitor} AND v.user_id <> ${user})`;
}

/** What one turn of the event loop asks for. */
interface Asked {
  readonly ids: Set<string>;
  /** The users, by their visitor ids. */
  readonly users: Promise<ReadonlyMap<string, string>>;
}

/** Decides which user a visitor id belongs to: the first who signs in or signs up with it, for good. */
export class VisitorOwners {
  readonly #database: Database;
  readonly #find: Statement<{ visitors: string }>;
  #asked: Asked | null = null;

  constructor(database: Database) {
    this.#database = database;
    this.#find = database.prepared(
      statement(
        { visitors: true },
        ($) =>
          `SELECT visitor_id, user_id FROM ${database.tables.visitors} WHERE visitor_id = ANY(${$.visitors}::uuid[])`,
      ),
    );
  }

  /**
   * Makes a visitor id a user's. Returns false if it is another user's. The update changes nothing: it waits for a
   * concurrent call, and returns the row that is there.
   */
  async claim(visitorId: string, userId: string, manager?: EntityManager): Promise<boolean> {
    const { visitors } = this.#database.tables;
    const query = sql(
      { visitor: visitorId, user: userId },
      ($) => `INSERT INTO ${visitors} AS v (visitor_id, user_id) VALUES (${$.visitor}, ${$.user})
        ON CONFLICT (visitor_id) DO UPDATE SET user_id = v.user_id
        RETURNING v.user_id`,
    );
    const [row] = await this.#database.query<{ user_id: string }>(query, manager);
    return row!.user_id === userId;
  }

  /**
   * Returns the user of a visitor id; null if it has none. The ids that are asked for in one turn of the event loop, as by
   * the clicks of a batch, share a statement.
   */
  async of(visitorId: string): Promise<string | null> {
    this.#asked ??= this.#ask();
    const { ids, users } = this.#asked;
    ids.add(visitorId);
    return (await users).get(visitorId) ?? null;
  }

  #ask(): Asked {
    const ids = new Set<string>();
    // After all promises of this turn.
    const users = new Promise<void>((resolve) => process.nextTick(resolve)).then(async () => {
      this.#asked = null;
      const query = this.#find.with({ visitors: arrayLiteral([...ids]) });
      const rows = await this.#database.query<{ visitor_id: string; user_id: string }>(query);
      return new Map(rows.map(({ visitor_id, user_id }) => [visitor_id, user_id]));
    });
    return { ids, users };
  }
}
