import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { type Placeholders, sql } from '../../database/named-parameters';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import type { ShownCommissionStatus } from '../../types/commissions';
import type { EarningMode } from '../../types/earn-outs';
import type { Totals } from './totals';

/** Which commissions a page lists. A field that is left out does not filter. */
export interface CommissionFilter {
  mode?: EarningMode;
  status?: ShownCommissionStatus;
  /** A channel; null for commissions without one. */
  channelId?: number | null;
}

/** A commission, with its status now and the code of its channel; null for a commission without a channel. */
export interface SeenCommission {
  commission: ReferralCommission;
  status: ShownCommissionStatus;
  channelCode: string | null;
}

const statusAt = (now: string): string =>
  `CASE WHEN c.reverted_at IS NOT NULL THEN 'reverted' WHEN c.available_at <= ${timeOf(now)} THEN 'available'
  ELSE 'pending' END`;

/** The fields that a page can be ordered by, as SQL on a commission `c`. The names are those of the API. */
const orders = {
  id: () => 'c.id',
  mode: () => 'c.mode',
  amount: () => 'c.amount',
  status: (now: string) => `(${statusAt(now)})`,
  created_at: () => 'c.created_at',
  updated_at: () => 'c.updated_at',
  reverted_at: () => 'c.reverted_at',
};

export type CommissionOrder = keyof typeof orders | `-${keyof typeof orders}`;
export const commissionOrders = Object.keys(orders).flatMap((name) => [name, `-${name}`]) as CommissionOrder[];

/**
 * SQL: whether a commission `c` has a status. The time is inline, because PostgreSQL can't estimate how many rows match
 * a comparison with a column of a CTE.
 */
const hasStatus: Record<ShownCommissionStatus, (now: string) => string> = {
  reverted: () => 'c.reverted_at IS NOT NULL',
  available: (now) => `c.reverted_at IS NULL AND c.available_at <= ${timeOf(now)}`,
  pending: (now) => `c.reverted_at IS NULL AND c.available_at > ${timeOf(now)}`,
};

/** The parameters of every query. */
interface OwnerParameters {
  user: string;
  now: Date | null;
}

interface PageParameters extends OwnerParameters {
  take: number;
  skip: number;
  /** Only with a filter by channel: its id, or 0 for commissions without a channel. */
  channel?: number;
}

/** Reads pages of a user's commissions. */
export class CommissionPages {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #totals: Totals;

  constructor(database: Database, clock: Clock, totals: Totals) {
    this.#database = database;
    this.#clock = clock;
    this.#totals = totals;
  }

  /** Returns how many commissions match the filter, computed from the totals. */
  async count(userId: string, { mode, status, channelId }: CommissionFilter): Promise<number> {
    const totals = await this.#totals.byChannelAndMode(userId);
    return totals
      .filter((total) => mode === undefined || total.mode === mode)
      .filter((total) => channelId === undefined || total.channelId === channelId)
      .map(({ commissions, reverted, available }) => {
        if (status === undefined) return commissions;
        return { reverted, available, pending: commissions - reverted - available }[status];
      })
      .reduce((sum, count) => sum + count, 0);
  }

  /**
   * Returns one page. It reads the ids from an index that contains all columns of the filter, and then only the rows
   * with these ids. So a page far from the start costs little more than the first one.
   */
  async page(
    userId: string,
    { mode, status, channelId }: CommissionFilter,
    order: CommissionOrder,
    take: number,
    skip: number,
  ): Promise<SeenCommission[]> {
    const by = orders[order.replace('-', '') as keyof typeof orders];
    const direction = order.startsWith('-') ? ' DESC' : '';
    const orderBy = (now: string): string => `${by(now)}${direction}${by === orders.id ? '' : ', c.id'}`;
    const parameters: PageParameters = {
      ...{ user: userId, now: this.#clock.parameter(), take, skip },
      ...(channelId !== undefined && { channel: channelId ?? 0 }),
    };
    return this.#load(
      parameters,
      ($) => {
        const conditions = [
          `c.user_id = ${$.user}`,
          ...(mode === undefined ? [] : [`c.mode = '${mode}'`]),
          ...(status === undefined ? [] : [hasStatus[status]($.now)]),
          ...(channelId === undefined ? [] : [`coalesce(c.channel_id, 0::bigint) = ${$.channel}::bigint`]),
        ];
        return `
          SELECT c.id FROM ${this.#database.tables.commissions} c WHERE ${conditions.join(' AND ')}
          ORDER BY ${orderBy($.now)} LIMIT ${$.take}::integer OFFSET ${$.skip}::bigint`;
      },
      orderBy,
    );
  }

  /** Returns one commission; null if there is none with the id, or if it belongs to another user. */
  async one(userId: string, id: number): Promise<SeenCommission | null> {
    const parameters = { user: userId, now: this.#clock.parameter(), id };
    const [seen] = await this.#load(
      parameters,
      ($) => `SELECT ${$.id}::bigint AS id`,
      () => orders.id(),
    );
    return seen ?? null;
  }

  async #load<P extends OwnerParameters>(
    parameters: P,
    ids: ($: Placeholders<P>) => string,
    orderBy: (now: string) => string,
  ): Promise<SeenCommission[]> {
    const { commissions, referrals } = this.#database.tables;
    const rows = await this.#database.query<SeenCommissionRow>(
      sql(
        parameters,
        ($) => `
        WITH page AS (${ids($)})
        SELECT ${this.#database.columns(ReferralCommission, 'c', 'commission.')}, ${statusAt($.now)} AS status,
          r.code AS "channelCode"
        FROM page JOIN ${commissions} c ON c.user_id = ${$.user} AND c.id = page.id
        LEFT JOIN ${referrals} r ON r.id = c.channel_id
        ORDER BY ${orderBy($.now)}`,
      ),
    );
    return rows.map((row) => ({
      commission: this.#database.entity(ReferralCommission, row, 'commission.'),
      status: row.status,
      channelCode: row.channelCode,
    }));
  }
}

/** A row also has the columns of the commission, with the prefix `commission.`. */
interface SeenCommissionRow {
  status: ShownCommissionStatus;
  channelCode: string | null;
}
