import { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import type { Database } from '../database/database';
import { Referral } from '../entities/referral';
import { invalid, isAway, referralError } from '../errors';
import { allowedUsesOf, codeOf, dateOf, isCode, isNothing, objectOf, recordIdOf, textOf, userIdOf } from '../input';
import { lengths } from '../limits';
import type { Settings } from '../options';
import type { WithManager } from '../types/common';
import type { CreateReferralInput, ReferralDraft } from '../types/referrals';
import { safeDestination } from './redirect';
import { storedTarget } from './targets';

/** A referral as the click path needs it. */
export interface Link {
  readonly referral: Referral;
  /** Where a click goes; `baseUrl` itself if the stored destination is no longer one that the options allow. */
  readonly destination: string;
}

/** How often a clash of codes, or a race for the same row, is tried again. */
const maxTries = 10;

/** Makes referrals and finds them by their code. */
export class Links {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #columns: string;
  readonly #cache: LRUCache<string, Link>;
  /** Look-ups under way, so that those at once are one; apart from the cache, where misses could push out links. */
  readonly #lookUps = new Map<string, Promise<Link | undefined>>();

  constructor(database: Database, clock: Clock, settings: Settings) {
    this.#database = database;
    this.#clock = clock;
    this.#settings = settings;
    this.#columns = database.columns(Referral);
    this.#cache = new LRUCache({
      max: settings.linkCache.max,
      ttl: settings.linkCache.ttlMs,
      noDeleteOnStaleGet: true, // of use again while the database is away
    });
  }

  /**
   * The link of a code, remembered for a while; look-ups at once are one. A miss is never remembered. In the host's
   * transaction a look-up stays on its connection: another one may not be free until the transaction ends.
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

  async #lookUp(key: string): Promise<Link | undefined> {
    try {
      const link = await this.#load(key);
      if (link) this.#cache.set(key, link);
      else this.#cache.delete(key);
      return link;
    } catch (error) {
      // With the database away, a link that was seen before goes on working.
      const outdated = this.#cache.get(key, { allowStale: true });
      if (outdated && isAway(error)) return outdated;
      throw error;
    }
  }

  /** Forgets a link that turned out to be outdated. */
  forget(code: string): void {
    this.#cache.delete(code.toLowerCase());
  }

  async #load(code: string, manager?: EntityManager): Promise<Link | undefined> {
    const referral = await this.findByCode(code, manager);
    if (!referral) return undefined;
    const destination = safeDestination(referral.redirectTo, this.#settings) ?? this.#settings.baseUrl.href;
    return { referral, destination };
  }

  async findByCode(code: string, manager?: EntityManager): Promise<Referral | null> {
    if (!isCode(code)) return null;
    const { tables } = this.#database;
    const [row] = await this.#database.query<{ now: Date }>(
      `SELECT ${this.#columns}, now() FROM ${tables.referrals} WHERE lower(code) = lower($1)`,
      [code],
      manager,
    );
    if (!row) return null;
    if (!manager) this.#clock.learn(row.now);
    return this.#database.entity(Referral, row);
  }

  /** The referral of a user, destination, label and target: the one that exists, else a new one. */
  async create(input: CreateReferralInput, { manager }: WithManager): Promise<{ referral: Referral; isNew: boolean }> {
    const draft = this.#draft(input);
    const code = input.code === undefined ? null : codeOf('code', input.code);
    const terms: Terms = {
      expiredAt: dateOf('expiredAt', input.expiredAt),
      programId: isNothing(input.program) ? null : recordIdOf('program', input.program),
      allowedUses: allowedUsesOf(input.allowedUses ?? -1),
    };
    let tried = '';
    for (let tries = 0; tries < maxTries; tries++) {
      tried = code ?? codeOf('generateCode', await this.#settings.generateCode(draft));
      const found = await this.#getOrCreate(draft, tried, terms, manager);
      if (found) {
        const { referral } = found;
        if (code !== null && referral.code.toLowerCase() !== code.toLowerCase())
          throw referralError('REFERRAL_EXISTS', referral.code, `with the code "${code}"`);
        // Still without a program: another call is giving it one, and the next look tells which.
        if (terms.programId !== null && referral.programId === null) continue;
        if (terms.programId !== null && referral.programId !== terms.programId)
          throw referralError('REFERRAL_EXISTS', referral.code, `with the program ${terms.programId}`);
        return found;
      }
      // No row: the code is another referral's, or another transaction made ours after this statement's snapshot.
      if (code !== null && tries > 0) throw referralError('CODE_TAKEN', code);
    }
    throw referralError('CODES_EXHAUSTED', maxTries, tried);
  }

  /** A destination that the options allow. */
  destinationOf(redirectTo: string): string {
    const destination = textOf('redirectTo', redirectTo, lengths.redirectTo, 1);
    if (safeDestination(destination, this.#settings) !== null) return destination;
    const origins = [...this.#settings.redirect.allowedOrigins].join(', ');
    throw invalid('redirectTo', `an http(s) URL without user info whose origin is one of ${origins}`, destination);
  }

  #draft(input: CreateReferralInput): ReferralDraft {
    const known = ['redirectTo', 'user', 'label', 'target', 'code', 'expiredAt', 'program', 'allowedUses'];
    objectOf('referral', input, known);
    return {
      userId: userIdOf('user', input.user),
      label: textOf('label', input.label ?? '', lengths.label),
      redirectTo: this.destinationOf(input.redirectTo),
      ...storedTarget(this.#database.dataSource, input.target),
    };
  }

  /**
   * One statement that answers the existing row or makes it. Whoever loses a race waits for the winner's commit in
   * `ON CONFLICT`, and gets no row; the same statement once more then finds the winner's.
   */
  async #getOrCreate(
    { userId, label, redirectTo, targetType, targetId }: ReferralDraft,
    code: string,
    { expiredAt, programId, allowedUses }: Terms,
    manager: EntityManager | undefined,
  ): Promise<{ referral: Referral; isNew: boolean } | null> {
    const { tables } = this.#database;
    const rows = await this.#database.query<{ isKnownProgram: boolean; isNew: boolean | null }>(
      `WITH existing AS (
         SELECT * FROM ${tables.referrals}
         WHERE coalesce(user_id, '') = coalesce($1, '') AND label = $2 AND md5(redirect_to) = md5($3)
           AND coalesce(target_type, '') = coalesce($4, '') AND coalesce(target_id, '') = coalesce($5, '')
           AND redirect_to = $3
       ), program AS (
         SELECT id FROM ${tables.programs} WHERE id = $9 FOR KEY SHARE
       ), adopted AS (
         UPDATE ${tables.referrals} SET program_id = $9
         WHERE id IN (SELECT id FROM existing) AND program_id IS NULL AND EXISTS (SELECT FROM program)
         RETURNING *
       ), created AS (
         INSERT INTO ${tables.referrals}
           (user_id, label, redirect_to, target_type, target_id, code, expired_at, created_at, program_id, allowed_uses)
         SELECT $1, $2, $3, $4, $5, $6, $7, coalesce($8::timestamptz, now()), $9, $10::integer
         WHERE NOT EXISTS (SELECT FROM existing) AND ($9::bigint IS NULL OR EXISTS (SELECT FROM program))
         ON CONFLICT DO NOTHING
         RETURNING *
       )
       SELECT $9::bigint IS NULL OR EXISTS (SELECT FROM program) AS "isKnownProgram", "isNew", ${this.#columns}
       FROM (SELECT) AS always
       LEFT JOIN (
         SELECT false AS "isNew", * FROM existing WHERE NOT EXISTS (SELECT FROM adopted)
         UNION ALL SELECT false, * FROM adopted UNION ALL SELECT true, * FROM created
       ) AS found ON true`,
      [
        ...[userId, label, redirectTo, targetType, targetId, code],
        ...[expiredAt, this.#clock.parameter(), programId, allowedUses],
      ],
      manager,
    );
    const { isKnownProgram, isNew } = rows[0]!;
    if (!isKnownProgram) throw invalid('program', 'a program that exists, or its id', programId);
    return isNew === null ? null : { referral: this.#database.entity(Referral, rows[0]!), isNew };
  }
}

/** What only a new referral takes from the call. */
interface Terms {
  expiredAt: Date | null;
  programId: number | null;
  allowedUses: number;
}
