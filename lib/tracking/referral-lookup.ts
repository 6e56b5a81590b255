import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import { sql } from '../database/named-parameters';
import { timeInResult } from '../database/result-types';
import { Referral } from '../entities/referral';
import { isAway } from '../errors';
import { isCode } from '../input';
import type { Settings } from '../options';
import { safeDestination } from './redirect';

/** A referral, and where its link leads. */
export interface Link {
  readonly referral: Referral;
  /** The destination of a click. It is `baseUrl` if the options no longer allow the stored destination. */
  readonly destination: string;
}

/** Finds referrals by their code, and caches them for a short time. */
export class ReferralLookup {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #columns: string;
  readonly #cache: LRUCache<string, Link>;
  /**
   * The look-ups in progress, so that concurrent ones share a query. They are not in the cache, where misses would
   * displace links.
   */
  readonly #lookUps = new Map<string, Promise<Link | undefined>>();

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#columns = database.columns(Referral);
    this.#cache = new LRUCache({
      max: settings.linkCache.max,
      ttl: settings.linkCache.ttlMs,
      noDeleteOnStaleGet: true, // a stale link is used while the database is away
    });
  }

  /**
   * Returns the link of a code, from the cache if possible. Concurrent look-ups share one query. A miss is not cached.
   * With a manager, the query runs on the manager's connection, because the pool may have no other connection until the
   * transaction ends.
   */
  find(code: string, manager?: EntityManager): Link | Promise<Link | undefined> | undefined {
    if (!isCode(code)) return undefined;
    const key = code.toLowerCase();
    const known = this.#cache.get(key);
    if (known) return known;
    if (manager) return this.#load(key, manager);
    let lookUp = this.#lookUps.get(key);
    if (!lookUp) {
      lookUp = this.#lookUp(key).finally(() => this.#lookUps.delete(key));
      this.#lookUps.set(key, lookUp);
    }
    return lookUp;
  }

  /** Removes a link from the cache, after it was changed or turned out to be outdated. */
  forget(code: string): void {
    this.#cache.delete(code.toLowerCase());
  }

  async findByCode(code: string, manager?: EntityManager): Promise<Referral | null> {
    if (!isCode(code)) return null;
    const { referrals } = this.#database.tables;
    const query = sql(
      { code },
      ($) =>
        `SELECT ${this.#columns}, ${timeInResult('now()')} AS now FROM ${referrals} WHERE lower(code) = lower(${$.code})`,
    );
    const [row] = await this.#database.query<{ now: Date }>(query, manager);
    if (!row) return null;
    if (!manager) this.#clock.learn(row.now); // in a transaction, now() is the time at which it began
    return this.#database.entity(Referral, row);
  }

  async #lookUp(key: string): Promise<Link | undefined> {
    try {
      const link = await this.#load(key);
      if (link) this.#cache.set(key, link);
      else this.#cache.delete(key);
      return link;
    } catch (error) {
      // While the database is unavailable, a cached link is used even if it is stale.
      const outdated = this.#cache.get(key, { allowStale: true });
      if (outdated && isAway(error)) return outdated;
      throw error;
    }
  }

  async #load(code: string, manager?: EntityManager): Promise<Link | undefined> {
    const referral = await this.findByCode(code, manager);
    if (!referral) return undefined;
    const destination = safeDestination(referral.redirectTo, this.#settings) ?? this.#settings.baseUrl.href;
    return { referral, destination };
  }
}
