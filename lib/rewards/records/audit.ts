import type { EntityManager, QueryRunner } from 'typeorm';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { hostIdOf, isNothing, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Actor, StaffOptions } from '../../types/audit';

export { staffFields } from '../../input';

/** One change, as `referral_audit` keeps it. */
export interface Change {
  /** The call that makes it, such as `programs.update`. */
  call: string;
  /** What is changed, as error messages name it: `program`, `commission`, … */
  subject: string;
  subjectId: string | number;
  /** The user whose money, attribution or address it is. Default: nobody's alone. */
  userId?: string | null;
  /** The changed fields before and after; null for what did not exist, or no longer does. Dates become ISO 8601. */
  before: object | null;
  after: object | null;
}

/** Who makes a change, and why: the checked options of a call. */
export interface Author {
  readonly actor: Actor;
  readonly by: string | null;
  readonly reason: string | null;
  readonly requestId: string | null;
}

/** The author of what the program does by itself. */
export const theProgram: Author = { actor: 'program', by: null, reason: null, requestId: null };

/** The author of what a user does in the JSON API. */
export function theUser(id: string): Author {
  return { actor: 'user', by: id, reason: null, requestId: null };
}

/** Returns the fields of a record whose values differ, before and after; null if none does. */
export function changedFields(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): Pick<Change, 'before' | 'after'> | null {
  const names = Object.keys(after).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  if (names.length === 0) return null;
  const of = (values: Readonly<Record<string, unknown>>): object =>
    Object.fromEntries(names.map((name) => [name, values[name]]));
  return { before: of(before), after: of(after) };
}

/** Checks what a call of staff says about itself. */
export function staffOf({ by, reason, requestId }: StaffOptions): Author {
  return {
    actor: 'staff',
    by: isNothing(by) ? null : hostIdOf('by', by),
    reason: isNothing(reason) ? null : textOf('reason', reason, lengths.description),
    requestId: isNothing(requestId) ? null : textOf('requestId', requestId, lengths.reference, 1),
  };
}

/** Like {@link staffOf}, for a call that needs a reason: 1 to 500 characters. */
export function reasonedStaffOf(options: StaffOptions): Author {
  return { ...staffOf(options), reason: textOf('reason', options.reason, lengths.description, 1) };
}

/** Keeps who changed what, and why. */
export class Audit {
  readonly #database: Database;
  readonly #clock: Clock;
  /** The ids of what is written in transactions that are listened to. */
  readonly #heard = new WeakMap<QueryRunner, number[]>();

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Returns the list to which the ids of all rows are added that are inserted in the transaction of a manager from now on, also
   * of those that a savepoint takes back later.
   */
  listen({ queryRunner }: EntityManager): readonly number[] {
    const ids: number[] = [];
    this.#heard.set(queryRunner!, ids);
    return ids;
  }

  /** Inserts the rows of changes in their transaction. */
  async record(changes: readonly Change[], author: Author, manager: EntityManager): Promise<void> {
    if (changes.length === 0) return;
    const query = sql(
      { changes: JSON.stringify(changes), ...author, now: this.#clock.parameter() },
      ($) => `
      INSERT INTO ${this.#database.tables.audit} ("call", subject, subject_id, user_id, "before", "after", actor, "by",
        reason, request_id, created_at)
      SELECT c."call", c.subject, c."subjectId", c."userId", c."before", c."after", ${$.actor}, ${$.by}, ${$.reason},
        ${$.requestId}, ${timeOf($.now)}
      FROM ROWS FROM (
        jsonb_to_recordset(${$.changes}::jsonb)
          AS ("call" text, subject text, "subjectId" text, "userId" text, "before" jsonb, "after" jsonb)
      ) WITH ORDINALITY AS c ("call", subject, "subjectId", "userId", "before", "after", position)
      ORDER BY c.position
      RETURNING id`,
    );
    const rows = await this.#database.query<{ id: string }>(query, manager);
    const heard = manager.queryRunner && this.#heard.get(manager.queryRunner);
    heard?.push(...rows.map(({ id }) => Number(id)));
  }
}
