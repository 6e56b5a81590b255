import type { Request, Response } from 'express';
import type { EntityManager } from 'typeorm';
import { RESPONDED } from '../entities/referral-response';
import { lengths } from '../entities/columns';
import { userIdOf } from '../input';
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
  #attributed: Promise<Attributed | null> | null = null;

  constructor(tracking: Tracking, req: Request, res: Response, visit: Visit | null) {
    this.#tracking = tracking;
    this.#req = req;
    this.#res = res;
    this.visit = visit;
  }

  /** Who is signed in, as the host says now: a handler may have signed somebody in since. */
  userId(): string | null | Promise<string | null> {
    const user = this.#tracking.settings.user(this.#req);
    return isPromise(user) ? user.then((settled) => userIdOf('user', settled)) : userIdOf('user', user);
  }

  /**
   * For a user who is signed in now and still carries a visit: gives the visitor's responses the user, and takes the visit
   * away. What fails is reported and tried again on the next request, because the visit is still there.
   */
  async signIn(): Promise<void> {
    const { visit } = this;
    if (!visit) return;
    const { links, responses, store, settings } = this.#tracking;
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
      settings.onError(error);
    }
  }

  /**
   * Counts the request as a click on a link, if it is one: recorded and committed, and carried by the visitor until
   * sign-in. A click that could not be recorded is reported, and carried all the same: sign-in makes up for it.
   */
  async click({ referral }: Link): Promise<void> {
    const { attribution, clock, links, recorder, settings, store } = this.#tracking;
    if (!isNavigation(this.#req) || (settings.consent && !(await this.#consents(settings.consent)))) return;
    const arrivedAt = clock.now();
    if (referral.expiredAt && referral.expiredAt <= arrivedAt) return;
    const user = this.#userIdOrNobody();
    const userId = isPromise(user) ? await user : user;
    const visitorId = this.visit?.visitorId ?? newVisitorId();
    const click = this.facts(referral.id, userId, RESPONDED);
    if (userId === null) click.visitorId = visitorId;
    click.createdAt = clock.parameter();
    let clickedAt: Date | null;
    let isRecorded = true;
    try {
      clickedAt = await recorder.record(click);
    } catch (error) {
      settings.onError(error);
      clickedAt = arrivedAt;
      isRecorded = false;
    }
    if (clickedAt === null) return links.forget(referral.code); // expired or deleted since it was remembered
    this.touched();
    if (userId !== null && isRecorded) {
      if (this.visit) return; // sign-in could not link it yet, and will
      return store.clear(this.#req, this.#res);
    }
    const before = this.visit;
    this.visit = attribution.carried(before, { code: referral.code, visitorId, clickedAt });
    if (this.visit !== before) store.write(this.#req, this.#res, this.visit);
  }

  /** A touch was recorded in this very request: whom the visitor came through is to be decided again. */
  touched(): void {
    this.#attributed = null;
  }

  /** Whom the visitor came through: decided once a request, unless the host's transaction is to be asked. */
  attributed(manager?: EntityManager): Promise<Attributed | null> {
    if (manager) return this.#attribute(manager);
    if (!this.#attributed) {
      const attributed = this.#attribute();
      this.#attributed = attributed;
      attributed.catch(() => (this.#attributed = null)); // a failure is no answer
    }
    return this.#attributed;
  }

  async #attribute(manager?: EntityManager): Promise<Attributed | null> {
    const { attribution } = this.#tracking;
    const userId = await this.userId();
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
    const { clientIp, ip } = this.#tracking.settings;
    const { headers } = this.#req;
    return {
      referralId,
      visitorId: this.visit?.visitorId ?? null,
      userId,
      ipAddress: ip === 'none' ? null : storedIp(clientIp(this.#req), ip),
      userAgent: headers['user-agent']?.slice(0, lengths.header) ?? null,
      httpReferrer: headers.referer?.slice(0, lengths.header) ?? null,
      action,
      targetType: target.targetType,
      targetId: target.targetId,
      createdAt: null,
      touchedAt,
    };
  }

  async #consents(consent: NonNullable<Tracking['settings']['consent']>): Promise<boolean> {
    try {
      return (await consent(this.#req)) === true;
    } catch (error) {
      this.#tracking.settings.onError(error);
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

/** Most hosts know the user at once: then nobody waits for a promise. */
function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Promise<T> | null | undefined)?.then === 'function';
}
