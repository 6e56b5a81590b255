import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { debug } from '../debug';
import { Referral } from '../entities/referral';
import { dayMs } from '../limits';
import type { Settings } from '../options';
import type { ReferralLookup } from './referral-lookup';
import type { Touch } from './visitor-token';

/** The referral that a visitor is attributed to, and the time of the touch that decided it. */
export interface Attributed {
  referral: Referral;
  touchedAt: Date;
}

/** Decides which referral a visitor came through: that of the newest touch within the window, or that of the oldest. */
export class Attribution {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #lookup: ReferralLookup;
  readonly #columns: string;
  readonly #isFirstTouch: boolean;
  readonly #windowMs: number | null;

  constructor(database: Database, clock: Clock, lookup: ReferralLookup, { attribution }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#lookup = lookup;
    this.#columns = database.columns(Referral);
    this.#isFirstTouch = attribution.model === 'first-touch';
    this.#windowMs = attribution.windowDays === null ? null : attribution.windowDays * dayMs;
  }

  /**
   * Returns the touch that the visitor carries after a click. Under first-touch, an earlier touch stays while it is in
   * the window.
   */
  carried(before: Touch | null, click: Touch): Touch {
    return this.#isFirstTouch && before && this.#isInWindow(before) ? before : click;
  }

  /**
   * Returns the attribution of a visitor who is not signed in. Only the carried touch counts. The referral is usually
   * cached.
   */
  async ofTouch(touch: Touch, manager?: EntityManager): Promise<Attributed | null> {
    if (!this.#isInWindow(touch)) return null;
    const link = await this.#lookup.find(touch.code, manager);
    return link
      ? { referral: this.#database.entity(Referral, { ...link.referral }), touchedAt: touch.clickedAt }
      : null;
  }

  /**
   * Returns the attribution of a signed-in user, in one statement that reads one entry of the index on (user_id,
   * touched_at, id).
   *
   * @param carried the touch that the visitor still carries. There is one only in the request in which they sign in,
   * before their responses are linked to the user. It competes with the user's recorded touches.
   */
  async ofUser(userId: string, carried: Touch | null, manager?: EntityManager): Promise<Attributed | null> {
    const { tables } = this.#database;
    const order = this.#isFirstTouch ? 'ASC' : 'DESC';
    const now = this.#clock.parameter();
    const since = now && this.#windowMs !== null ? new Date(now.getTime() - this.#windowMs) : null;
    const parameters = {
      ...{ user: userId, code: carried?.code ?? null, since, windowMs: this.#windowMs },
      carriedAt: carried?.clickedAt ?? null,
    };
    const query = sql(parameters, ($) => {
      const isInWindow = (touchedAt: string): string =>
        `${touchedAt} > coalesce(${$.since}::timestamptz,
          now() - ${$.windowMs}::float8 * interval '1 millisecond', '-infinity')`;
      return `SELECT ${this.#columns}, touched_at FROM (
         (SELECT referral_id, touched_at FROM ${tables.responses}
          WHERE user_id = ${$.user} AND ${isInWindow('touched_at')}
          ORDER BY touched_at ${order}, id ${order} LIMIT 1)
         UNION ALL
         (SELECT id, ${$.carriedAt}::timestamptz FROM ${tables.referrals}
          WHERE lower(code) = lower(${$.code}) AND ${isInWindow(`${$.carriedAt}::timestamptz`)})
       ) AS touch JOIN ${tables.referrals} ON id = referral_id
       ORDER BY touched_at ${order} LIMIT 1`;
    });
    const [row] = await this.#database.query<{ touched_at: Date }>(query, manager);
    if (!row) return null;
    const referral = this.#database.entity(Referral, row);
    debug('user %s: the touch of %s on %s won', userId, row.touched_at, referral.code);
    return { referral, touchedAt: row.touched_at };
  }

  /**
   * Returns the attribution of a user who signs up; `'outside-window'` if there are touches, but all of them are too
   * old.
   */
  async atSignup(
    userId: string,
    carried: Touch | null,
    manager?: EntityManager,
  ): Promise<Attributed | 'outside-window' | null> {
    const attributed = await this.ofUser(userId, carried, manager);
    if (attributed) return attributed;
    return (await this.#hasTouches(userId, carried, manager)) ? 'outside-window' : null;
  }

  /** Whether a user without an attribution has touches outside of the window. */
  async #hasTouches(userId: string, carried: Touch | null, manager?: EntityManager): Promise<boolean> {
    if (this.#windowMs === null) return false;
    if (carried && !this.#isInWindow(carried)) return true;
    const { responses } = this.#database.tables;
    const query = sql({ user: userId }, ($) => `SELECT 1 FROM ${responses} WHERE user_id = ${$.user} LIMIT 1`);
    return (await this.#database.query(query, manager)).length > 0;
  }

  #isInWindow({ clickedAt }: Touch): boolean {
    return this.#windowMs === null || clickedAt.getTime() > this.#clock.now().getTime() - this.#windowMs;
  }
}
