import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import { idOfCode } from '../database/codes';
import type { Database } from '../database/database';
import { fold } from '../database/folding';
import { type Placeholders, sql } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import { isSuspended } from '../database/suspended';
import { isAway } from '../database/unavailable';
import { Referral } from '../entities/referral';
import { isCode } from '../input';
import type { Settings } from '../options';
import { locationOf, safeDestination } from './redirect';

/** A referral, and where its link leads. */
export interface Link {
  readonly referral: Referral;
  /** The destination of a click. It is `baseUrl` if the options no longer allow the stored destination. */
  readonly destination: string;
  /** The `Location` of a click without parameters. */
  readonly location: string;
  /** Whether the account of the owner is suspended: then the link only redirects. */
  readonly isSuspended: boolean;
}

/** A referral as the database has it. */
type FoundReferral = Pick<Link, 'referral' | 'isSuspended'>;

/** What names a referral: its id, or one of its codes, at present or in the past. */
export type Named = number | string;

/** Finds referrals by their id or a code, and caches them for a short time. */
export class ReferralLookup {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #columns: string;
  /** The links, by the id of the referral. */
  readonly #links: LRUCache<number, Link>;
  /** The ids of referrals, by code in lower case. A referral has several codes if its code was changed. */
  readonly #ids: LRUCache<string, number>;
  /**
   * The look-ups in progress, so that concurrent ones share a query. They are not in the cache, where misses would
   * displace links.
   */
  readonly #lookUps = new Map<Named, Promise<Link | undefined>>();

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#columns = database.columns(Referral, 'r');
    const { max, ttlMs: ttl } = settings.linkCache;
    // A stale link is used while the database is away. The time is read again after a hundredth of the age that a link may
    // reach: the default, a millisecond, is a timer for every few clicks.
    const options = { max, ttl, ttlResolution: Math.ceil(ttl / 100), noDeleteOnStaleGet: true };
    this.#links = new LRUCache(options);
    this.#ids = new LRUCache(options);
  }

  /**
   * Returns the link of a referral, from the cache if possible. Concurrent look-ups share one query. A miss is not
   * cached. With a manager, the query runs on the manager's connection, because the pool may have no other connection
   * until the transaction ends.
   */
  find(named: Named, manager?: EntityManager): Link | Promise<Link | undefined> | undefined {
    if (typeof named === 'string' && !isCode(named)) return undefined;
    const key = typeof named === 'string' ? fold(named) : named;
    const known = this.#cached(key);
    if (known) return known;
    if (manager) return this.#load(key, manager);
    let lookUp = this.#lookUps.get(key);
    if (!lookUp) {
      lookUp = this.#lookUp(key).finally(() => this.#lookUps.delete(key));
      this.#lookUps.set(key, lookUp);
    }
    return lookUp;
  }

  /** Removes a link from the cache, after the referral was changed or the link turned out to be outdated. */
  forget(id: number): void {
    this.#links.delete(id);
  }

  /** Returns the referral that has a code, or once had it. */
  async findByCode(code: string, manager?: EntityManager): Promise<Referral | null> {
    return (isCode(code) && (await this.#readByCode(code, manager))?.referral) || null;
  }

  async findById(id: number, manager?: EntityManager): Promise<Referral | null> {
    return (await this.#readById(id, manager))?.referral ?? null;
  }

  #readByCode(code: string, manager: EntityManager | undefined): Promise<FoundReferral | null> {
    return this.#read({ code }, ($) => idOfCode(this.#database.tables, $.code), manager);
  }

  #readById(id: number, manager: EntityManager | undefined): Promise<FoundReferral | null> {
    return this.#read({ id }, ($) => $.id, manager);
  }

  async #read<P extends object>(
    parameters: P,
    id: ($: Placeholders<P>) => string,
    manager: EntityManager | undefined,
  ): Promise<FoundReferral | null> {
    const { tables } = this.#database;
    const query = sql(
      parameters,
      (
        $,
      ) => `SELECT ${this.#columns}, ${isSuspended(tables, 'r.user_id')} AS "isSuspended", ${timeInResult('now()')} AS now
        FROM ${tables.referrals} r WHERE r.id = ${id($)}`,
    );
    const [row] = await this.#database.query<{ isSuspended: boolean; now: Date }>(query, manager);
    if (!row) return null;
    if (!manager) this.#clock.learn(row.now); // in a transaction, now() is the time at which it began
    return { referral: this.#database.entity(Referral, row), isSuspended: row.isSuspended };
  }

  #cached(key: Named, options?: { allowStale: boolean }): Link | undefined {
    const id = typeof key === 'number' ? key : this.#ids.get(key, options);
    return id === undefined ? undefined : this.#links.get(id, options);
  }

  async #lookUp(key: Named): Promise<Link | undefined> {
    try {
      const link = await this.#load(key);
      if (typeof key === 'string') {
        if (link) this.#ids.set(key, link.referral.id);
        else this.#ids.delete(key);
      }
      if (link) this.#links.set(link.referral.id, link);
      else if (typeof key === 'number') this.#links.delete(key);
      return link;
    } catch (error) {
      // While the database is unavailable, a cached link is used even if it is stale.
      const outdated = this.#cached(key, { allowStale: true });
      if (outdated && isAway(error)) return outdated;
      throw error;
    }
  }

  async #load(key: Named, manager?: EntityManager): Promise<Link | undefined> {
    const found = await (typeof key === 'number' ? this.#readById(key, manager) : this.#readByCode(key, manager));
    if (!found) return undefined;
    const destination = safeDestination(found.referral.redirectTo, this.#settings) ?? this.#settings.baseUrl.href;
    return { ...found, destination, location: locationOf(destination, '', this.#settings) };
  }
}
