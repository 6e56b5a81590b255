import { LRUCache } from 'lru-cache';
import type { AttributedUsers } from './attributed-users';
import type { OwnClicks } from './own-clicks';
import type { ReferralLookup } from './referral-lookup';
import type { Responses } from './responses';
import type { Asking } from './same-person';
import type { Touch } from './visitor-token';

/** Makes what visitors did before they signed in the users'. */
export class SignIns {
  readonly #lookup: ReferralLookup;
  readonly #responses: Responses;
  readonly #ownClicks: OwnClicks;
  readonly #attributedUsers: AttributedUsers;
  /** The sign-ins that this process has completed lately: `<user> <visitor id> <times of the touch>`. */
  readonly #completed = new LRUCache<string, true>({ max: 10_000, ttl: 60_000 });

  constructor(lookup: ReferralLookup, responses: Responses, ownClicks: OwnClicks, attributedUsers: AttributedUsers) {
    this.#lookup = lookup;
    this.#responses = responses;
    this.#ownClicks = ownClicks;
    this.#attributedUsers = attributedUsers;
  }

  /**
   * Sets the user on the visitor's responses. A cookie that comes again after that, for example because the browser has
   * not got the response, costs no query.
   */
  async complete(touch: Touch, user: Asking): Promise<void> {
    const { visitorId, clickedAt, listenerAt } = touch;
    const key = `${user.userId} ${visitorId} ${clickedAt.getTime()} ${listenerAt?.getTime()}`;
    if (this.#completed.has(key)) return;
    await this.#link(touch, user);
    this.#completed.set(key, true);
  }

  /**
   * Sets the user on the visitor's responses, and inserts the carried click if it is not among them. Does nothing if the
   * visitor id is another user's. Each step may be repeated, until the touch is cleared after the last.
   */
  async #link(touch: Touch, user: Asking): Promise<void> {
    const { listenerAt, visitorId } = touch;
    const takeBack = async (): Promise<void> => {
      if (listenerAt) await this.#ownClicks.takeBack({ visitorId, newestAt: listenerAt }, user);
    };
    await takeBack();
    const linked = await this.#responses.link(visitorId, user.userId, null);
    if (linked === null) return;
    await takeBack(); // what another tab has clicked meanwhile
    const link = await this.#lookup.find(touch.referral);
    const isOnRecord = linked.some(
      (response) =>
        response.referralId === link?.referral.id && response.touchedAt.getTime() >= touch.clickedAt.getTime(),
    );
    const isTakenBack = listenerAt !== undefined && (await this.#ownClicks.isOwn(touch.referral, user));
    if (link && !isOnRecord && !isTakenBack) await this.#responses.restoreClick(touch, link.referral, user.userId);
    await this.#attributedUsers.arrived(user); // before the touch is cleared, so that the next request tries again
  }
}
