import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import { Referral } from '../entities/referral';
import type { Settings } from '../options';
import type { Links } from './links';
import type { Visit } from './visitor-token';

/** Which referral a visitor is attributed to, and by which touch. */
export interface Attributed {
  referral: Referral;
  touchedAt: Date;
}

const dayMs = 86_400_000;

/** Decides whom a visitor came through: the newest touch within the window, or the oldest. */
export class Attribution {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #links: Links;
  readonly #columns: string;
  readonly #isFirstTouch: boolean;
  readonly #windowMs: number | null;

  constructor(database: Database, clock: Clock, links: Links, { attribution }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#links = links;
    this.#columns = database.columns(Referral);
    this.#isFirstTouch = attribution.model === 'first-touch';
    this.#windowMs = attribution.windowDays === null ? null : attribution.windowDays * dayMs;
  }

  /** What the visitor carries on after a click: under first touch, an earlier click keeps its place while it counts. */
  carried(before: Visit | null, click: Visit): Visit {
    return this.#isFirstTouch && before && this.#counts(before) ? before : click;
  }

  /** A visitor who is not signed in: the cookie says it all; the link is mostly remembered. */
  async ofVisit(visit: Visit, manager?: EntityManager): Promise<Attributed | null> {
    if (!this.#counts(visit)) return null;
    const link = await this.#links.find(visit.code, manager);
    return link
      ? { referral: this.#database.entity(Referral, { ...link.referral }), touchedAt: visit.clickedAt }
      : null;
  }

  /**
   * A signed-in user, in one statement: one step into the index on (user, touch). A visit is only there in the very request
   * in which the visitor signed in, before its responses are linked, and then is one more touch.
   */
  async ofUser(userId: string, visit: Visit | null, manager?: EntityManager): Promise<Attributed | null> {
    const { tables } = this.#database;
    const order = this.#isFirstTouch ? 'ASC' : 'DESC';
    const now = this.#clock.parameter();
    const since = now && this.#windowMs !== null ? new Date(now.getTime() - this.#windowMs) : null;
    const counts = (touchedAt: string): string =>
      `${touchedAt} > coalesce($3::timestamptz, now() - $4::float8 * interval '1 millisecond', '-infinity')`;
    const [row] = await this.#database.query<{ touched_at: Date }>(
      `SELECT ${this.#columns}, touched_at FROM (
         (SELECT referral_id, touched_at FROM ${tables.responses}
          WHERE user_id = $1 AND ${counts('touched_at')}
          ORDER BY touched_at ${order}, id ${order} LIMIT 1)
         UNION ALL
         (SELECT id, $5::timestamptz FROM ${tables.referrals}
          WHERE lower(code) = lower($2) AND ${counts('$5::timestamptz')})
       ) AS touch JOIN ${tables.referrals} ON id = referral_id
       ORDER BY touched_at ${order} LIMIT 1`,
      [userId, visit?.code ?? null, since, this.#windowMs, visit?.clickedAt ?? null],
      manager,
    );
    return row ? { referral: this.#database.entity(Referral, row), touchedAt: row.touched_at } : null;
  }

  /** Of somebody who is attributed to nobody: whether there were touches, but all outside of the window. */
  async hasOutlived(userId: string, visit: Visit | null, manager?: EntityManager): Promise<boolean> {
    if (this.#windowMs === null) return false;
    if (visit && !this.#counts(visit)) return true;
    const { responses } = this.#database.tables;
    const rows = await this.#database.query(`SELECT 1 FROM ${responses} WHERE user_id = $1 LIMIT 1`, [userId], manager);
    return rows.length > 0;
  }

  #counts({ clickedAt }: Visit): boolean {
    return this.#windowMs === null || clickedAt.getTime() > this.#clock.now().getTime() - this.#windowMs;
  }
}
