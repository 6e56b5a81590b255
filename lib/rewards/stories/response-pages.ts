import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Query, sql } from '../../database/named-parameters';
import { timeAsText } from '../../database/result-types';
import { ReferralResponse } from '../../entities/referral-response';
import { invalid } from '../../errors';
import type { Condition } from './conditions';
import type { ListPage, PageOf } from './lists';

/** The columns that responses can be listed by. */
const columns: Readonly<Record<string, string>> = {
  referralId: 'referral_id',
  userId: 'user_id',
  visitorId: 'visitor_id',
  ipAddress: 'ip_address',
  action: 'action',
  targetType: 'target_type',
  targetId: 'target_id',
  createdAt: 'created_at',
};

/** The conditions that an index in the order of time is for. */
const indexed = ['referralId', 'userId'];

const minuteMs = 60_000;

/** The last row before a page. */
interface Place {
  /** With all its digits, which a `Date` does not have. */
  time: string;
  id: string;
}

/**
 * Returns a page of responses, newest first. Of a referral or a user, an index has them in this order. Of all, which may be
 * very many, there is an index of block ranges alone: the page is read from the last minutes, then from four times as long, and
 * so on, until it is full.
 */
export async function responsePage(
  database: Database,
  clock: Clock,
  conditions: readonly Condition[],
  { take, after }: PageOf,
): Promise<ListPage<ReferralResponse>> {
  const place = placeOf(after);
  const isIndexed = conditions.some(({ field, is }) => is === 'equal' && indexed.includes(field));
  const starts = isIndexed ? [] : windowStarts(conditions, place, clock);
  for (const start of [...starts, null]) {
    const query = queryOf(database, conditions, { place, start, take: take + 1 });
    const rows = await database.query<{ exactTime: string; id: string }>(query);
    if (rows.length <= take && start !== null) continue;
    const last = rows.length > take ? rows[take - 1]! : null;
    return {
      records: rows.slice(0, take).map((row) => database.entity(ReferralResponse, row)),
      next: last && `${last.exactTime}~${last.id}`,
    };
  }
  return { records: [], next: null };
}

/** From when on to read, in turn, before all is read. */
function windowStarts(conditions: readonly Condition[], place: Place | null, clock: Clock): Date[] {
  const bounds = (is: 'from' | 'below'): number[] =>
    conditions.flatMap((one) => (one.is === is ? [Number(one.value)] : []));
  const end = Math.min(place ? Date.parse(place.time) : clock.now().getTime(), ...bounds('below'));
  const start = Math.max(...bounds('from'));
  const starts: Date[] = [];
  for (let minutes = 4; minutes < 1_000_000; minutes *= 4) starts.push(new Date(end - minutes * minuteMs));
  return starts.filter((one) => one.getTime() > start);
}

/** Reads where a page begins. What is no such place begins the first page. */
function placeOf(after: string | null): Place | null {
  const [, time, id] = /^(\d{4}-\d\d-\d\dT[\d:.]{8,15}[+-][\d:]{2,8})~(\d{1,18})$/.exec(after ?? '') ?? [];
  return time === undefined || Number.isNaN(Date.parse(time)) ? null : { time, id: id! };
}

function queryOf(
  database: Database,
  conditions: readonly Condition[],
  { place, start, take }: { place: Place | null; start: Date | null; take: number },
): Query {
  const values = Object.fromEntries(
    conditions.map((one, n) => [`value${n}`, 'value' in one ? one.value : null] as const),
  );
  const parameters: Record<string, unknown> = { take, ...values, ...place, ...(start && { start }) };
  return sql(parameters, ($) => {
    const tests = [
      ...conditions.map((condition, n) => testOf(condition, $[`value${n}`]!)),
      ...(place ? [`(created_at, id) < (${$['time']}::timestamptz, ${$['id']}::bigint)`] : []),
      ...(start ? [`created_at >= ${$['start']}::timestamptz`] : []),
    ];
    return `
      SELECT ${database.columns(ReferralResponse)}, ${timeAsText('created_at')} AS "exactTime"
      FROM ${database.tables.responses} ${tests.length > 0 ? `WHERE ${tests.join(' AND ')}` : ''}
      ORDER BY created_at DESC, id DESC LIMIT ${$['take']}::integer`;
  });
}

function testOf({ field, is }: Condition, value: string): string {
  const column = columns[field];
  if (column === undefined) throw invalid(`where.${field}`, Object.keys(columns).join(', '), field);
  if (is === 'from') return `${column} >= ${value}::timestamptz`;
  if (is === 'below') return `${column} < ${value}::timestamptz`;
  if (is === 'equal') return `${column} = ${value}`;
  throw invalid(`where.${field}`, 'equal, from or below', is);
}
