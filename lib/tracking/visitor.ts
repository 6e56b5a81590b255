import type { Request, Response } from 'express';
import type { LRUCache } from 'lru-cache';
import type { EntityManager } from 'typeorm';
import type { Clock } from '../database/clock';
import { isAway } from '../database/unavailable';
import { debug } from '../debug';
import type { Referral } from '../entities/referral';
import { RESPONDED } from '../entities/referral-response';
import type { Settings } from '../options';
import type { AttributedUsers } from './attributed-users';
import type { Attributed, Attribution } from './attribution';
import type { ClickRecorder } from './click-recorder';
import { type NoClick, noClickReason } from './click-rules';
import type { Link, ReferralLookup } from './referral-lookup';
import { type RequestFacts, requestFacts } from './request-facts';
import type { Responses } from './responses';
import type { Asking, SamePerson } from './same-person';
import { idOf, isPromise, type SignedIn, signedInUser } from './signed-in-user';
import { newVisitorId } from './visitor-id';
import type { VisitorOwners } from './visitor-owners';
import type { VisitorStore } from './visitor-store';
import type { IdTouch, Touch } from './visitor-token';

/** The parts that a visitor uses. */
export interface VisitorParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly lookup: ReferralLookup;
  readonly recorder: ClickRecorder;
  readonly responses: Responses;
  readonly samePerson: SamePerson;
  readonly attribution: Attribution;
  readonly attributedUsers: AttributedUsers;
  readonly owners: VisitorOwners;
  /** The sign-ins that this process has completed lately: `<user> <visitor id> <time of the touch>`. */
  readonly signedIn: LRUCache<string, true>;
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
  #isUserReported = false;
  /** The error that was reported last. */
  #reported: unknown;
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

  /** Returns the id of the signed-in user; null if there is none. */
  userId(): string | null | Promise<string | null> {
    const signedIn = this.#signedIn();
    return isPromise(signedIn) ? signedIn.then(idOf) : idOf(signedIn);
  }

  /** Returns the signed-in user. It calls the option `user` each time, because a handler may have signed a user in. */
  #signedIn(): SignedIn | null | Promise<SignedIn | null> {
    return signedInUser(this.#parts.settings, this.#req, this.#reportUser);
  }

  /**
   * If a user is signed in and the visitor still carries a touch, sets the user on the visitor's responses and clears
   * the touch. An error is reported. The touch then stays, so that the next request tries again. A cookie that comes
   * again after that, for example because the browser has not got the response, costs no query.
   */
  async signIn(): Promise<void> {
    const { touch } = this;
    if (!touch || this.#isSignInTried) return;
    this.#isSignInTried = true;
    const { signedIn, store } = this.#parts;
    try {
      const user = await this.#signedIn();
      if (!user) return;
      const key = `${user.userId} ${touch.visitorId} ${touch.clickedAt.getTime()}`;
      if (!signedIn.has(key)) {
        await this.#link(touch, user);
        signedIn.set(key, true);
      }
      this.touch = null;
      store.clear(this.#req, this.#res);
    } catch (error) {
      this.#report(error);
    }
  }

  /**
   * Sets the user on the visitor's responses, and inserts the carried click if it is not among them. Does nothing if the
   * visitor id is another user's.
   */
  async #link(touch: Touch, user: SignedIn): Promise<void> {
    const { userId } = user;
    const { attributedUsers, lookup, responses } = this.#parts;
    const linked = await responses.link(touch.visitorId, userId, null);
    if (linked === null) return;
    const link = await lookup.find(touch.referral);
    const isOnRecord = linked.some(
      (response) =>
        response.referralId === link?.referral.id && response.touchedAt.getTime() >= touch.clickedAt.getTime(),
    );
    if (link && !isOnRecord) await responses.restoreClick(touch, link.referral, userId);
    await attributedUsers.arrived(this.#asking(user)); // before the touch is cleared, so that the next request tries again
  }

  /**
   * If the request is a click on a link, records it, waits for the commit, and stores the touch until sign-in. If the
   * click can't be recorded, the error is reported and the touch is stored nevertheless: sign-in inserts the click.
   */
  async click({ referral }: Link): Promise<void> {
    if (this.#clickedOn === referral.id) return;
    const { clock, lookup, samePerson, settings, store } = this.#parts;
    const notCounted = (reason: NoClick): void => debug('%s: not counted: %s', referral.code, reason);
    const reason = noClickReason(this.#req, settings);
    if (reason) return notCounted(reason);
    if (settings.consent && !(await this.consents())) return notCounted('consent');
    this.#clickedOn = referral.id;
    const arrivedAt = clock.now();
    const isExpired = referral.expiredAt !== null && referral.expiredAt <= arrivedAt;
    const found = this.#signedInOrNobody();
    const signedIn = isPromise(found) ? await found : found;
    const userId = idOf(signedIn);
    if (signedIn && samePerson.refuses && (await this.#isOwn(referral.userId, signedIn))) return notCounted('own');
    // A signed-in user's click has a visitor id too: if the click can't be recorded, the stored touch needs one.
    const visitorId = this.touch?.visitorId ?? newVisitorId();
    const recordedAt = await this.#recordClick(referral, userId, visitorId);
    if (recordedAt === null) {
      notCounted('expired'); // or deleted
      // The database decides. If this process has cached the referral as valid, the cache is outdated.
      if (!isExpired) lookup.forget(referral.id);
      return;
    }
    const isRecorded = recordedAt !== 'failed';
    if (!isRecorded && isExpired) return notCounted('expired');
    if (isRecorded && signedIn)
      await this.#parts.attributedUsers.arrived(this.#asking(signedIn)).catch((error: unknown) => this.#report(error));
    this.touched();
    if (signedIn && isRecorded) {
      if (!this.touch) store.clear(this.#req, this.#res); // if signIn() has failed, the touch stays for a retry
      return;
    }
    // A user's own link is worth no more than one of nobody.
    const isOwn = signedIn !== null && (await this.#isOwn(referral.userId, signedIn));
    await this.carry(referral, visitorId, isRecorded ? recordedAt : arrivedAt, isOwn ? null : referral.userId);
  }

  /** Returns the time of the click once it is committed; null if the referral has expired or is deleted. */
  async #recordClick(referral: Referral, userId: string | null, visitorId: string): Promise<Date | 'failed' | null> {
    if (!this.#hasDatabase) return 'failed';
    const { clock, recorder } = this.#parts;
    const about = { referralId: referral.id, userId, action: RESPONDED, target: null, touchedAt: null };
    const click = this.facts(about, null);
    click.visitorId = visitorId;
    click.createdAt = clock.parameter();
    try {
      return await recorder.record(click);
    } catch (error) {
      this.#report(error);
      return 'failed';
    }
  }

  /** Stores a touch for the visitor until sign-in, unless the one before it counts more. */
  async carry({ id, userId }: Referral, visitorId: string, clickedAt: Date, owner = userId): Promise<void> {
    const { attribution, store } = this.#parts;
    const before = this.touch;
    try {
      const click = { referral: id, visitorId, clickedAt };
      const touch = (await attribution.carried(before, click, owner)) === click ? click : await this.#renewed(before!);
      if (!touch) return;
      this.touch = touch;
      store.write(this.#req, this.#res, touch);
    } catch (error) {
      this.#report(error); // without the referral of the touch before, that touch stays
    }
  }

  /**
   * Returns the touch of a token of the form `v1` with the id of its referral. Null for a touch that has the id, or whose
   * referral can't be found now: it stays as it is.
   */
  async #renewed({ referral, ...touch }: Touch): Promise<IdTouch | null> {
    if (typeof referral === 'number') return null;
    const link = await this.#parts.lookup.find(referral);
    return link ? { ...touch, referral: link.referral.id } : null;
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
    const signedIn = await this.#signedIn();
    if (manager) return this.#attribute(signedIn, manager);
    const userId = idOf(signedIn);
    if (this.#attributed?.userId !== userId) {
      const result = this.#attribute(signedIn);
      this.#attributed = { userId, result };
      result.catch(() => this.touched()); // the next call tries again
    }
    return this.#attributed.result;
  }

  async #attribute(signedIn: SignedIn | null, manager?: EntityManager): Promise<Attributed | null> {
    const { attribution } = this.#parts;
    if (signedIn)
      return attribution.ofUser(
        this.#asking(signedIn, manager),
        await this.touchOf(signedIn.userId, manager),
        (owner) => this.#isOwn(owner, signedIn, manager),
      );
    return this.touch && attribution.ofTouch(this.touch, manager);
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
    return requestFacts(this.#req, this.#parts.settings, touch && touch.visitorId, about);
  }

  /**
   * Reports an error that no caller can catch, once. If the database is unavailable, the rest of the request does not
   * wait for it again.
   */
  #report(error: unknown): void {
    if (error === this.#reported) return;
    this.#reported = error;
    if (isAway(error)) this.#hasDatabase = false;
    this.#parts.settings.onError(error);
  }

  /** Reports what the option `user` has returned: once, though it is called several times. */
  readonly #reportUser = (error: unknown): void => {
    if (!this.#isUserReported) this.#parts.settings.onError(error);
    this.#isUserReported = true;
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

  #asking(signedIn: SignedIn, manager?: EntityManager): Asking {
    return { ...signedIn, req: this.#req, manager };
  }

  /** Whether the owner of a referral is the signed-in user. If the option `isSamePerson` throws, the result is false. */
  async #isOwn(owner: string | null, signedIn: SignedIn, manager?: EntityManager): Promise<boolean> {
    try {
      return await this.#parts.samePerson.is(owner, this.#asking(signedIn, manager));
    } catch (error) {
      this.#report(error);
      return false;
    }
  }

  /**
   * Returns the signed-in user for a click. If the option `user` throws, the click is recorded without a user and
   * redirected.
   */
  #signedInOrNobody(): SignedIn | null | Promise<SignedIn | null> {
    const nobody = (error: unknown): null => {
      this.#parts.settings.onError(error);
      return null;
    };
    try {
      const signedIn = this.#signedIn();
      return isPromise(signedIn) ? signedIn.catch(nobody) : signedIn;
    } catch (error) {
      return nobody(error);
    }
  }
}
