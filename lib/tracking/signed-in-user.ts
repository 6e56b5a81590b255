import type { Request } from 'express';
import type { ReferralError } from '../errors';
import { userIdOf } from '../input';
import { refused } from '../option-checks';
import type { Settings } from '../options';
import type { UserRef } from '../types/common';

/** A signed-in user: the id as text, and what the option `user` returned. */
export interface SignedIn {
  readonly userId: string;
  readonly user: UserRef;
}

/**
 * Returns the user who is signed in, as the option `user` says; null for nobody. An empty text, which sessions
 * without a user often hold, is reported, and nobody is signed in. Every other value that is no user is thrown: a wrong
 * value is an error of the host (500), not of the visitor (400).
 */
export function signedInUser(
  { user }: Pick<Settings, 'user'>,
  req: Request,
  report: (error: ReferralError) => void,
): SignedIn | null | Promise<SignedIn | null> {
  const signedInAs = (given: UserRef | null | undefined): SignedIn | null => {
    try {
      const userId = userIdOf('user', given);
      return userId === null ? null : { userId, user: given! };
    } catch {
      const error = refused('user', 'a function that returns an id, an object with an id, or null', given);
      if (given !== '') throw error;
      report(error);
      return null;
    }
  };
  const given = user(req);
  return isPromise(given) ? given.then(signedInAs) : signedInAs(given);
}

export function idOf(signedIn: SignedIn | null): string | null {
  return signedIn && signedIn.userId;
}

/** Whether a value is a promise. Most hosts return the user without one, and then nothing is awaited. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  try {
    return typeof (value as Promise<T> | null | undefined)?.then === 'function';
  } catch {
    return false; // a proxy that throws
  }
}
