import type { Request } from 'express';
import type { EntityManager } from 'typeorm';
import type { Settings } from '../options';
import type { Asking, SamePerson } from './same-person';
import { isPromise, type SignedIn, signedInUser } from './signed-in-user';

/** The user of one request: who is signed in, and whose links are the user's own. */
export class RequestUser {
  readonly #settings: Settings;
  readonly #samePerson: SamePerson;
  readonly #req: Request;
  readonly #report: (error: unknown) => void;
  #isReported = false;

  /** @param report is called with the errors that no caller can catch. */
  constructor(settings: Settings, samePerson: SamePerson, req: Request, report: (error: unknown) => void) {
    this.#settings = settings;
    this.#samePerson = samePerson;
    this.#req = req;
    this.#report = report;
  }

  /** Returns the signed-in user. It calls the option `user` each time, because a handler may have signed a user in. */
  signedIn(): SignedIn | null | Promise<SignedIn | null> {
    return signedInUser(this.#settings, this.#req, (error) => this.#reportOnce(error));
  }

  /**
   * Returns the signed-in user for a click. If the option `user` throws, the click is recorded without a user and
   * redirected.
   */
  signedInOrNobody(): SignedIn | null | Promise<SignedIn | null> {
    const nobody = (error: unknown): null => {
      this.#settings.onError(error);
      return null;
    };
    try {
      const signedIn = this.signedIn();
      return isPromise(signedIn) ? signedIn.catch(nobody) : signedIn;
    } catch (error) {
      return nobody(error);
    }
  }

  asking(signedIn: SignedIn, manager?: EntityManager): Asking {
    return { ...signedIn, req: this.#req, manager };
  }

  /** Whether the owner of a referral is the signed-in user. If the option `isSamePerson` throws, the result is false. */
  async isOwn(owner: string | null, signedIn: SignedIn, manager?: EntityManager): Promise<boolean> {
    try {
      return await this.#samePerson.is(owner, this.asking(signedIn, manager));
    } catch (error) {
      this.#report(error);
      return false;
    }
  }

  /** Reports what the option `user` has returned: once, though it is called several times. */
  #reportOnce(error: unknown): void {
    if (!this.#isReported) this.#settings.onError(error);
    this.#isReported = true;
  }
}
