import type { Request } from 'express';
import { askHost } from '../database/host-answers';
import type { Settings, SignupContext } from '../options';

/** The user of a call, and what the option `isSamePerson` is told of it. */
export interface Asking extends SignupContext {
  readonly userId: string;
}

/**
 * Decides whether the owner of a referral and a user are the same person, and what the option `selfReferral` makes of
 * it: for sign-ups, coupons, purchases, clicks and attribution alike.
 */
export class SamePerson {
  readonly #settings: Settings;
  /** What the host has answered during a request: it is asked once about the same two users. */
  readonly #answers = new WeakMap<Request, Map<string, Promise<boolean>>>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /**
   * Whether they are the same person. It calls the option `isSamePerson`, so it must not run in a transaction of our
   * own.
   */
  async is(owner: string | null, asking: Asking): Promise<boolean> {
    const { userId, req } = asking;
    if (owner === null || owner === userId) return owner !== null;
    if (!req) return this.#ask(owner, asking);
    let answers = this.#answers.get(req);
    if (!answers) this.#answers.set(req, (answers = new Map<string, Promise<boolean>>()));
    const key = JSON.stringify([owner, userId]);
    let answer = answers.get(key);
    if (!answer) answers.set(key, (answer = this.#ask(owner, asking)));
    return answer;
  }

  async #ask(owner: string, { userId, req, user, manager }: Asking): Promise<boolean> {
    const key = `isSamePerson ${JSON.stringify([owner, userId])}`;
    return askHost(key, manager, async (within) =>
      Boolean(await this.#settings.isSamePerson(owner, userId, { req, user, manager: within })),
    );
  }

  /** Whether a self-referral makes no sign-up, applies no coupon, counts no click and earns nothing. */
  get refuses(): boolean {
    return this.#settings.selfReferral === 'block';
  }

  /** Whether a self-referral is marked as one: the sign-up, and what is earned. */
  get flags(): boolean {
    return this.#settings.selfReferral === 'flag';
  }
}
