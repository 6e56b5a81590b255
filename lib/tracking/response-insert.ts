import type { Database } from '../database/database';
import type { Placeholders } from '../database/named-parameters';
import { RESPONDED } from '../entities/referral-response';

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
}

/** The columns of a new response, each with its field of {@link NewResponse} and its type. */
const responseColumns = [
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
] as const;

/** The values of several responses: one array for each column. */
export type Batch = Record<keyof NewResponse, unknown[]>;

export const batchFields = Object.fromEntries(responseColumns.map(([, field]) => [field, true])) as Record<
  keyof Batch,
  true
>;

/**
 * Returns SQL that inserts responses and counts the clicks among them. The caller appends a SELECT, which may read
 * `inserted`.
 */
export function insertResponses({ tables }: Database, $: Placeholders<Batch>): string {
  const columns = responseColumns.map(([column]) => column).join(', ');
  const arrays = responseColumns.map(([, field, type]) => `${$[field]}::${type}[]`).join(', ');
  // The join leaves out referrals that have expired or are deleted, even if a process has cached them as valid. The
  // counts are written in the order of their keys, so that two batches can't deadlock.
  return `
      WITH given AS (
        SELECT * FROM unnest(${arrays}) AS g(${columns})
      ), inserted AS (
        INSERT INTO ${tables.responses} (${columns})
        SELECT ${responseColumns.map(([column]) => insertedValue(column)).join(', ')}
        FROM given g JOIN ${tables.referrals} r ON r.id = g.referral_id
        WHERE r.expired_at IS NULL OR r.expired_at > ${insertedValue('touched_at')}
        RETURNING *
      ), counted AS (
        INSERT INTO ${tables.dailyCounts} AS c (referral_id, day, clicks)
        SELECT referral_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*)
        FROM inserted WHERE action = '${RESPONDED}' GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (referral_id, day) DO UPDATE SET clicks = c.clicks + excluded.clicks
      )`;
}

/** Returns SQL for the value of a column: the given one, and for the times their default. */
function insertedValue(column: string): string {
  if (column === 'created_at') return 'coalesce(g.created_at, now())';
  if (column === 'touched_at') return 'coalesce(g.touched_at, g.created_at, now())';
  return `g.${column}`;
}

/**
 * Returns the arrays of a batch. An array of nulls alone is sent empty, because `unnest()` fills it up with nulls. Most
 * arrays of clicks are.
 */
export function batchOf(responses: readonly NewResponse[]): Batch {
  const arrays = responseColumns.map(([, field]) => {
    const values = responses.map((response) => response[field]);
    return [field, values.some((value) => value !== null) ? values : []];
  });
  return Object.fromEntries(arrays) as Batch;
}
