import type { EntityManager } from 'typeorm';
import { arrayLiteral } from '../database/array-literal';
import type { Database } from '../database/database';
import { type Placeholders, type Query, statement, type Statement } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import { ReferralResponse, RESPONDED } from '../entities/referral-response';
import { type CountedVisitor, limitedVisitor, type ManyClicks, manyClicksOf } from './click-limit';

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
  /** Null for the time of the statement: that of the host's transaction may be of a day that is closed by now. */
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
  /** The visitors with more clicks on a referral and day than are counted each. */
  readonly many: readonly ManyClicks[];
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
/** Those of a batch in which the clicks of each visitor, as {@link limitedVisitor} names it, are counted up to a limit. */
type LimitedBatch = Batch & { visitor: string };

const batchFields = Object.fromEntries(responseColumns.map(([, field]) => [field, true])) as Record<keyof Batch, true>;

/** A statement for batches in which each click says whether its visitor is new, and one that looks the others up. */
interface Statements {
  readonly known: Statement<Batch>;
  readonly looking: Statement<Batch>;
  /** Looks them up too, and counts the clicks of each visitor. Null without a limit. */
  readonly limited: Statement<LimitedBatch> | null;
}

/** Inserts a batch of responses in one statement. */
export class BatchInsert implements ResponseInsert {
  readonly #database: Database;
  /** Return the ids of the referrals. */
  readonly #counting: Statements;
  /** Return the new rows. */
  readonly #returning: Statements;

  /** @param max how many clicks of a visitor on a referral and day are counted each; null for all. */
  constructor(database: Database, max: number | null) {
    this.#database = database;
    const insertAnd = (returned: string, select: string): Statements => {
      const isNewVisitor = isFirstClick(database.tables);
      const now = `SELECT ${timeInResult('statement_timestamp()')} AS now`;
      const made = (isNew: string): Statement<Batch> =>
        database.prepared(
          statement<Batch>(
            batchFields,
            ($) => `${insertSql(database, $, { isNewVisitor: isNew, returned })} ${now}, ${select}`,
          ),
        );
      const limited = (limit: number): Statement<LimitedBatch> =>
        database.prepared(
          statement<LimitedBatch>(
            { ...batchFields, visitor: true },
            ($) =>
              `${insertSql(database, $, { isNewVisitor, returned, limit: { max: limit, visitors: $.visitor } })}
              ${now}, ${aboveLimit(limit)} AS many, ${select}`,
          ),
        );
      return {
        ...{ known: made('g.is_new_visitor'), looking: made(isNewVisitor) },
        limited: max === null ? null : limited(max),
      };
    };
    this.#counting = insertAnd(
      'referral_id, action, created_at, is_new_visitor, is_counted',
      'array_agg(DISTINCT referral_id) AS recorded FROM inserted',
    );
    this.#returning = insertAnd(
      '*',
      `${database.columns(ReferralResponse)} FROM (SELECT) AS always LEFT JOIN inserted ON true ORDER BY id`,
    );
  }

  async insert(given: readonly NewResponse[], isReturning: boolean, manager?: EntityManager): Promise<Inserted> {
    if (!isReturning) {
      const query = this.#query(this.#counting, given);
      const [row] = await this.#send<Row & { recorded: string[] | null }>(query, manager);
      const { recorded, now, many } = row!;
      return { recorded: new Set(recorded?.map(Number)), responses: [], many: manyClicksOf(many ?? [], given), now };
    }
    const rows = await this.#send<Row & { id: string | null }>(this.#query(this.#returning, given), manager);
    const responses = rows.filter(({ id }) => id !== null).map((row) => this.#database.entity(ReferralResponse, row));
    const recorded = new Set(responses.map(({ referralId }) => referralId));
    const { now, many } = rows[0]!;
    return { recorded, responses, many: manyClicksOf(many ?? [], given), now };
  }

  #query({ known, looking, limited }: Statements, given: readonly NewResponse[]): Query {
    const batch = batchOf(given);
    if (limited && given.some(({ action }) => action === RESPONDED))
      return limited.with({ ...batch, visitor: arrayLiteral(given.map(limitedVisitor)) });
    return (given.some(({ isNewVisitor }) => isNewVisitor === null) ? looking : known).with(batch);
  }

  async #send<Row>({ text, values, name }: Query, manager: EntityManager | undefined): Promise<Row[]> {
    // In the host's transaction it is not prepared: where a pooler can't prepare, its failure would end the transaction.
    if (manager) return this.#database.query<Row>({ text, values }, manager);
    return this.#database.attempt(() => this.#database.query<Row>({ text, values, name }));
  }
}

/** What each row of a result has. */
interface Row {
  now: Date;
  /** Only with a limit; null for none. */
  many?: CountedVisitor[] | null;
}

/** How the clicks of a batch are inserted. */
interface Insertion {
  /** SQL: whether a response `g` is its visitor's first click. */
  readonly isNewVisitor: string;
  /** SQL: the columns that are returned. */
  readonly returned: string;
  /** How many clicks of a visitor on a referral and day are counted each, and the array of the visitors. */
  readonly limit?: { readonly max: number; readonly visitors: string };
}

/** Returns SQL that inserts responses and counts the clicks among them. The caller appends a SELECT from `inserted`. */
function insertSql({ tables }: Database, $: Placeholders<Batch>, { isNewVisitor, returned, limit }: Insertion): string {
  const columns = responseColumns.map(([column]) => column);
  const arrays = responseColumns.map(([, field, type]) => `${$[field]}::${type}[]`);
  const valueOf = (column: string): string => (column === 'is_new_visitor' ? isNewVisitor : insertedValue(column));
  const values = columns.map((column) =>
    limit && column === 'is_new_visitor' ? `${valueOf(column)} AND is_counted` : valueOf(column),
  );
  const open = `given g JOIN links r ON r.id = g.referral_id WHERE ${isOpen('r')}`;
  return `
      WITH
      -- The batch.
      given AS (
        SELECT * FROM unnest(${[...arrays, ...(limit ? [`${limit.visitors}::uuid[]`] : [])].join(', ')})
          AS g (${[...columns, ...(limit ? ['visitor'] : [])].join(', ')})
      ),
      -- The referrals, each locked once: in place of a foreign key. A referral that is being deleted is waited for, and is
      -- missing then. Deleting one waits for this transaction, and then deletes what it has inserted. In the order of
      -- their ids, as every batch does.
      links AS (
        SELECT id, expired_at FROM ${tables.referrals} WHERE id = ANY(${$.referralId}::bigint[]) ORDER BY id FOR KEY SHARE
      ),${limit ? limitSql(tables, open) : ''}
      -- Without referrals that have expired or are deleted, even if a process has cached them as valid.
      inserted AS (
        INSERT INTO ${tables.responses} (${[...columns, ...(limit ? ['is_counted'] : [])].join(', ')})
        SELECT ${[...values, ...(limit ? ['is_counted'] : [])].join(', ')}
        FROM ${limit ? countedClicks(limit.max) : open}
        RETURNING ${returned}
      ),
      -- In the order of their keys, so that two batches can't deadlock.
      counted AS (
        INSERT INTO ${tables.dailyCounts} AS c (referral_id, day, clicks, visitors)
        SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*), ${newVisitors}
        FROM inserted WHERE action = '${RESPONDED}' AND is_counted GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (referral_id, day) DO UPDATE
          SET clicks = c.clicks + excluded.clicks, visitors = c.visitors + excluded.visitors
      )`;
}

/** SQL: CTEs that add the clicks of a batch to those of their visitors. */
function limitSql({ visitorClicks }: Database['tables'], open: string): string {
  return `
      -- The responses that are inserted. A click has its place among those of its visitor, referral and day in the batch.
      placed AS (
        SELECT placed.*, row_number() OVER of_visitor AS place, count(*) OVER of_visitor AS of_batch
        FROM (SELECT g.*, (${insertedValue('created_at')} AT TIME ZONE 'UTC')::date AS day FROM ${open}) AS placed
        WINDOW of_visitor AS (PARTITION BY placed.referral_id, placed.visitor, placed.day)
      ),
      -- All clicks of the visitors, with those of other processes: each waits here for the other. In the order of their
      -- keys, and before the daily counts, as every batch does.
      visits AS (
        INSERT INTO ${visitorClicks} AS v (referral_id, visitor, day, clicks)
        SELECT referral_id, visitor, day, count(*) FROM placed WHERE visitor IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (referral_id, visitor, day) DO UPDATE SET clicks = v.clicks + excluded.clicks
        RETURNING referral_id, visitor, day, clicks
      ),`;
}

/** SQL: the responses `g` to insert, each with whether it is counted. All clicks above the limit count as one. */
const countedClicks = (max: number): string =>
  `placed g LEFT JOIN visits v ON v.referral_id = g.referral_id AND v.visitor = g.visitor AND v.day = g.day
        CROSS JOIN LATERAL (SELECT v.clicks IS NULL OR v.clicks - g.of_batch + g.place <= ${max + 1} AS is_counted) AS c`;

/** SQL: the visitors above the limit, as JSON; null for none. */
const aboveLimit = (max: number): string =>
  `(SELECT jsonb_agg(jsonb_build_object('referralId', referral_id::text, 'visitor', visitor, 'day', to_char(day, 'YYYY-MM-DD')))
                FROM visits WHERE clicks > ${max})`;

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
  if (column === 'created_at') return 'coalesce(g.created_at, statement_timestamp())';
  if (column === 'touched_at') return 'coalesce(g.touched_at, g.created_at, statement_timestamp())';
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
