import type { EntityManager } from 'typeorm';
import { arrayLiteral } from '../database/array-literal';
import type { Database } from '../database/database';
import { type Placeholders, type Query, statement, type Statement } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';

/** The fields of a response to insert. */
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
  /** Null for the database's `now()`. */
  createdAt: Date | null;
  /** The time of the touch that it is attributed by; null if the response is a touch itself. */
  touchedAt: Date | null;
  /** Whether it is the visitor's first click on the referral. Null if only the database knows: see {@link isFirstClick}. */
  isNewVisitor: boolean | null;
}

/** The columns of a new response, each with its field of {@link NewResponse} and its type. */
export const responseColumns = [
  ['referral_id', 'referralId', 'bigint'],
  ['visitor_id', 'visitorId', 'uuid'],
  ['user_id', 'userId', 'text'],
  ['ip_address', 'ipAddress', 'text'],
  ['user_agent', 'userAgent', 'text'],
  ['http_referrer', 'httpReferrer', 'text'],
  ['action', 'action', 'text'],
  ['target_type', 'targetType', 'text'],
  ['target_id', 'targetId', 'text'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['touched_at', 'touchedAt', 'timestamptz'],
  ['is_new_visitor', 'isNewVisitor', 'boolean'],
] as const;

/** What was inserted of a batch of responses. */
export interface Inserted {
  /** The ids of the referrals whose responses were recorded. The other referrals have expired or are deleted. */
  readonly recorded: ReadonlySet<number>;
  /** The new responses, oldest first, if they were asked for. */
  readonly responses: ReferralResponse[];
  /** The database's time. */
  readonly now: Date;
}

/** Inserts responses and counts the clicks among them, as one transaction. */
export interface ResponseInsert {
  /** @param isReturning whether the new responses are returned. */
  insert(responses: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted>;
}

/** The values of several responses: one array for each column. */
type Batch = Record<keyof NewResponse, string>;

const batchFields = Object.fromEntries(responseColumns.map(([, field]) => [field, true])) as Record<keyof Batch, true>;

/** A statement for batches in which each click says whether its visitor is new, and one that looks the others up. */
interface Statements {
  readonly known: Statement<Batch>;
  readonly looking: Statement<Batch>;
}

/** Inserts a batch of responses in one statement. */
export class BatchInsert implements ResponseInsert {
  readonly #database: Database;
  /** Return the ids of the referrals. */
  readonly #counting: Statements;
  /** Return the new rows. */
  readonly #returning: Statements;

  constructor(database: Database) {
    this.#database = database;
    const insertAnd = (returned: string, select: string): Statements => {
      const made = (isNewVisitor: string): Statement<Batch> =>
        database.prepared(
          statement<Batch>(
            batchFields,
            ($) =>
              `${insertSql(database, $, isNewVisitor, returned)} SELECT ${timeInResult('now()')} AS now, ${select}`,
          ),
        );
      return { known: made('g.is_new_visitor'), looking: made(isFirstClick(database.tables)) };
    };
    this.#counting = insertAnd(
      'referral_id, action, created_at, is_new_visitor',
      'array_agg(DISTINCT referral_id) AS recorded FROM inserted',
    );
    this.#returning = insertAnd(
      '*',
      `${database.columns(ReferralResponse)} FROM (SELECT) AS always LEFT JOIN inserted ON true ORDER BY id`,
    );
  }

  async insert(given: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted> {
    const batch = batchOf(given);
    const which = given.some(({ isNewVisitor }) => isNewVisitor === null) ? 'looking' : 'known';
    if (!isReturning) {
      const [row] = await this.#send<{ recorded: string[] | null; now: Date }>(
        this.#counting[which].with(batch),
        manager,
      );
      return { recorded: new Set(row!.recorded?.map(Number)), responses: [], now: row!.now };
    }
    const rows = await this.#send<{ id: string | null; now: Date }>(this.#returning[which].with(batch), manager);
    const responses = rows.filter(({ id }) => id !== null).map((row) => this.#database.entity(ReferralResponse, row));
    return { recorded: new Set(responses.map(({ referralId }) => referralId)), responses, now: rows[0]!.now };
  }

  async #send<Row>({ text, values, name }: Query, manager: EntityManager | undefined): Promise<Row[]> {
    // In the host's transaction it is not prepared: where a pooler can't prepare, its failure would end the transaction.
    if (manager) return this.#database.query<Row>({ text, values }, manager);
    return this.#database.attempt(() => this.#database.query<Row>({ text, values, name }));
  }
}

/** Returns SQL that inserts responses and counts the clicks among them. The caller appends a SELECT from `inserted`. */
function insertSql({ tables }: Database, $: Placeholders<Batch>, isNewVisitor: string, returned: string): string {
  const columns = responseColumns.map(([column]) => column).join(', ');
  const arrays = responseColumns.map(([, field, type]) => `${$[field]}::${type}[]`).join(', ');
  return `
      WITH
      -- The batch.
      given AS (
        SELECT * FROM unnest(${arrays}) AS g (${columns})
      ),
      -- The referrals, each locked once: in place of a foreign key. A referral that is being deleted is waited for, and is
      -- missing then. Deleting one waits for this transaction, and then deletes what it has inserted. In the order of
      -- their ids, as every batch does.
      links AS (
        SELECT id, expired_at FROM ${tables.referrals} WHERE id = ANY(${$.referralId}::bigint[]) ORDER BY id FOR KEY SHARE
      ),
      -- Without referrals that have expired or are deleted, even if a process has cached them as valid.
      inserted AS (
        INSERT INTO ${tables.responses} (${columns})
        SELECT ${responseColumns.map(([column]) => (column === 'is_new_visitor' ? isNewVisitor : insertedValue(column))).join(', ')}
        FROM given g JOIN links r ON r.id = g.referral_id
        WHERE ${isOpen('r')}
        RETURNING ${returned}
      ),
      -- In the order of their keys, so that two batches can't deadlock.
      counted AS (
        INSERT INTO ${tables.dailyCounts} AS c (referral_id, day, clicks, visitors)
        SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*), ${newVisitors}
        FROM inserted WHERE action = '${RESPONDED}' GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (referral_id, day) DO UPDATE
          SET clicks = c.clicks + excluded.clicks, visitors = c.visitors + excluded.visitors
      )`;
}

/** SQL: how many of a group of responses are first clicks of their visitors. */
export const newVisitors = 'count(*) FILTER (WHERE is_new_visitor)';

/**
 * SQL: whether a given response is the first click on the referral by its user or, while nobody is signed in, by its
 * visitor id. Only looked up if that is not known. LIMIT 1 in place of EXISTS, because PostgreSQL would read the whole
 * table to hash it where it expects many rows.
 */
function isFirstClick({ responses }: Database['tables']): string {
  const isFirst = (whose: string): string =>
    `(SELECT 1 FROM ${responses} o WHERE ${whose} AND o.referral_id = g.referral_id AND o.action = '${RESPONDED}' LIMIT 1) IS NULL`;
  return `CASE WHEN g.is_new_visitor IS NOT NULL THEN g.is_new_visitor
          WHEN g.user_id IS NOT NULL THEN ${isFirst('o.user_id = g.user_id')}
          ELSE ${isFirst('o.visitor_id = g.visitor_id AND o.user_id IS NULL')} END`;
}

/** SQL: whether a referral has not expired at the time of the touch of a given response. */
export function isOpen(referral: string): string {
  return `(${referral}.expired_at IS NULL OR ${referral}.expired_at > ${insertedValue('touched_at')})`;
}

/** SQL: the value of a column of a given response. Times have a default. */
export function insertedValue(column: string): string {
  if (column === 'created_at') return 'coalesce(g.created_at, now())';
  if (column === 'touched_at') return 'coalesce(g.touched_at, g.created_at, now())';
  return `g.${column}`;
}

/**
 * Returns the arrays of a batch. An array of nulls alone is sent empty, because `unnest()` fills it up with nulls. Most
 * arrays of clicks are.
 */
function batchOf(responses: readonly NewResponse[]): Batch {
  const arrays = responseColumns.map(([, field]) => {
    const hasValues = responses.some((response) => response[field] !== null);
    return [field, hasValues ? arrayLiteral(responses.map((response) => response[field])) : '{}'];
  });
  return Object.fromEntries(arrays) as Batch;
}
