import type { Database } from '../database/database';
import type { Placeholders } from '../database/named-parameters';
import { RESPONDED } from '../entities/referral-response';

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

/** The columns of a new response, each with its field and its type. */
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

/** An array for each column. */
export type Batch = Record<keyof NewResponse, unknown[]>;

export const batchFields = Object.fromEntries(responseColumns.map(([, field]) => [field, true])) as Record<
  keyof Batch,
  true
>;

/** Inserts responses and counts the clicks among them. A SELECT follows, which may read `inserted`. */
export function insertResponses({ tables }: Database, $: Placeholders<Batch>): string {
  const columns = responseColumns.map(([column]) => column).join(', ');
  const arrays = responseColumns.map(([, field, type]) => `${$[field]}::${type}[]`).join(', ');
  // The join decides whether the referral still counts, whatever a process has cached. Counts are written in the order of their keys,
  // so that two batches can't deadlock.
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

/** The value of a column in the INSERT: the given one; for the times, what they default to. */
function insertedValue(column: string): string {
  if (column === 'created_at') return 'coalesce(g.created_at, now())';
  if (column === 'touched_at') return 'coalesce(g.touched_at, g.created_at, now())';
  return `g.${column}`;
}

/** The arrays of a batch. One of nulls alone, as most are for clicks, is sent empty: unnest() fills up with nulls. */
export function batchOf(responses: readonly NewResponse[]): Batch {
  const arrays = responseColumns.map(([, field]) => {
    const values = responses.map((response) => response[field]);
    return [field, values.some((value) => value !== null) ? values : []];
  });
  return Object.fromEntries(arrays) as Batch;
}
