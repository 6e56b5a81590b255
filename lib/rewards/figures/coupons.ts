import { shownRatio } from '../../currency';
import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeInResult } from '../../database/result-types';
import { timeOf } from '../../database/statement-time';
import type { CouponFigures } from '../../types/figures';
import { isExpired, isUsedUp } from '../commissions/channel-terms';
import { belowOf, idOf, pageOf, type Reader } from './rows';

type CouponRow = Omit<CouponFigures, 'id'> & { id: string };

/** A user's coupons, newest first. What they have brought comes from the totals of each. */
export function couponReader(database: Database, clock: Clock): Reader<CouponFigures> {
  const { referrals, channels, totals } = database.tables;
  return async (user, wanted) => {
    const read = await database.query<CouponRow>(
      sql(
        { user, below: belowOf(wanted.after), limit: wanted.take + 1, now: clock.parameter() },
        ($) => `
        SELECT r.id, r.code, c.description, c.promo_type AS "promoType", c.promo_value AS "promoValue",
          c.is_recurring AS "isRecurring", ${timeInResult('c.start_date')} AS "startDate",
          ${timeInResult('c.end_date')} AS "endDate", coalesce(r.max_redemptions, nullif(r.allowed_uses, -1)) AS "maxUses",
          CASE WHEN NOT c.is_active THEN 'inactive' WHEN ${isExpired(timeOf($.now))} THEN 'ended'
            WHEN ${isUsedUp} THEN 'used-up' WHEN c.start_date > ${timeOf($.now)} THEN 'early' ELSE 'open' END AS state,
          r.redemptions AS uses, coalesce(t.revenue, 0) AS revenue, coalesce(t.amount, 0) AS earned
        FROM ${referrals} r JOIN ${channels} c ON c.id = r.id
        LEFT JOIN LATERAL (
          SELECT sum(t.revenue) AS revenue, sum(t.amount) AS amount FROM ${totals} t
          WHERE t.user_id = r.user_id AND t.channel_id = r.id
        ) AS t ON true
        WHERE r.user_id = ${$.user} AND r.id < ${$.below}::bigint ORDER BY r.id DESC LIMIT ${$.limit}::integer`,
      ),
    );
    return pageOf(read, wanted, idOf, ({ id, promoValue, revenue, earned, ...row }) => ({
      ...{ id: Number(id), ...row },
      promoValue: row.promoType === 'percent_off' ? shownRatio(promoValue) : database.shown(promoValue),
      ...{ revenue: database.shown(revenue), earned: database.shown(earned) },
    }));
  };
}
