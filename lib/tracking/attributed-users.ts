import type { Asking } from './same-person';

/** What is done about a user whose first attribution may have arrived. */
export type AttributionListener = (user: Asking) => Promise<void>;

/** Tells rewards, which is wired after tracking, of users whose attribution may have arrived. Each call is awaited. */
export class AttributedUsers {
  #listener: AttributionListener | null = null;

  listen(listener: AttributionListener): void {
    this.#listener = listener;
  }

  /**
   * Must be called after the responses of a visitor got a user, or a response of a user was recorded, outside of our
   * transactions: the option `isSamePerson` may be called.
   */
  async arrived(user: Asking): Promise<void> {
    await this.#listener?.(user);
  }
}
