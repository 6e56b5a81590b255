import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { folded } from '../../database/folding';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import type { RecordsByManager } from '../../entities/instance';
import type { ReferralAudit } from '../../entities/referral-audit';
import type { ReferralChannel } from '../../entities/referral-channel';
import type { ReferralCode } from '../../entities/referral-code';
import { dayMs } from '../../limits';
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
  return {
    ...{ code, channel },
    ...(await figuresOf(database, clock, id)),
    ...(await clicksOf(database, clock, id)),
    responses: await ofReferral('responses'),
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
): Promise<Pick<ReferralStory, 'formerCodes' | 'money'>> {
  const { aliases, referrals, commissions } = database.tables;
  const query = sql(
    { id, now: clock.parameter() },
    ($) => `
    SELECT (
        SELECT coalesce(array_agg(code ORDER BY code), '{}') FROM ${aliases}
        WHERE referral_id = ${$.id}::bigint AND code <> (SELECT ${folded('code')} FROM ${referrals} WHERE id = ${$.id}::bigint)
      ) AS "formerCodes", c.*
    FROM (
      SELECT count(*) AS commissions, coalesce(sum(earned), 0) AS earned, coalesce(sum(amount), 0) AS amount,
        coalesce(sum(amount) FILTER (WHERE available_at = 'infinity'), 0) AS held,
        coalesce(sum(amount) FILTER (WHERE available_at > ${timeOf($.now)} AND available_at < 'infinity'), 0) AS pending,
        coalesce(sum(amount) FILTER (WHERE earn_out_id IS NOT NULL), 0) AS "inEarnOuts"
      FROM ${commissions} WHERE referral_id = ${$.id}::bigint
    ) AS c`,
  );
  const [row] = await database.query<FiguresRow>(query);
  const { formerCodes, commissions: count, ...amounts } = row!;
  const shown = Object.entries(amounts).map(([name, amount]) => [name, database.shown(amount)]);
  return {
    formerCodes,
    money: { commissions: Number(count), ...(Object.fromEntries(shown) as typeof amounts) },
  };
}

type FiguresRow = { formerCodes: string[]; commissions: string } & Omit<CommissionSums, 'commissions'>;

/** Returns the clicks of a referral in all, and by day. The statement has their table alone, which may be distributed. */
async function clicksOf(
  database: Database,
  clock: Clock,
  id: number,
): Promise<Pick<ReferralStory, 'clicks' | 'visitors' | 'days'>> {
  const today = clock.now();
  const days = Array.from({ length: shownDays }, (_, index) =>
    new Date(today.getTime() - (shownDays - 1 - index) * dayMs).toISOString().slice(0, 10),
  );
  const query = sql(
    { id, first: days[0]! },
    ($) => `
    SELECT CASE WHEN day >= ${$.first}::date THEN day::text END AS day, sum(clicks)::text AS clicks,
      sum(visitors)::text AS visitors
    FROM ${database.tables.dailyCounts} WHERE referral_id = ${$.id}::bigint GROUP BY 1`,
  );
  const rows = await database.query<{ day: string | null; clicks: string; visitors: string }>(query);
  const byDay = new Map(rows.map((row) => [row.day, row]));
  const sum = (counts: readonly string[]): number => counts.reduce((total, count) => total + Number(count), 0);
  return {
    clicks: sum(rows.map((row) => row.clicks)),
    visitors: sum(rows.map((row) => row.visitors)),
    days: days.map((day) => {
      const { clicks = 0, visitors = 0 } = byDay.get(day) ?? {};
      return { day, clicks: Number(clicks), visitors: Number(visitors) };
    }),
  };
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
