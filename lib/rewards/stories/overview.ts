import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { isUnpaid } from '../earn-outs/statuses';

/** How many things wait for staff. */
export interface WaitingForStaff {
  openReviews: number;
  /** Payouts that wait for `earnOuts.approve`. */
  approvals: number;
  /** Payouts that were refused or came back, and that no run tries again by itself. */
  failedPayouts: number;
  /** Payouts that the provider has accepted, and of which it has not said what became of them. */
  unsettledPayouts: number;
  heldCommissions: number;
  suspendedAccounts: number;
}

/** What happened in some days. Amounts are decimal strings. */
export interface Activity {
  clicks: number;
  visitors: number;
  signups: number;
  purchases: number;
  /** What was paid by buyers who have a referrer, net of refunds. */
  revenue: string;
  /** What referrers have earned, net of refunds. */
  earned: string;
}

/** SQL: whether a payout waits for what the provider reports. */
export const isUnsettled = `status = 'processing' AND mode = 'payout' AND next_attempt_at IS NULL AND NOT awaits_approval
  AND claimed_by IS NULL`;

export async function waitingForStaff(database: Database): Promise<WaitingForStaff> {
  const { reviews, earnOuts, commissions, accounts } = database.tables;
  const counts: Record<keyof WaitingForStaff, string> = {
    openReviews: `${reviews} WHERE status = 'open'`,
    approvals: `${earnOuts} WHERE awaits_approval`,
    failedPayouts: `${earnOuts} e WHERE ${isUnpaid('e')} AND next_attempt_at IS NULL AND mode = 'payout'`,
    unsettledPayouts: `${earnOuts} WHERE ${isUnsettled}`,
    heldCommissions: `${commissions} WHERE available_at = 'infinity'`,
    suspendedAccounts: `${accounts} WHERE suspended_at IS NOT NULL`,
  };
  const columns = Object.entries(counts).map(([name, from]) => `(SELECT count(*) FROM ${from}) AS "${name}"`);
  const [row] = await database.query<Record<keyof WaitingForStaff, string>>(`SELECT ${columns.join(', ')}`);
  return numbered(row!);
}

/** Returns what happened in the last days of 24 hours, read by the indexes of block ranges. */
export async function activity(database: Database, clock: Clock, days: number): Promise<Activity> {
  const { dailyCounts, signups, purchases, commissions } = database.tables;
  const query = sql({ now: clock.parameter(), days }, ($) => {
    const since = `${timeOf($.now)} - ${$.days}::integer * interval '24 hours'`;
    return `
    SELECT c.clicks, c.visitors, s.signups, p.purchases, p.revenue, m.earned
    FROM (
      SELECT coalesce(sum(clicks), 0) AS clicks, coalesce(sum(visitors), 0) AS visitors FROM ${dailyCounts}
      WHERE day > ((${since}) AT TIME ZONE 'UTC')::date
    ) AS c
    CROSS JOIN (SELECT count(*) AS signups FROM ${signups} WHERE created_at > ${since}) AS s
    CROSS JOIN (
      SELECT count(*) AS purchases, coalesce(sum(amount - refunded) FILTER (WHERE referrer_id IS NOT NULL), 0) AS revenue
      FROM ${purchases} WHERE created_at > ${since}
    ) AS p
    CROSS JOIN (SELECT coalesce(sum(amount), 0) AS earned FROM ${commissions} WHERE created_at > ${since}) AS m`;
  });
  const [row] = await database.query<Record<keyof Activity, string>>(query);
  const { revenue, earned, ...counts } = row!;
  return { ...numbered(counts), revenue: database.shown(revenue), earned: database.shown(earned) };
}

function numbered<K extends string>(row: Readonly<Record<K, string>>): Record<K, number> {
  return Object.fromEntries(Object.entries<string>(row).map(([name, count]) => [name, Number(count)])) as Record<
    K,
    number
  >;
}
