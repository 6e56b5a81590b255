import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import type { RecordsByManager } from '../../entities/instance';
import type { ReferralAudit } from '../../entities/referral-audit';
import type { ReferralChannel } from '../../entities/referral-channel';
import type { ReferralCode } from '../../entities/referral-code';
import type { Condition } from './conditions';
import type { ListName, ListPage, ListRecords, Lists } from './lists';

/** What a referral's commissions come to. Amounts are decimal strings. */
export interface CommissionSums {
  commissions: number;
  /** What they earned, before refunds. */
  earned: string;
  /** The same, net of refunds and rejections. */
  amount: string;
  held: string;
  /** What is neither held nor available yet. */
  pending: string;
  /** What earn-outs include, paid or under way. */
  inEarnOuts: string;
}

/** The clicks of a UTC day. */
export interface ClicksOfDay {
  /** `YYYY-MM-DD`. */
  day: string;
  clicks: number;
  visitors: number;
}

/** All that staff need to know of one referral. Lists hold the newest {@link newest}. */
export interface ReferralStory {
  code: ReferralCode;
  /** The codes that it had before, which still lead to it. */
  formerCodes: string[];
  /** The channel, if the code is a coupon. */
  channel: ReferralChannel | null;
  clicks: number;
  visitors: number;
  /** The last 30 days, oldest first, without a gap. */
  days: ClicksOfDay[];
  money: CommissionSums;
  responses: ListPage<ListRecords['responses']>;
  signups: ListPage<ListRecords['signups']>;
  commissions: ListPage<ListRecords['commissions']>;
  reviews: ListPage<ListRecords['reviews']>;
  audit: ReferralAudit[];
}

/** How many records of each kind a story shows. The lists have the others. */
export const newest = 10;

const shownDays = 30;

/** Returns the story of a referral; null if there is none with the id. */
export async function referralStory(
  database: Database,
  clock: Clock,
  lists: Lists,
  id: number,
): Promise<ReferralStory | null> {
  const one: Condition = { field: 'id', is: 'equal', value: id };
  const [code] = (await lists.page('referralCodes', [one], { take: 1, after: null })).records;
  if (!code) return null;
  const [channel = null] = (await lists.page('channels', [one], { take: 1, after: null })).records;
  const ofReferral = <L extends ListName>(list: L): Promise<ListPage<ListRecords[L]>> =>
    lists.page(list, [{ field: 'referralId', is: 'equal', value: id }], { take: newest, after: null });
  const responses = await ofReferral('responses');
  const days = await clicksByDay(database, clock, id);
  return {
    ...{ code, channel, responses },
    ...(await figuresOf(database, clock, id)),
    days,
    signups: await ofReferral('signups'),
    commissions: await ofReferral('commissions'),
    reviews: await ofReferral('reviews'),
    audit: await auditOf(lists, id),
  };
}

async function figuresOf(
  database: Database,
  clock: Clock,
  id: number,
): Promise<Pick<ReferralStory, 'formerCodes' | 'clicks' | 'visitors' | 'money'>> {
  const { aliases, referrals, dailyCounts, commissions } = database.tables;
  const query = sql(
    { id, now: clock.parameter() },
    ($) => `
    SELECT (
        SELECT coalesce(array_agg(code ORDER BY code), '{}') FROM ${aliases}
        WHERE referral_id = ${$.id}::bigint
          AND code <> (SELECT lower(code COLLATE "C") FROM ${referrals} WHERE id = ${$.id}::bigint)
      ) AS "formerCodes", d.*, c.*
    FROM (
      SELECT coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors FROM ${dailyCounts}
      WHERE referral_id = ${$.id}::bigint
    ) AS d
    CROSS JOIN (
      SELECT count(*) AS commissions, coalesce(sum(earned), 0) AS earned, coalesce(sum(amount), 0) AS amount,
        coalesce(sum(amount) FILTER (WHERE available_at = 'infinity'), 0) AS held,
        coalesce(sum(amount) FILTER (WHERE available_at > ${timeOf($.now)} AND available_at < 'infinity'), 0) AS pending,
        coalesce(sum(amount) FILTER (WHERE earn_out_id IS NOT NULL), 0) AS "inEarnOuts"
      FROM ${commissions} WHERE referral_id = ${$.id}::bigint
    ) AS c`,
  );
  const [row] = await database.query<FiguresRow>(query);
  const { formerCodes, clicks, visitors, commissions: count, ...amounts } = row!;
  const shown = Object.entries(amounts).map(([name, amount]) => [name, database.shown(amount)]);
  return {
    ...{ formerCodes, clicks: Number(clicks), visitors: Number(visitors) },
    money: { commissions: Number(count), ...(Object.fromEntries(shown) as typeof amounts) },
  };
}

type FiguresRow = { formerCodes: string[]; clicks: string; visitors: string; commissions: string } & Omit<
  CommissionSums,
  'commissions'
>;

async function clicksByDay(database: Database, clock: Clock, id: number): Promise<ClicksOfDay[]> {
  const query = sql(
    { id, now: clock.parameter(), days: shownDays },
    ($) => `
    SELECT d.day::date::text AS day, coalesce(c.clicks, 0)::integer AS clicks, coalesce(c.visitors, 0)::integer AS visitors
    FROM (SELECT (${timeOf($.now)} AT TIME ZONE 'UTC')::date AS today) AS t
    CROSS JOIN generate_series(t.today - ${$.days}::integer + 1, t.today, interval '1 day') AS d (day)
    LEFT JOIN ${database.tables.dailyCounts} c ON c.referral_id = ${$.id}::bigint AND c.day = d.day::date
    ORDER BY 1`,
  );
  return database.query<ClicksOfDay>(query);
}

/** What staff have changed of a code, its channel and the terms that are its own. */
async function auditOf(lists: Lists, id: number): Promise<RecordsByManager['audit'][]> {
  const rows: ReferralAudit[] = [];
  for (const subject of ['referral code', 'channel'])
    rows.push(
      ...(
        await lists.page(
          'audit',
          [
            { field: 'subject', is: 'equal', value: subject },
            { field: 'subjectId', is: 'equal', value: String(id) },
          ],
          { take: newest, after: null },
        )
      ).records,
    );
  return rows.sort((a, b) => b.id - a.id).slice(0, newest);
}
