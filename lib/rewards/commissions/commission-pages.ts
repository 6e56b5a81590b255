import type { Clock } from '../../database/clock';
import type { Database } from '../../database/database';
import { timeOf } from '../../database/statement-time';
import { ReferralCommission } from '../../entities/referral-commission';
import type { CommissionStatus } from '../../types/commissions';
import type { EarningMode } from '../../types/earn-outs';
import type { Totals } from './totals';

/** What a page of commissions is narrowed to. */
export interface CommissionFilter {
  mode?: EarningMode;
  status?: CommissionStatus;
  /** A channel; null for commissions without one. */
  channelId?: number | null;
}

/** A commission as its owner sees it. */
export interface SeenCommission {
  commission: ReferralCommission;
  status: CommissionStatus;
  channelCode: string | null;
}

const status = `CASE WHEN c.reverted_at IS NOT NULL THEN 'reverted' WHEN c.available_at <= ${timeOf('$2')} THEN 'available'
  ELSE 'pending' END`;

/** What a list can be ordered by, as SQL on the commission `c`: the fields' names are those of the wire. */
const orders = {
  id: 'c.id',
  mode: 'c.mode',
  amount: 'c.amount',
  status: `(${status})`,
  created_at: 'c.created_at',
  updated_at: 'c.updated_at',
  reverted_at: 'c.reverted_at',
};

export type CommissionOrder = keyof typeof orders | `-${keyof typeof orders}`;
export const commissionOrders = Object.keys(orders).flatMap((name) => [name, `-${name}`]) as CommissionOrder[];

/** The conditions of a status. The time is written out: read from a CTE, PostgreSQL could not estimate how many it leaves. */
const isOf: Record<CommissionStatus, string> = {
  reverted: 'c.reverted_at IS NOT NULL',
  available: `c.reverted_at IS NULL AND c.available_at <= ${timeOf('$2')}`,
  pending: `c.reverted_at IS NULL AND c.available_at > ${timeOf('$2')}`,
};

/** A user's commissions, a page at a time. */
export class CommissionPages {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #totals: Totals;

  constructor(database: Database, clock: Clock, totals: Totals) {
    this.#database = database;
    this.#clock = clock;
    this.#totals = totals;
  }

  /** How many there are, from the totals. */
  async count(userId: string, { mode, status, channelId }: CommissionFilter): Promise<number> {
    const totals = await this.#totals.of(userId);
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
   * The ids of a page are read off an index that holds all that is filtered by, and only then their rows: so a page far down costs
   * little more than the first.
   */
  async page(
    userId: string,
    filter: CommissionFilter,
    order: CommissionOrder,
    take: number,
    skip: number,
  ): Promise<SeenCommission[]> {
    const { tables } = this.#database;
    const isDescending = order.startsWith('-');
    const by = orders[order.replace('-', '') as keyof typeof orders];
    const sorted = `${by}${isDescending ? ' DESC' : ''}${by === orders.id ? '' : ', c.id'}`;
    const conditions = [
      ...(filter.mode === undefined ? [] : [`c.mode = '${filter.mode}'`]),
      ...(filter.status === undefined ? [] : [isOf[filter.status]]),
      ...(filter.channelId === undefined ? [] : [`coalesce(c.channel_id, 0::bigint) = $5::bigint`]),
    ];
    return this.#seen(
      `SELECT c.id FROM ${tables.commissions} c WHERE ${['c.user_id = $1', ...conditions].join(' AND ')}
       ORDER BY ${sorted} LIMIT $3::integer OFFSET $4::bigint`,
      sorted,
      [userId, this.#clock.parameter(), take, skip, ...(filter.channelId === undefined ? [] : [filter.channelId ?? 0])],
    );
  }

  /** One of a user's commissions; null if it is not there, or another's. */
  async one(userId: string, id: number): Promise<SeenCommission | null> {
    const [seen] = await this.#seen('SELECT $3::bigint AS id', 'c.id', [userId, this.#clock.parameter(), id]);
    return seen ?? null;
  }

  async #seen(ids: string, sorted: string, parameters: unknown[]): Promise<SeenCommission[]> {
    const { commissions, referrals } = this.#database.tables;
    const rows = await this.#database.query<{ status: CommissionStatus; channelCode: string | null }>(
      `WITH page AS (${ids})
       SELECT ${this.#database.columns(ReferralCommission, 'c', 'commission.')}, ${status} AS status, r.code AS "channelCode"
       FROM page JOIN ${commissions} c ON c.user_id = $1 AND c.id = page.id
       LEFT JOIN ${referrals} r ON r.id = c.channel_id
       ORDER BY ${sorted}`,
      parameters,
    );
    return rows.map((row) => ({
      commission: this.#database.entity(ReferralCommission, row, 'commission.'),
      status: row.status,
      channelCode: row.channelCode,
    }));
  }
}
