import { forgetDaysOfOwner } from '../database/closed-days';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { debug } from '../debug';
import { RESPONDED } from '../entities/referral-response';
import type { Settings } from '../options';
import type { ReferralLookup } from './referral-lookup';
import { newVisitors } from './response-insert';
import type { Asking, SamePerson } from './same-person';
import type { VisitorOwners } from './visitor-owners';

/** The clicks of a visitor that the listener has recorded. */
interface ListenerClicks {
  readonly visitorId: string;
  /** The time of the newest of them that the visitor's cookie tells. */
  readonly newestAt: Date;
}

/**
 * Takes back the clicks of users on their own links. The router asks who is signed in before it records a click. The
 * listener can't, so that such a click is recorded, and taken back at sign-in. Only where self-referrals are refused.
 */
export class OwnClicks {
  readonly #database: Database;
  readonly #lookup: ReferralLookup;
  readonly #owners: VisitorOwners;
  readonly #samePerson: SamePerson;
  readonly #onError: Settings['onError'];

  constructor(
    database: Database,
    lookup: ReferralLookup,
    owners: VisitorOwners,
    samePerson: SamePerson,
    { onError }: Settings,
  ) {
    this.#database = database;
    this.#lookup = lookup;
    this.#owners = owners;
    this.#samePerson = samePerson;
    this.#onError = onError;
  }

  /**
   * Deletes a visitor's clicks on links of the user's own, and subtracts them from the daily counts. Does nothing if the
   * visitor id is another user's. A repeated and a concurrent call find each click once, so that a process that is
   * killed between two statements does no harm: the visitor still carries the touch, and the next request goes on.
   */
  async takeBack(clicks: ListenerClicks, user: Asking): Promise<void> {
    const { visitorId } = clicks;
    if (!this.#samePerson.refuses || !(await this.#owners.claim(visitorId, user.userId))) return;
    const clicked = await this.#clicked(clicks, user.userId);
    for (const { owner, referrals } of await this.#ownersOf(clicked))
      if (await this.#isSame(owner, user))
        for (const referral of referrals) await this.#delete(referral, visitorId, user.userId);
  }

  /** Whether a link is the user's own, and clicks on it are not counted. A referral that is deleted is nobody's. */
  async isOwn(referral: number | string, user: Asking): Promise<boolean> {
    if (!this.#samePerson.refuses) return false;
    const link = await this.#lookup.find(referral);
    return this.#isSame(link?.referral.userId ?? null, user);
  }

  /** If the option `isSamePerson` throws, the result is false, as for a click that the router records. */
  async #isSame(owner: string | null, user: Asking): Promise<boolean> {
    try {
      return await this.#samePerson.is(owner, user);
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }

  /**
   * Returns the ids of the referrals that the visitor has clicked on: of the clicks without a user, and of those that
   * came in while a request was linking the visitor's responses.
   */
  async #clicked({ visitorId, newestAt }: ListenerClicks, userId: string): Promise<number[]> {
    const { responses } = this.#database.tables;
    const query = sql({ visitor: visitorId, user: userId, since: newestAt, action: RESPONDED }, ($) =>
      ['user_id IS NULL', `user_id = ${$.user} AND touched_at >= ${$.since}`]
        .map(
          (whose) => `SELECT referral_id FROM ${responses}
          WHERE ${whose} AND visitor_id = ${$.visitor} AND action = ${$.action}`,
        )
        .join(' UNION '),
    );
    const rows = await this.#database.query<{ referral_id: string }>(query);
    return rows.map((row) => Number(row.referral_id));
  }

  /** Returns the owners of referrals. Those of nobody, and those that are deleted, are left out. */
  async #ownersOf(ids: readonly number[]): Promise<{ owner: string; referrals: number[] }[]> {
    if (ids.length === 0) return [];
    const { referrals } = this.#database.tables;
    const query = sql(
      { ids },
      ($) => `SELECT user_id AS owner, array_agg(id) AS ids FROM ${referrals}
        WHERE id = ANY(${$.ids}::bigint[]) AND user_id IS NOT NULL GROUP BY user_id`,
    );
    const rows = await this.#database.query<{ owner: string; ids: string[] }>(query);
    return rows.map(({ owner, ids }) => ({ owner, referrals: ids.map(Number) }));
  }

  /**
   * One statement for a click and its count, whose rows are those of one referral, on one shard. In its transaction, the days of the
   * owner are opened again if they are closed.
   */
  async #delete(referralId: number, visitorId: string, userId: string): Promise<void> {
    const { responses, dailyCounts } = this.#database.tables;
    const query = sql(
      { referral: referralId, visitor: visitorId, user: userId, action: RESPONDED },
      ($) => `WITH
      -- A click that a concurrent call deletes is returned there.
      deleted AS (
        DELETE FROM ${responses}
        WHERE referral_id = ${$.referral} AND visitor_id = ${$.visitor} AND action = ${$.action}
          AND (user_id IS NULL OR user_id = ${$.user})
        RETURNING created_at, is_new_visitor, is_counted
      ),
      -- The days as the clicks were counted.
      days AS (
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS clicks, ${newVisitors} AS visitors
        FROM deleted WHERE is_counted GROUP BY 1
      )
      UPDATE ${dailyCounts} AS c SET clicks = c.clicks - days.clicks,
        visitors = least(c.visitors - days.visitors, c.clicks - days.clicks)
      FROM days WHERE c.referral_id = ${$.referral} AND c.day = days.day
      RETURNING to_char(c.day, 'YYYY-MM-DD') AS day`,
    );
    await this.#database.transaction(async (manager) => {
      const days = (await this.#database.query<{ day: string }>(query, manager)).map(({ day }) => day).sort();
      if (days.length > 0) await forgetDaysOfOwner(this.#database, referralId, days[0]!, manager);
    });
    debug('referral %d: not counted: own, recorded before sign-in was known', referralId);
  }
}
