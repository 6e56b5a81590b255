import type { EntityManager } from 'typeorm';
import type { VisitorClock } from '../database/clock';
import { idOfCode } from '../database/codes';
import type { Database } from '../database/database';
import { type Placeholders, type Query, sql } from '../database/named-parameters';
import { timeAsText, timeInResult } from '../database/result-types';
import { debug } from '../debug';
import { Referral } from '../entities/referral';
import { dayMs } from '../limits';
import type { Settings } from '../options';
import { quoted } from '../shown';
import type { ClickLayout } from './click-layout';
import type { Link, ReferralLookup } from './referral-lookup';
import type { Asking, SamePerson } from './same-person';
import { isOthersSql } from './visitor-owners';
import type { Touch } from './visitor-token';

/** The referral that a visitor is attributed to, and the time of the touch that decided it. */
export interface Attributed {
  referral: Referral;
  touchedAt: Date;
  /** Whether its owner is the user: then the user came through nobody else's. False for a visitor who is not signed in. */
  isOwn: boolean;
}

/** Whether the owner of a referral is the user whom an attribution is for. */
type IsOwn = (owner: string) => Promise<boolean>;

/** The parameters of the attribution window. */
interface Window {
  /** Its start, with an injected clock; null for the database's. */
  since: Date | null;
  /** Null for no limit. */
  windowMs: number | null;
}

interface TouchParameters extends Window {
  user: string;
}

/** Returns SQL: queries for touches, each with the columns `referral_id`, `touched_at` and `id`. */
type TouchQueries<P> = ($: Placeholders<P>) => string[];

/** Touches that were read: one array for each column. */
interface ReadTouches {
  referralIds: string[];
  touchedAt: string[];
  ids: string[];
}

interface BestTouch {
  touchedAt: Date;
  /** Whether it is on a link of another user, by its id. */
  isOthers: boolean;
}

/**
 * Decides which referral a visitor came through: that of the newest touch within the window, or that of the oldest. Only
 * a touch on somebody else's link takes part in that. One on the user's own link, or on a link of nobody, counts if
 * there is no other: it neither displaces a touch on somebody else's, nor precedes it.
 */
export class Attribution {
  readonly #database: Database;
  readonly #layout: ClickLayout;
  readonly #clock: VisitorClock;
  readonly #lookup: ReferralLookup;
  readonly #samePerson: SamePerson;
  readonly #columns: string;
  readonly #isFirstTouch: boolean;
  /** The order of touches in SQL, best first. */
  readonly #order: 'ASC' | 'DESC';
  readonly #windowMs: number | null;

  constructor(
    database: Database,
    layout: ClickLayout,
    clock: VisitorClock,
    lookup: ReferralLookup,
    samePerson: SamePerson,
    { attribution }: Settings,
  ) {
    this.#database = database;
    this.#layout = layout;
    this.#clock = clock;
    this.#lookup = lookup;
    this.#samePerson = samePerson;
    this.#columns = database.columns(Referral);
    this.#isFirstTouch = attribution.model === 'first-touch';
    this.#order = this.#isFirstTouch ? 'ASC' : 'DESC';
    this.#windowMs = attribution.windowDays === null ? null : attribution.windowDays * dayMs;
  }

  /**
   * Returns the touch that the visitor carries after a click: the click, or under first-touch the one before, while it
   * is in the window. Between a link of nobody and one of somebody, the latter stays. Only then it needs the referral of
   * the touch before, which is usually cached.
   *
   * @param owner the owner of the link that was clicked.
   */
  async carried(before: Touch | null, click: Touch, owner: string | null): Promise<Touch> {
    if (!before || !this.#isInWindow(before)) return click;
    const isSomebodys = owner !== null;
    if (this.#isFirstTouch !== isSomebodys) return this.#isFirstTouch ? before : click;
    const link = await this.#lookup.find(before.referral);
    return (link?.referral.userId ?? null) === null ? click : before;
  }

  /**
   * Returns the attribution of a visitor who is not signed in. Only the carried touch counts. The referral is usually
   * cached: then there is nothing to wait for, and no promise.
   */
  ofTouch(touch: Touch, manager?: EntityManager): Attributed | null | Promise<Attributed | null> {
    if (!this.#isInWindow(touch)) return null;
    const attributed = (link: Link | undefined): Attributed | null =>
      link
        ? { referral: this.#database.copy(Referral, link.referral), touchedAt: touch.clickedAt, isOwn: false }
        : null;
    const found = this.#lookup.find(touch.referral, manager);
    return found instanceof Promise ? found.then(attributed) : attributed(found);
  }

  /**
   * Returns the attribution of a signed-in user, in one statement that reads one entry of the index on (user_id,
   * touched_at, id), and one more for each before it that is not somebody else's.
   *
   * @param carried the touch that the visitor still carries. There is one only in the request in which they sign in,
   * before their responses are linked to the user. It and the visitor's responses compete with the user's.
   * @param isOwn default: the option `isSamePerson` is asked.
   */
  async ofUser(asking: Asking, carried: Touch | null, isOwn = this.#isOwnOf(asking)): Promise<Attributed | null> {
    const user = { user: asking.userId, ...this.#window() };
    const { tables } = this.#database;
    const won = carried
      ? await this.#winner(
          { ...user, carried: carried.referral, carriedAt: carried.clickedAt, visitor: carried.visitorId },
          ($) => [
            this.#touches($, `user_id = ${$.user}`),
            this.#touches($, `visitor_id = ${$.visitor} AND user_id IS NULL`),
            `SELECT id AS referral_id, ${$.carriedAt}::timestamptz AS touched_at, 0 AS id FROM ${tables.referrals}
             WHERE id = ${typeof carried.referral === 'string' ? idOfCode(tables, `${$.carried}::text`) : `${$.carried}::bigint`}
               AND ${isInWindow($, `${$.carriedAt}::timestamptz`)}`,
          ],
          isOwn,
          asking.manager,
        )
      : await this.#winner(user, ($) => [this.#touches($, `user_id = ${$.user}`)], isOwn, asking.manager);
    if (won) debug('user %s: the touch of %s on %s won', quoted(asking.userId), won.touchedAt, won.referral.code);
    return won;
  }

  /**
   * Returns the attribution of a visitor to a user: the visitor's touches count that have no user yet, and those that
   * were linked to this user. Touches that were linked to another user are that user's, and so is the visitor.
   */
  ofVisitor(visitorId: string, asking: Asking): Promise<Attributed | null> {
    return this.#winner(
      { user: asking.userId, visitor: visitorId, ...this.#window() },
      ($) =>
        ['user_id IS NULL', `user_id = ${$.user}`].map((whose) =>
          this.#touches(
            $,
            `${whose} AND visitor_id = ${$.visitor} AND NOT ${isOthersSql(this.#database.tables, $.visitor, $.user)}`,
          ),
        ),
      this.#isOwnOf(asking),
      asking.manager,
    );
  }

  /**
   * Returns the attribution of a user who signs up; `'outside-window'` if there are touches, but all of them are too
   * old.
   */
  async atSignup(asking: Asking, carried: Touch | null): Promise<Attributed | 'outside-window' | null> {
    const attributed = await this.ofUser(asking, carried);
    if (attributed) return attributed;
    return (await this.#hasTouches(asking, carried)) ? 'outside-window' : null;
  }

  /**
   * Returns the touch that decides. Where responses are distributed, their touches are read first: Citus would copy all
   * referrals to the shards to join them there.
   */
  async #winner<P extends TouchParameters>(
    parameters: P,
    touches: TouchQueries<P>,
    isOwnOf: IsOwn,
    manager: EntityManager | undefined,
  ): Promise<Attributed | null> {
    if (!(await this.#layout.isDistributed(manager))) return this.#best(parameters, touches, isOwnOf, manager);
    const rows = await this.#database.query<{ referral_id: string; touched_at: string; id: string }>(
      sql(
        parameters,
        ($) => `SELECT referral_id, ${timeAsText('touched_at')} AS touched_at, id
          FROM (${touches($).join(' UNION ALL ')}) AS t`,
      ),
      manager,
    );
    const read: ReadTouches = {
      referralIds: rows.map((row) => row.referral_id),
      touchedAt: rows.map((row) => row.touched_at),
      ids: rows.map((row) => row.id),
    };
    return this.#best(
      { user: parameters.user, ...read },
      ($) => [
        `SELECT * FROM unnest(${$.referralIds}::bigint[], ${$.touchedAt}::timestamptz[], ${$.ids}::bigint[])
           AS t (referral_id, touched_at, id)`,
      ],
      isOwnOf,
      manager,
    );
  }

  /** If the owner of the best touch turns out to be the user, the touches on the links of that owner are the user's own. */
  async #best<P extends { user: string }>(
    parameters: P,
    touches: TouchQueries<P>,
    isOwnOf: IsOwn,
    manager: EntityManager | undefined,
  ): Promise<Attributed | null> {
    const own: string[] = [];
    for (;;) {
      const query = this.#bestTouch({ ...parameters, own }, touches);
      const [row] = await this.#database.query<BestTouch>(query, manager);
      if (!row) return null;
      const referral = this.#database.entity(Referral, row);
      const owner = referral.userId;
      const isOwn = owner !== null && (!row.isOthers || (await isOwnOf(owner)));
      if (!row.isOthers || !isOwn) return { referral, touchedAt: row.touchedAt, isOwn };
      own.push(owner);
    }
  }

  /** The best touch among those of the queries: on somebody else's link, or if there is none, on any. */
  #bestTouch<P extends { user: string; own: string[] }>(parameters: P, touches: TouchQueries<P>): Query {
    const { referrals } = this.#database.tables;
    return sql(parameters, ($) => {
      const order = `t.touched_at ${this.#order}, t.id ${this.#order}`;
      // Where self-referrals are refused, the user's own link is worth less than one of nobody, which may give credit.
      const worth = `(owner IS NULL) ${this.#samePerson.refuses ? 'DESC' : 'ASC'}`;
      const bestOf = (condition: string, best: string): string => {
        const each = touches($).map(
          (query) => `(
          SELECT t.* FROM (
            SELECT t.*, r.user_id AS owner FROM (${query}) AS t JOIN ${referrals} r ON r.id = t.referral_id
          ) AS t WHERE ${condition} ORDER BY ${best} LIMIT 1
        )`,
        );
        return `SELECT * FROM (${each.join(' UNION ALL ')}) AS t ORDER BY ${best} LIMIT 1`;
      };
      const isOthers = `owner IS NOT NULL AND owner <> ${$.user} AND owner <> ALL (${$.own}::text[])`;
      return `
      WITH
      -- The best touch on somebody else's link. In the order of the index, PostgreSQL stops at the first.
      others AS MATERIALIZED (
        ${bestOf(isOthers, order)}
      ),
      -- If there is none, the best of the user's own and those on links of nobody. Otherwise PostgreSQL reads nothing.
      rest AS (
        ${bestOf('NOT EXISTS (SELECT FROM others)', `${worth}, ${order}`)}
      )
      SELECT ${this.#columns}, ${timeInResult('touched_at')} AS "touchedAt", "isOthers" FROM (
        SELECT referral_id, touched_at, true AS "isOthers" FROM others
        UNION ALL SELECT referral_id, touched_at, false FROM rest
      ) AS touch JOIN ${referrals} ON id = referral_id`;
    });
  }

  #isOwnOf(asking: Asking): IsOwn {
    return (owner) => this.#samePerson.is(owner, asking);
  }

  #window(): Window {
    const now = this.#clock.parameter();
    const windowMs = this.#windowMs;
    return { since: now && windowMs !== null ? new Date(now.getTime() - windowMs) : null, windowMs };
  }

  /** SQL: the recorded touches with a condition. */
  #touches($: Placeholders<Window>, condition: string): string {
    return `SELECT referral_id, touched_at, id FROM ${this.#database.tables.responses}
      WHERE ${condition} AND ${isInWindow($, 'touched_at')}`;
  }

  /** Whether a user without an attribution has touches outside of the window. */
  async #hasTouches({ userId, manager }: Asking, carried: Touch | null): Promise<boolean> {
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

/** SQL: whether the time of a touch is in the window. */
function isInWindow($: Placeholders<Window>, touchedAt: string): string {
  return `${touchedAt} > coalesce(${$.since}::timestamptz,
    now() - ${$.windowMs}::float8 * interval '1 millisecond', '-infinity')`;
}
