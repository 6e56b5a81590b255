import type { Request, Response } from 'express';
import type { EntityManager } from 'typeorm';
import type { Referral } from '../entities/referral';
import { RESPONDED } from '../entities/referral-response';
import { isAway, referralError } from '../errors';
import { userIdOf } from '../input';
import { lengths } from '../limits';
import type { UserRef } from '../types/common';
import type { Attributed } from './attribution';
import { isNavigation } from './click-rules';
import { storedIp } from './ip';
import type { Link } from './links';
import type { NewResponse } from './responses';
import type { StoredTarget } from './targets';
import type { Tracking } from './tracking';
import { newVisitorId, type Visit } from './visitor-token';

const noTarget: StoredTarget = { targetType: null, targetId: null };

/** The visitor of one request, as one instance sees it: what was carried in, who is signed in, whom they came through. */
export class Visitor {
  readonly #tracking: Tracking;
  readonly #req: Request;
  readonly #res: Response;
  /** What the visitor carries now: changes with a click and with sign-in. */
  visit: Visit | null;
  #isSignInTried = false;
  #hasDatabase = true;
  /** The referral that this request has clicked on: it may name the same one as a link and as a parameter. */
  #clickedOn: number | null = null;
  #attributed: { userId: string | null; answer: Promise<Attributed | null> } | null = null;

  constructor(tracking: Tracking, req: Request, res: Response, visit: Visit | null) {
    this.#tracking = tracking;
    this.#req = req;
    this.#res = res;
    this.visit = visit;
  }

  /** Who is signed in, as the host says now: a handler may have signed somebody in since. */
  userId(): string | null | Promise<string | null> {
    const user = this.#tracking.settings.user(this.#req);
    return isPromise(user) ? user.then(idOfUser) : idOfUser(user);
  }

  /**
   * For a user who is signed in now and still carries a visit: gives the visitor's responses the user, and takes the visit
   * away. What fails is reported and tried again on the next request, because the visit is still there.
   */
  async signIn(): Promise<void> {
    const { visit } = this;
    if (!visit || this.#isSignInTried) return;
    this.#isSignInTried = true;
    const { links, responses, store } = this.#tracking;
    try {
      const userId = await this.userId();
      if (userId === null) return;
      const linked = await responses.link(visit.visitorId, userId, null);
      const link = await links.find(visit.code);
      const isOnRecord = linked.some(
        (response) =>
          response.referralId === link?.referral.id && response.touchedAt.getTime() >= visit.clickedAt.getTime(),
      );
      if (link && !isOnRecord) await responses.restoreClick(visit, link.referral, userId);
      this.visit = null;
      store.clear(this.#req, this.#res);
    } catch (error) {
      this.#report(error);
    }
  }

  /**
   * Counts the request as a click on a link, if it is one: recorded and committed, and carried by the visitor until
   * sign-in. A click that could not be recorded is reported, and carried all the same: sign-in makes up for it.
   */
  async click({ referral }: Link): Promise<void> {
    if (this.#clickedOn === referral.id || !isNavigation(this.#req)) return;
    const { clock, links, recorder, settings, store } = this.#tracking;
    if (settings.consent && !(await this.consents())) return;
    this.#clickedOn = referral.id;
    const arrivedAt = clock.now();
    const isExpired = referral.expiredAt !== null && referral.expiredAt <= arrivedAt;
    const user = this.#userIdOrNobody();
    const userId = isPromise(user) ? await user : user;
    const click = this.facts(referral.id, userId, RESPONDED);
    // A signed-in user's click has a visitor too: should it not be recorded, it is carried under this id.
    click.visitorId ??= newVisitorId();
    click.createdAt = clock.parameter();
    let clickedAt: Date | null = null;
    let isRecorded = this.#hasDatabase;
    try {
      if (isRecorded) clickedAt = await recorder.record(click);
    } catch (error) {
      this.#report(error);
      isRecorded = false;
    }
    if (isRecorded && clickedAt === null) {
      // Expired or deleted, as the database sees it; if this process remembers otherwise, it is mistaken.
      if (!isExpired) links.forget(referral.code);
      return;
    }
    if (!isRecorded && isExpired) return;
    this.touched();
    if (userId === null || !isRecorded) this.carry(referral, click.visitorId, clickedAt ?? arrivedAt);
    else if (!this.visit) store.clear(this.#req, this.#res); // else: sign-in could not link it yet, and will
  }

  /** Has the visitor carry a touch from now on, unless an earlier one counts. */
  carry({ code }: Referral, visitorId: string, clickedAt: Date): void {
    const { attribution, store } = this.#tracking;
    const before = this.visit;
    this.visit = attribution.carried(before, { code, visitorId, clickedAt });
    if (this.visit !== before) store.write(this.#req, this.#res, this.visit);
  }

  /** A touch was recorded in this very request: whom the visitor came through is to be decided again. */
  touched(): void {
    this.#attributed = null;
  }

  /** Whom the visitor came through: decided once a request and user, unless the host's transaction is to be asked. */
  async attributed(manager?: EntityManager): Promise<Attributed | null> {
    const userId = await this.userId();
    if (manager) return this.#attribute(userId, manager);
    if (this.#attributed?.userId !== userId) {
      const answer = this.#attribute(userId);
      this.#attributed = { userId, answer };
      answer.catch(() => this.touched()); // a failure is no answer
    }
    return this.#attributed.answer;
  }

  async #attribute(userId: string | null, manager?: EntityManager): Promise<Attributed | null> {
    const { attribution } = this.#tracking;
    if (userId !== null) return attribution.ofUser(userId, this.visit, manager);
    return this.visit && attribution.ofVisit(this.visit, manager);
  }

  /** The facts of a response by this visitor now. */
  facts(
    referralId: number,
    userId: string | null,
    action: string,
    target: StoredTarget = noTarget,
    touchedAt: Date | null = null,
  ): NewResponse {
    const { headers } = this.#req;
    return {
      referralId,
      visitorId: this.visit?.visitorId ?? null,
      userId,
      ipAddress: this.#ipAddress(),
      userAgent: headers['user-agent']?.slice(0, lengths.header) ?? null,
      httpReferrer: headers.referer?.slice(0, lengths.header) ?? null,
      action,
      targetType: target.targetType,
      targetId: target.targetId,
      createdAt: null,
      touchedAt,
    };
  }

  #ipAddress(): string | null {
    const { clientIp, ip, onError } = this.#tracking.settings;
    if (ip === 'none') return null;
    try {
      return storedIp(clientIp(this.#req), ip);
    } catch (error) {
      onError(error);
      return null;
    }
  }

  /** What fails here is nobody's to catch; with the database away, the rest of the request does not wait for it again. */
  #report(error: unknown): void {
    if (isAway(error)) this.#hasDatabase = false;
    this.#tracking.settings.onError(error);
  }

  /** Whether the visitor agreed to be recorded; a host that can't say counts as a no. */
  async consents(): Promise<boolean> {
    const { consent, onError } = this.#tracking.settings;
    try {
      return consent === undefined || (await consent(this.#req)) === true;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  /** For a click: a host that can't say who is signed in still gets its redirect. */
  #userIdOrNobody(): string | null | Promise<string | null> {
    const nobody = (error: unknown): null => {
      this.#tracking.settings.onError(error);
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

/** An id that the host's own option answers wrongly is the host's mistake, not the visitor's. */
function idOfUser(user: UserRef | null | undefined): string | null {
  try {
    return userIdOf('user', user);
  } catch {
    const got = typeof user === 'object' ? user?.id : user;
    throw referralError('INVALID_OPTION', 'user', 'a function that answers an id, an object with an id, or null', got);
  }
}

/** Most hosts know the user at once: then nobody waits for a promise. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}
