import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import { idOfCode } from '../database/codes';
import type { Database } from '../database/database';
import { type Placeholders, sql } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import { debug } from '../debug';
import { Referral } from '../entities/referral';
import { dayMs } from '../limits';
import type { Settings } from '../options';
import { quoted } from '../shown';
import type { ReferralLookup } from './referral-lookup';
import { isOthersSql } from './visitor-owners';
import type { Touch } from './visitor-token';

/** The referral that a visitor is attributed to, and the time of the touch that decided it. */
export interface Attributed {
  referral: Referral;
  touchedAt: Date;
}

/** The parameters of the attribution window. */
interface Window {
  /** Its start, with an injected clock; null for the database's. */
  since: Date | null;
  /** Null for no limit. */
  windowMs: number | null;
}

/** Decides which referral a visitor came through: that of the newest touch within the window, or that of the oldest. */
export class Attribution {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #lookup: ReferralLookup;
  readonly #columns: string;
  readonly #isFirstTouch: boolean;
  /** The order of touches in SQL, best first. */
  readonly #order: 'ASC' | 'DESC';
  readonly #windowMs: number | null;

  constructor(database: Database, clock: Clock, lookup: ReferralLookup, { attribution }: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#lookup = lookup;
    this.#columns = database.columns(Referral);
    this.#isFirstTouch = attribution.model === 'first-touch';
    this.#order = this.#isFirstTouch ? 'ASC' : 'DESC';
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
    const link = await this.#lookup.find(touch.referral, manager);
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
    const isCode = typeof carried?.referral === 'string';
    const carriedId = (given: string): string => (isCode ? idOfCode(tables, `${given}::text`) : `${given}::bigint`);
    const parameters = {
      ...{ user: userId, carried: carried?.referral ?? null, ...this.#window() },
      carriedAt: carried?.clickedAt ?? null,
    };
    const won = await this.#winner(
      parameters,
      ($, isInWindow) => [
        this.#touches(`user_id = ${$.user} AND ${isInWindow('touched_at')}`),
        `(SELECT id, ${$.carriedAt}::timestamptz FROM ${tables.referrals}
          WHERE id = ${carriedId($.carried)} AND ${isInWindow(`${$.carriedAt}::timestamptz`)})`,
      ],
      manager,
    );
    if (won) debug('user %s: the touch of %s on %s won', quoted(userId), won.touchedAt, won.referral.code);
    return won;
  }

  /**
   * Returns the attribution of a visitor to a user: the visitor's touches count that have no user yet, and those that
   * were linked to this user. Touches that were linked to another user are that user's, and so is the visitor.
   */
  ofVisitor(visitorId: string, userId: string, manager?: EntityManager): Promise<Attributed | null> {
    return this.#winner(
      { visitor: visitorId, user: userId, ...this.#window() },
      ($, isInWindow) =>
        ['user_id IS NULL', `user_id = ${$.user}`].map((whose) =>
          this.#touches(`${whose} AND visitor_id = ${$.visitor} AND ${isInWindow('touched_at')}
            AND NOT ${isOthersSql(this.#database.tables, $.visitor, $.user)}`),
        ),
      manager,
    );
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

  /** Returns the touch that decides, among those that queries find, each the best of its kind. */
  async #winner<P extends Window>(
    parameters: P,
    touches: ($: Placeholders<P>, isInWindow: (touchedAt: string) => string) => string[],
    manager: EntityManager | undefined,
  ): Promise<Attributed | null> {
    const query = sql(parameters, ($) => {
      const isInWindow = (touchedAt: string): string =>
        `${touchedAt} > coalesce(${$.since}::timestamptz,
          now() - ${$.windowMs}::float8 * interval '1 millisecond', '-infinity')`;
      return `SELECT ${this.#columns}, ${timeInResult('touched_at')} AS "touchedAt" FROM (${touches($, isInWindow).join(' UNION ALL ')}) AS touch
       JOIN ${this.#database.tables.referrals} ON id = referral_id ORDER BY touched_at ${this.#order} LIMIT 1`;
    });
    const [row] = await this.#database.query<{ touchedAt: Date }>(query, manager);
    return row ? { referral: this.#database.entity(Referral, row), touchedAt: row.touchedAt } : null;
  }

  #window(): Window {
    const now = this.#clock.parameter();
    const windowMs = this.#windowMs;
    return { since: now && windowMs !== null ? new Date(now.getTime() - windowMs) : null, windowMs };
  }

  /** SQL: the best of the recorded touches with a condition. */
  #touches(condition: string): string {
    return `(SELECT referral_id, touched_at FROM ${this.#database.tables.responses} WHERE ${condition}
      ORDER BY touched_at ${this.#order}, id ${this.#order} LIMIT 1)`;
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
