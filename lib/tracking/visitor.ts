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
import type { Attributed, Attribution } from './attribution';
import type { ClickRecorder } from './click-recorder';
import { noClickReason } from './click-rules';
import type { Link, ReferralLookup } from './referral-lookup';
import { type RequestFacts, requestFacts } from './request-facts';
import type { Responses } from './responses';
import type { VisitorStore } from './visitor-store';
import { newVisitorId, type Touch } from './visitor-token';

/** The parts that a visitor works with. */
export interface VisitorParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly lookup: ReferralLookup;
  readonly recorder: ClickRecorder;
  readonly responses: Responses;
  readonly attribution: Attribution;
  readonly store: VisitorStore;
}

/** The visitor of one request: the touch that they carry, the user who is signed in, and the referral that they came through. */
export class Visitor {
  readonly #parts: VisitorParts;
  readonly #req: Request;
  readonly #res: Response;
  /** The touch that the visitor carries now. It changes with a click and with sign-in. */
  touch: Touch | null;
  #isSignInTried = false;
  #hasDatabase = true;
  /** The referral that this request has clicked on: a link can name the same one in its path and in its parameter. */
  #clickedOn: number | null = null;
  /** The attribution for a user (null: nobody), once it was asked for. */
  #attributed: { userId: string | null; result: Promise<Attributed | null> } | null = null;

  constructor(parts: VisitorParts, req: Request, res: Response) {
    this.#parts = parts;
    this.#req = req;
    this.#res = res;
    this.touch = parts.store.read(req);
  }

  /** The user who is signed in now. Asks the host each time: a handler may have signed somebody in meanwhile. */
  userId(): string | null | Promise<string | null> {
    const user = this.#parts.settings.user(this.#req);
    return isPromise(user) ? user.then(idOfUser) : idOfUser(user);
  }

  /**
   * If a user is signed in and the visitor still carries a touch: sets the user on the visitor's responses and clears the touch. A
   * failure is reported. The next request tries again, because the touch is still there.
   */
  async signIn(): Promise<void> {
    const { touch } = this;
    if (!touch || this.#isSignInTried) return;
    this.#isSignInTried = true;
    const { lookup, responses, store } = this.#parts;
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
      this.touch = null;
      store.clear(this.#req, this.#res);
    } catch (error) {
      this.#report(error);
    }
  }

  /**
   * If the request is a click on a link: records it, waits for the commit, and has the visitor carry it until sign-in. If recording
   * fails, the error is reported and the visitor carries the click all the same: sign-in restores it.
   */
  async click({ referral }: Link): Promise<void> {
    if (this.#clickedOn === referral.id) return;
    const reason = noClickReason(this.#req);
    if (reason) return debug('%s: not counted: %s', referral.code, reason);
    const { clock, lookup, settings, store } = this.#parts;
    if (settings.consent && !(await this.consents())) return debug('%s: not counted: no consent', referral.code);
    this.#clickedOn = referral.id;
    const arrivedAt = clock.now();
    const isExpired = referral.expiredAt !== null && referral.expiredAt <= arrivedAt;
    const user = this.#userIdOrNobody();
    const userId = isPromise(user) ? await user : user;
    // A signed-in user's click has a visitor id too: if it can't be recorded, it is carried under this id.
    const visitorId = this.touch?.visitorId ?? newVisitorId();
    const recordedAt = await this.#recordClick(referral, userId, visitorId);
    if (recordedAt === null) {
      debug('%s: not counted: expired or deleted', referral.code);
      // The database decides. If this process has cached the referral as valid, the cache is wrong.
      if (!isExpired) lookup.forget(referral.code);
      return;
    }
    const isRecorded = recordedAt !== 'failed';
    if (!isRecorded && isExpired) return;
    this.touched();
    if (userId === null || !isRecorded) this.carry(referral, visitorId, isRecorded ? recordedAt : arrivedAt);
    else if (!this.touch) store.clear(this.#req, this.#res); // with a touch, sign-in could not link it yet, and tries again
  }

  /** The time of the click once it is committed; null if the referral has expired or is deleted. */
  async #recordClick(referral: Referral, userId: string | null, visitorId: string): Promise<Date | 'failed' | null> {
    if (!this.#hasDatabase) return 'failed';
    const { clock, recorder } = this.#parts;
    const about = { referralId: referral.id, userId, action: RESPONDED, target: null, touchedAt: null };
    try {
      return await recorder.record({ ...this.facts(about), visitorId, createdAt: clock.parameter() });
    } catch (error) {
      this.#report(error);
      return 'failed';
    }
  }

  /** Has the visitor carry a touch from now on. Under first-touch, an earlier one in the window stays. */
  carry({ code }: Referral, visitorId: string, clickedAt: Date): void {
    const { attribution, store } = this.#parts;
    const before = this.touch;
    this.touch = attribution.carried(before, { code, visitorId, clickedAt });
    if (this.touch !== before) store.write(this.#req, this.#res, this.touch);
  }

  /** This request recorded a touch: the attribution is to be decided again. */
  touched(): void {
    this.#attributed = null;
  }

  /** The visitor's attribution, decided once for a request and user. With a manager it is decided anew, in that transaction. */
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

  /** The fields of a response by this visitor. */
  facts(about: RequestFacts) {
    return requestFacts(this.#req, this.#parts.settings, this.touch?.visitorId ?? null, about);
  }

  /** Reports an error that no caller could catch. If the database is away, the rest of the request does not wait for it again. */
  #report(error: unknown): void {
    if (isAway(error)) this.#hasDatabase = false;
    this.#parts.settings.onError(error);
  }

  /** Whether the visitor has agreed to be recorded. If the host's option throws, the visitor has not. */
  async consents(): Promise<boolean> {
    const { consent, onError } = this.#parts.settings;
    try {
      return consent === undefined || (await consent(this.#req)) === true;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  /** For a click: if the host's option `user` throws, the click counts as nobody's and is still redirected. */
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

/** The id of what the option `user` returns. A wrong return value is the host's error, not the visitor's. */
function idOfUser(user: UserRef | null | undefined): string | null {
  try {
    return userIdOf('user', user);
  } catch {
    const got = typeof user === 'object' ? user?.id : user;
    throw referralError('INVALID_OPTION', 'user', 'a function that returns an id, an object with an id, or null', got);
  }
}

/** Most hosts return the user at once: then nothing waits for a promise. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}
