import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { VisitorClock } from '../database/clock';
import { isAway } from '../database/unavailable';
import { debug } from '../debug';
import type { Referral } from '../entities/referral';
import { RESPONDED } from '../entities/referral-response';
import type { Settings } from '../options';
import type { AttributedUsers } from './attributed-users';
import type { Attributed, Attribution } from './attribution';
import type { ClickRecorder } from './click-recorder';
import { type NoClick, noClickReason } from './click-rules';
import type { Link, Named, ReferralLookup } from './referral-lookup';
import { type RequestFacts, requestFacts } from './request-facts';
import { RequestUser } from './request-user';
import type { Responses } from './responses';
import type { SamePerson } from './same-person';
import type { SignIns } from './sign-ins';
import { idOf, isPromise, type SignedIn } from './signed-in-user';
import { newVisitorId } from './visitor-id';
import type { VisitorOwners } from './visitor-owners';
import type { VisitorStore } from './visitor-store';
import type { IdTouch, Touch } from './visitor-token';

/** The parts that a visitor uses. */
export interface VisitorParts {
  readonly settings: Settings;
  readonly visitorClock: VisitorClock;
  readonly lookup: ReferralLookup;
  readonly recorder: ClickRecorder;
  readonly responses: Responses;
  readonly samePerson: SamePerson;
  readonly attribution: Attribution;
  readonly attributedUsers: AttributedUsers;
  readonly owners: VisitorOwners;
  readonly signIns: SignIns;
  readonly store: VisitorStore;
  /** Whether the requests have not reached the app yet. Then it is not known who is signed in. */
  readonly isBeforeApp: boolean;
}

/**
 * The visitor of one request: the touch that the visitor carries, the signed-in user, and the referral that the visitor
 * came through.
 */
export class Visitor {
  readonly #parts: VisitorParts;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #isShared: boolean;
  readonly #user: RequestUser;
  /** The touch that the visitor carries now. It changes with a click and with sign-in. */
  touch: Touch | null;
  #isSignInTried = false;
  #hasDatabase = true;
  /** The error that was reported last. */
  #reported: unknown;
  /**
   * The referral whose click this request has recorded. A link can name a referral twice: in its path and in its
   * parameter.
   */
  #clickedOn: number | null = null;
  /** The cached attribution, and the user that it is for (null: nobody is signed in). */
  #attributed: { userId: string | null; result: Attributed | null | Promise<Attributed | null> } | null = null;

  /** @param isShared whether later handlers get the request too, and set headers of the response. */
  constructor(parts: VisitorParts, req: IncomingMessage, res: ServerResponse, isShared: boolean) {
    this.#parts = parts;
    this.#req = req;
    this.#res = res;
    this.#isShared = isShared;
    this.#user = new RequestUser(parts.settings, parts.samePerson, req as Request, this.#report);
    this.touch = parts.store.read(req);
  }

  /** Returns the id of the signed-in user; null if there is none. */
  userId(): string | null | Promise<string | null> {
    const signedIn = this.#user.signedIn();
    return isPromise(signedIn) ? signedIn.then(idOf) : idOf(signedIn);
  }

  /**
   * If a user is signed in and the visitor still carries a touch, sets the user on the visitor's responses and clears
   * the touch. An error is reported. The touch then stays, so that the next request tries again. Most visitors are not
   * signed in: then there is nothing to wait for, and no promise.
   */
  signIn(): Promise<void> | undefined {
    const { touch } = this;
    if (!touch || this.#isSignInTried) return undefined;
    this.#isSignInTried = true;
    try {
      const signedIn = this.#user.signedIn();
      return signedIn === null ? undefined : this.#completeSignIn(touch, signedIn);
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  async #completeSignIn(touch: Touch, found: SignedIn | Promise<SignedIn | null>): Promise<void> {
    const { signIns, store } = this.#parts;
    try {
      const signedIn = await found;
      if (!signedIn) return;
      await signIns.complete(touch, this.#user.asking(signedIn));
      this.touch = null;
      store.clear(this.#req, this.#res, this.#isShared);
    } catch (error) {
      this.#report(error);
    }
  }

  /**
   * If the request is a click on a link, records it, waits for the commit, and stores the touch until sign-in. If the
   * click can't be recorded, the error is reported and the touch is stored nevertheless: sign-in inserts the click.
   */
  async click({ referral, isSuspended }: Link): Promise<void> {
    if (this.#clickedOn === referral.id) return;
    const { attributedUsers, lookup, samePerson, settings, store, visitorClock } = this.#parts;
    const reason = noClickReason(this.#req, settings);
    if (reason) return notCounted(referral, reason);
    if (isSuspended) return notCounted(referral, 'suspended');
    if (settings.consent && !(await this.consents())) return notCounted(referral, 'consent');
    this.#clickedOn = referral.id;
    const time = visitorClock.parameter();
    const arrivedAt = time ?? visitorClock.ofDatabase();
    const isExpired = referral.expiredAt !== null && referral.expiredAt <= arrivedAt;
    const found = this.#user.signedInOrNobody();
    const signedIn = isPromise(found) ? await found : found;
    const isOwn = signedIn !== null && samePerson.refuses && (await this.#user.isOwn(referral.userId, signedIn));
    if (isOwn) return notCounted(referral, 'own');
    // A signed-in user's click has a visitor id too: if the click can't be recorded, the stored touch needs one.
    const known = this.touch?.visitorId;
    const visitorId = known ?? newVisitorId();
    const recordedAt = await this.#recordClick(referral, idOf(signedIn), visitorId, time);
    if (recordedAt === null) {
      notCounted(referral, 'expired'); // or deleted
      // The database decides. If this process has cached the referral as valid, the cache is outdated.
      if (!isExpired) lookup.forget(referral.id);
      return;
    }
    const isRecorded = recordedAt !== 'failed';
    if (!isRecorded && isExpired) return notCounted(referral, 'expired');
    if (isRecorded && signedIn) await attributedUsers.arrived(this.#user.asking(signedIn)).catch(this.#report);
    if (isRecorded && !signedIn && known) await this.settle(referral.id, known, recordedAt).catch(this.#report);
    this.touched();
    if (signedIn && isRecorded) {
      if (!this.touch) store.clear(this.#req, this.#res, this.#isShared); // if signIn() has failed, the touch stays for a retry
      return;
    }
    // A user's own link is worth no more than one of nobody.
    const owner = signedIn && (await this.#user.isOwn(referral.userId, signedIn)) ? null : referral.userId;
    await this.carry(referral, visitorId, isRecorded ? recordedAt : arrivedAt, owner);
  }

  /**
   * Returns the time of the click once it is committed; null if the referral has expired or is deleted. Not `async`: under
   * load thousands of clicks wait here, and what each keeps is memory.
   */
  #recordClick(
    referral: Referral,
    userId: string | null,
    visitorId: string,
    time: Date | null,
  ): Promise<Date | 'failed' | null> | 'failed' {
    if (!this.#hasDatabase) return 'failed';
    const about = { referralId: referral.id, userId, action: RESPONDED, target: null, touchedAt: null };
    const click = this.facts(about, this.touch);
    click.visitorId = visitorId;
    click.createdAt = time;
    return this.#parts.recorder.record(click).catch((error: unknown) => {
      this.#report(error);
      return 'failed';
    });
  }

  /**
   * Makes a response that was recorded without a user the user's, if the visitor has signed in meanwhile by another
   * request, in any process. Must be called once the response is committed. A sign-in first commits whose the visitor id
   * is, and then links what it finds. So either that finds the response, or this finds the user.
   */
  async settle(referral: Named, visitorId: string, at: Date): Promise<void> {
    const { isBeforeApp, owners, signIns } = this.#parts;
    const userId = await owners.of(visitorId);
    if (userId === null) return;
    const touch = { referral, visitorId, clickedAt: at, listenerAt: isBeforeApp ? at : undefined };
    await signIns.complete(touch, { userId, user: userId, req: null, manager: undefined });
  }

  /** Stores a touch for the visitor until sign-in, unless the one before it counts more. */
  async carry({ id, userId }: Referral, visitorId: string, clickedAt: Date, owner = userId): Promise<void> {
    const { attribution, isBeforeApp, store } = this.#parts;
    const before = this.touch;
    const listenerAt = isBeforeApp ? clickedAt : before?.listenerAt;
    const click = { referral: id, visitorId, clickedAt, listenerAt };
    try {
      const touch =
        (await attribution.carried(before, click, owner)) === click ? click : await this.#kept(before!, click);
      if (!touch) return;
      this.touch = touch;
      store.write(this.#req, this.#res, touch, this.#isShared);
    } catch (error) {
      this.#report(error); // without the referral of the touch before, that touch stays
    }
  }

  /**
   * Returns what is stored of a touch that counts more than a click: null if it stays as it is. The time of a click that
   * the listener records is added to it. In a token of the form `v1`, the id of its referral takes the place of the code;
   * if the referral can't be found now, it stays as it is.
   */
  async #kept(touch: Touch, { listenerAt }: Touch): Promise<IdTouch | null> {
    const { referral } = touch;
    if (typeof referral === 'number')
      return listenerAt === touch.listenerAt ? null : { ...touch, referral, listenerAt };
    const link = await this.#parts.lookup.find(referral);
    return link ? { ...touch, referral: link.referral.id, listenerAt } : null;
  }

  /** Clears the cached attribution, after this request has recorded a touch. */
  touched(): void {
    this.#attributed = null;
  }

  /**
   * Returns the visitor's attribution. It is cached for the request and user. With a manager, it is read in that
   * transaction and not cached. Of most visitors, it is known without a promise.
   */
  attributed(manager?: EntityManager): Attributed | null | Promise<Attributed | null> {
    const found = this.#user.signedIn();
    return isPromise(found)
      ? found.then((signedIn) => this.#attributedAs(signedIn, manager))
      : this.#attributedAs(found, manager);
  }

  #attributedAs(
    signedIn: SignedIn | null,
    manager: EntityManager | undefined,
  ): Attributed | null | Promise<Attributed | null> {
    if (manager) return this.#attribute(signedIn, manager);
    const userId = idOf(signedIn);
    if (this.#attributed?.userId !== userId) {
      const result = this.#attribute(signedIn);
      this.#attributed = { userId, result };
      if (isPromise(result)) result.catch(() => this.touched()); // the next call tries again
    }
    return this.#attributed.result;
  }

  #attribute(signedIn: SignedIn | null, manager?: EntityManager): Attributed | null | Promise<Attributed | null> {
    if (signedIn) return this.#attributeUser(signedIn, manager);
    return this.touch && this.#parts.attribution.ofTouch(this.touch, manager);
  }

  async #attributeUser(signedIn: SignedIn, manager: EntityManager | undefined): Promise<Attributed | null> {
    return this.#parts.attribution.ofUser(
      this.#user.asking(signedIn, manager),
      await this.touchOf(signedIn.userId, manager),
      (owner) => this.#user.isOwn(owner, signedIn, manager),
    );
  }

  /**
   * Returns the touch that the visitor carries, if it may count for a user: the visitor id becomes the user's, unless it is
   * another user's. For nobody (null), returns the touch as it is.
   */
  async touchOf(userId: string | null, manager?: EntityManager): Promise<Touch | null> {
    const { touch } = this;
    if (touch === null || userId === null) return touch;
    return (await this.#parts.owners.claim(touch.visitorId, userId, manager)) ? touch : null;
  }

  /** Returns the fields of a response by this visitor, who carries a touch or not. */
  facts(about: RequestFacts, touch: Touch | null) {
    return requestFacts(this.#req, this.#parts.settings, touch, about);
  }

  /**
   * Reports an error that no caller can catch, once. If the database is unavailable, the rest of the request does not
   * wait for it again.
   */
  readonly #report = (error: unknown): void => {
    if (error === this.#reported) return;
    this.#reported = error;
    if (isAway(error)) this.#hasDatabase = false;
    this.#parts.settings.onError(error);
  };

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
}

function notCounted({ code }: Referral, reason: NoClick): void {
  debug('%s: not counted: %s', code, reason);
}
