import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { LinkFigures, OwnLink } from '../../types/figures';
import { belowOf, idOf, pageOf, type Reader } from './rows';

/** SQL: the columns of {@link OwnLink}, of a referral `r`. */
export const linkColumns = (now: string): string => `r.id, r.code, r.label, r.redirect_to AS "redirectTo",
        ${timeInResult('r.created_at')} AS "createdAt", ${timeInResult('r.expired_at')} AS "expiredAt",
        coalesce(r.expired_at <= ${now}, false) AS "isExpired"`;

export type LinkRow = Omit<OwnLink, 'id'> & { id: string };

export function linkOf({ id, code, label, redirectTo, createdAt, expiredAt, isExpired }: LinkRow): OwnLink {
  return { id: Number(id), code, label, redirectTo, createdAt, expiredAt, isExpired };
}

/** A user's links, newest first, without coupons. */
export function linkReader(database: Database, clock: Clock): Reader<LinkFigures> {
  const { referrals, channels, dailyCounts } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<LinkRow & { uses: number }>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1, now: clock.parameter() },
        ($) => `
        SELECT ${linkColumns(timeOf($.now))}, r.uses FROM ${referrals} r
        WHERE r.user_id = ${$.user} AND r.id < ${$.below}::bigint
          AND NOT EXISTS (SELECT FROM ${channels} c WHERE c.id = r.id)
        ORDER BY r.id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    // A statement of its own, because the counts may be on other nodes.
    const counted = await database.query<{ id: string; clicks: string; visitors: string }>(
      sql(
        { ids: read.slice(0, wanted.take).map(({ id }) => id) },
        ($) => `
        SELECT referral_id AS id, sum(clicks) AS clicks, sum(visitors) AS visitors FROM ${dailyCounts}
        WHERE referral_id = ANY(${$.ids}::bigint[]) GROUP BY referral_id`,
      ),
    );
    const byId = new Map(counted.map((row) => [row.id, row]));
    return pageOf(read, wanted, idOf, (row) => {
      const { clicks = 0, visitors = 0 } = byId.get(row.id) ?? {};
      return { ...linkOf(row), clicks: Number(clicks), visitors: Number(visitors), signups: row.uses };
    });
  };
}
