import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { LinkFigures, OwnLink } from '../../types/figures';
import { closableUntil, closedAsText, closedUntil, type DayClosing } from './day-closing';
import { belowOf, idOf, pageOf, type Reader } from './rows';

/** SQL: the columns of {@link OwnLink}, of a referral `r`. */
export const linkColumns = (now: string): string => `r.id, r.code, r.label, r.redirect_to AS "redirectTo",
        ${timeInResult('r.created_at')} AS "createdAt", ${timeInResult('r.expired_at')} AS "expiredAt",
        coalesce(r.expired_at <= ${now}, false) AS "isExpired"`;

export type LinkRow = Omit<OwnLink, 'id'> & { id: string };

export function linkOf({ id, code, label, redirectTo, createdAt, expiredAt, isExpired }: LinkRow): OwnLink {
  return { id: Number(id), code, label, redirectTo, createdAt, expiredAt, isExpired };
}

/** A link with the clicks of closed days, and the first day that is not closed. */
interface CountedLinkRow extends LinkRow {
  uses: number;
  clicks: string;
  visitors: string;
  since: string;
  now: Date;
}

/** A user's links, newest first, without coupons. */
export function linkReader(database: Database, clock: Clock, closing: DayClosing): Reader<LinkFigures> {
  const { referrals, channels, dailyCounts, userLinks } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<CountedLinkRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1, now: clock.parameter() },
        ($) => `
        SELECT ${linkColumns(timeOf($.now))}, r.uses, coalesce(l.clicks, 0) AS clicks, coalesce(l.visitors, 0) AS visitors,
          ${closedAsText('closed.until')} AS since, ${timeInResult(timeOf($.now))} AS now
        FROM ${referrals} r CROSS JOIN (SELECT ${closedUntil(database.tables, $.user, timeOf($.now))} AS until) AS closed
        -- Aggregates, so that each row of the page is looked up, and not all that the user has are read for each.
        CROSS JOIN LATERAL (
          SELECT sum(l.clicks) AS clicks, sum(l.visitors) AS visitors FROM ${userLinks} l
          WHERE l.user_id = r.user_id AND l.referral_id = r.id AND closed.until IS NOT NULL
        ) AS l
        WHERE r.user_id = ${$.user} AND r.id < ${$.below}::bigint
          AND NOT EXISTS (SELECT FROM ${channels} c WHERE c.id = r.id)
        ORDER BY r.id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    if (read.length === 0) return { rows: [], next: null };
    const [{ since, now }] = read as [CountedLinkRow];
    // A statement of its own, because the counts may be on other nodes.
    const counted = await database.query<{ id: string; clicks: string; visitors: string; days: string }>(
      sql(
        { ids: read.slice(0, wanted.take).map(({ id }) => id), since, closable: closableUntil(now) },
        ($) => `
        SELECT referral_id AS id, sum(clicks) AS clicks, sum(visitors) AS visitors,
          count(*) FILTER (WHERE day < ${$.closable}::date) AS days
        FROM ${dailyCounts}
        WHERE referral_id = ANY(${$.ids}::bigint[]) AND day >= ${$.since}::date GROUP BY referral_id`,
      ),
    );
    await closing.noteWalked(
      user,
      now,
      counted.reduce((sum, { days }) => sum + Number(days), 0),
    );
    const byId = new Map(counted.map((row) => [row.id, row]));
    return pageOf(read, wanted, idOf, (row) => {
      const { clicks = 0, visitors = 0 } = byId.get(row.id) ?? {};
      return {
        ...linkOf(row),
        ...{ clicks: Number(row.clicks) + Number(clicks), visitors: Number(row.visitors) + Number(visitors) },
        signups: row.uses,
      };
    });
  };
}
