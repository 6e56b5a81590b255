import type { Request, Response } from 'express';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import { debug } from '../debug';
import type { Referral } from '../entities/referral';
import { RESPONDED } from '../entities/referral-response';
import { isAway, referralError } from '../errors';
import { userIdOf } from '../input';
import type { Settings } from '../options';
import type { UserRef } from '../types/common';
import type { AttributedUsers } from './attributed-users';
import type { Attributed, Attribution } from './attribution';
import type { ClickRecorder } from './click-recorder';
import { type NoClick, noClickReason } from './click-rules';
import type { Link, ReferralLookup } from './referral-lookup';
import { type RequestFacts, requestFacts } from './request-facts';
import type { Responses } from './responses';
import type { VisitorStore } from './visitor-store';
import { newVisitorId, type Touch } from './visitor-token';

/** The parts that a visitor uses. */
export interface VisitorParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly lookup: ReferralLookup;
  readonly recorder: ClickRecorder;
  readonly responses: Responses;
  readonly attribution: Attribution;
  readonly attributedUsers: AttributedUsers;
  readonly store: VisitorStore;
}

/**
 * The visitor of one request: the touch that the visitor carries, the signed-in user, and the referral that the visitor
 * came through.
 */
export class Visitor {
  readonly #parts: VisitorParts;
  readonly #req: Request;
  readonly #res: Response;
  /** The touch that the visitor carries now. It changes with a click and with sign-in. */
  touch: Touch | null;
  #isSignInTried = false;
  #hasDatabase = true;
  /**
   * The referral whose click this request has recorded. A link can name a referral twice: in its path and in its
   * parameter.
   */
  #clickedOn: number | null = null;
  /** The cached attribution, and the user that it is for (null: nobody is signed in). */
  #attributed: { userId: string | null; result: Promise<Attributed | null> } | null = null;

  constructor(parts: VisitorParts, req: Request, res: Response) {
    this.#parts = parts;
    this.#req = req;
    this.#res = res;
    this.touch = parts.store.read(req);
  }

  /** Returns the signed-in user. It calls the option `user` each time, because a handler may have signed a user in. */
  userId(): string | null | Promise<string | null> {
    const user = this.#parts.settings.user(this.#req);
    return isPromise(user) ? user.then(idOfUser) : idOfUser(user);
  }

  /**
   * If a user is signed in and the visitor still carries a touch, sets the user on the visitor's responses and clears
   * the touch. An error is reported. The touch then stays, so that the next request tries again.
   */
  async signIn(): Promise<void> {
    const { touch } = this;
    if (!touch || this.#isSignInTried) return;
    this.#isSignInTried = true;
    const { attributedUsers, lookup, responses, store } = this.#parts;
    try {
      const userId = await this.userId();
      if (userId === null) return;
      const linked = await responses.link(touch.visitorId, userId, null);
      const link = await lookup.find(touch.code);
      const isOnRecord = linked.some(
        (response) =>
          response.referralId === link?.referral.id && response.touchedAt.getTime() >= touch.clickedAt.getTime(),
      );
      if (link && !isOnRecord) await responses.restoreClick(touch, link.referral, userId);
      await attributedUsers.arrived(userId); // before the touch is cleared, so that the next request tries again
      this.touch = null;
      store.clear(this.#req, this.#res);
    } catch (error) {
      this.#report(error);
    }
  }

  /**
   * If the request is a click on a link, records it, waits for the commit, and stores the touch until sign-in. If the
   * click can't be recorded, the error is reported and the touch is stored nevertheless: sign-in inserts the click.
   */
  async click({ referral }: Link): Promise<void> {
    if (this.#clickedOn === referral.id) return;
    const { clock, lookup, settings, store } = this.#parts;
    const notCounted = (reason: NoClick): void => debug('%s: not counted: %s', referral.code, reason);
    const reason = noClickReason(this.#req, settings);
    if (reason) return notCounted(reason);
    if (settings.consent && !(await this.consents())) return notCounted('consent');
    this.#clickedOn = referral.id;
    const arrivedAt = clock.now();
    const isExpired = referral.expiredAt !== null && referral.expiredAt <= arrivedAt;
    const user = this.#userIdOrNobody();
    const userId = isPromise(user) ? await user : user;
    // A signed-in user's click has a visitor id too: if the click can't be recorded, the stored touch needs one.
    const visitorId = this.touch?.visitorId ?? newVisitorId();
    const recordedAt = await this.#recordClick(referral, userId, visitorId);
    if (recordedAt === null) {
      notCounted('expired'); // or deleted
      // The database decides. If this process has cached the referral as valid, the cache is outdated.
      if (!isExpired) lookup.forget(referral.code);
      return;
    }
    const isRecorded = recordedAt !== 'failed';
    if (!isRecorded && isExpired) return notCounted('expired');
    if (isRecorded && userId !== null)
      await this.#parts.attributedUsers.arrived(userId).catch((error: unknown) => this.#report(error));
    this.touched();
    if (userId === null || !isRecorded) this.carry(referral, visitorId, isRecorded ? recordedAt : arrivedAt);
    else if (!this.touch) store.clear(this.#req, this.#res); // if signIn() has failed, the touch stays for a retry
  }

  /** Returns the time of the click once it is committed; null if the referral has expired or is deleted. */
  async #recordClick(referral: Referral, userId: string | null, visitorId: string): Promise<Date | 'failed' | null> {
    if (!this.#hasDatabase) return 'failed';
    const { clock, recorder } = this.#parts;
    const click = this.facts({ referralId: referral.id, userId, action: RESPONDED, target: null, touchedAt: null });
    click.visitorId = visitorId;
    click.createdAt = clock.parameter();
    try {
      return await recorder.record(click);
    } catch (error) {
      this.#report(error);
      return 'failed';
    }
  }

  /** Stores a touch for the visitor until sign-in. Under first-touch, an earlier touch in the window stays. */
  carry({ code }: Referral, visitorId: string, clickedAt: Date): void {
    const { attribution, store } = this.#parts;
    const before = this.touch;
    this.touch = attribution.carried(before, { code, visitorId, clickedAt });
    if (this.touch !== before) store.write(this.#req, this.#res, this.touch);
  }

  /** Clears the cached attribution, after this request has recorded a touch. */
  touched(): void {
    this.#attributed = null;
  }

  /**
   * Returns the visitor's attribution. It is cached for the request and user. With a manager, it is read in that
   * transaction and not cached.
   */
  async attributed(manager?: EntityManager): Promise<Attributed | null> {
    const userId = await this.userId();
    if (manager) return this.#attribute(userId, manager);
    if (this.#attributed?.userId !== userId) {
      const result = this.#attribute(userId);
      this.#attributed = { userId, result };
      result.catch(() => this.touched()); // the next call tries again
    }
    return this.#attributed.result;
  }

  async #attribute(userId: string | null, manager?: EntityManager): Promise<Attributed | null> {
    const { attribution } = this.#parts;
    if (userId !== null) return attribution.ofUser(userId, this.touch, manager);
    return this.touch && attribution.ofTouch(this.touch, manager);
  }

  /** Returns the fields of a response by this visitor. */
  facts(about: RequestFacts) {
    return requestFacts(this.#req, this.#parts.settings, this.touch?.visitorId ?? null, about);
  }

  /**
   * Reports an error that no caller can catch. If the database is unavailable, the rest of the request does not wait
   * for it again.
   */
  #report(error: unknown): void {
    if (isAway(error)) this.#hasDatabase = false;
    this.#parts.settings.onError(error);
  }

  /** Whether the visitor has agreed to be recorded. If the option `consent` throws, the result is false. */
  async consents(): Promise<boolean> {
    const { consent, onError } = this.#parts.settings;
    try {
      return consent === undefined || (await consent(this.#req)) === true;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  /**
   * Returns the signed-in user for a click. If the option `user` throws, the click is recorded without a user and
   * redirected.
   */
  #userIdOrNobody(): string | null | Promise<string | null> {
    const nobody = (error: unknown): null => {
      this.#parts.settings.onError(error);
      return null;
    };
    try {
      const userId = this.userId();
      return isPromise(userId) ? userId.catch(nobody) : userId;
    } catch (error) {
      return nobody(error);
    }
  }
}

/**
 * Returns the id of the user that the option `user` returned. A wrong value is an error of the host (500), not of the
 * visitor (400).
 */
function idOfUser(user: UserRef | null | undefined): string | null {
  try {
    return userIdOf('user', user);
  } catch {
    const got = typeof user === 'object' ? user?.id : user;
    throw referralError('INVALID_OPTION', 'user', 'a function that returns an id, an object with an id, or null', got);
  }
}

/** Whether a value is a promise. Most hosts return the user without one, and then nothing is awaited. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}
