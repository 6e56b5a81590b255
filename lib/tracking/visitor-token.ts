import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Named } from './referral-lookup';

/** The touch that a visitor carries until sign-in. */
export interface Touch {
  /** The referral that the visitor is attributed to: its id. In a token of the form `v1`, which is only read, a code. */
  readonly referral: Named;
  /** The visitor's random id, a UUID of any version. */
  readonly visitorId: string;
  /** The time of the touch, at which the attribution window begins. */
  readonly clickedAt: Date;
  /**
   * The time of the visitor's newest click that `listener` has recorded without knowing who is signed in, if there is
   * one. At sign-in, such clicks on the user's own links are taken back.
   */
  readonly listenerAt?: Date | undefined;
}

/** A touch as new tokens hold it. */
export type IdTouch = Touch & { readonly referral: number };

/**
 * Longer texts are not tokens. A token has at most 193: version 2, code 100, visitor id 36, time 8, signature 43, dots
 * 4. One of the form `v2` is shorter, also with both times.
 */
const maxLength = 200;

/** A version of tokens: its keys, and how its referral is read. */
interface Form {
  /** Each key verifies. */
  readonly keys: readonly KeyObject[];
  readonly referralOf: (text: string) => Named;
}

/**
 * Signs and reads tokens of the form `v2.<referral id>.<visitor id>.<time>.<signature>`. The time is in milliseconds
 * since 1970, in base 36. Between it and the signature there may be a second time, {@link Touch.listenerAt}, which older
 * versions ignore. The signature is the HMAC-SHA256 of the text before it, as base64url. Each character is safe in a
 * cookie.
 *
 * The keys are derived from the secrets, so that a host can use the same secret for other purposes, and from the audience:
 * another system with the same secret has other referrals under the same ids. Tokens of the form `v1`, which has the code
 * in place of the id and no audience, are read until they are too old.
 */
export class VisitorTokens {
  /** Signs. */
  readonly #key: KeyObject;
  readonly #forms: ReadonlyMap<string, Form>;
  readonly #valid = new LRUCache<string, Touch>({ max: 5000 });

  /**
   * @param secrets newest first: the first one signs, each verifies.
   * @param audiences of the site: the first one signs, each verifies.
   */
  constructor(secrets: readonly string[], audiences: readonly string[]) {
    const keys = secrets.flatMap((secret) => audiences.map((audience) => derivedKey(secret, audience)));
    this.#key = keys[0]!;
    this.#forms = new Map<string, Form>([
      ['v2', { keys, referralOf: Number }],
      ['v1', { keys: secrets.map(formerKey), referralOf: String }],
    ]);
  }

  sign({ referral, visitorId, clickedAt, listenerAt }: IdTouch): string {
    const listener = listenerAt === undefined ? '' : `.${listenerAt.getTime().toString(36)}`;
    const payload = `v2.${referral}.${visitorId}.${clickedAt.getTime().toString(36)}${listener}`;
    return `${payload}.${signature(this.#key, payload)}`;
  }

  /**
   * Returns the touch in a token that one of the keys has signed, else null. The caller checks its age. Tokens that were
   * valid are remembered, because a visitor sends the same one with each page.
   */
  read(token: string): Touch | null {
    if (token.length > maxLength) return null;
    const known = this.#valid.get(token);
    if (known) return known;
    const touch = this.#verified(token);
    if (touch) this.#valid.set(token, touch);
    return touch;
  }

  #verified(token: string): Touch | null {
    const end = token.lastIndexOf('.');
    const payload = token.slice(0, end);
    const given = Buffer.from(token.slice(end + 1));
    const [version, referral, visitorId, time, listener] = payload.split('.');
    const form = this.#forms.get(version!);
    // Compares the encoded texts, because several base64url texts can decode to the same signature.
    if (!form?.keys.some((key) => isSame(Buffer.from(signature(key, payload)), given))) return null;
    return {
      referral: form.referralOf(referral!),
      visitorId: visitorId!,
      clickedAt: timeOf(time!),
      listenerAt: listener === undefined ? undefined : timeOf(listener),
    };
  }
}

// Keys are objects: given as bytes, Node.js 24 takes 10 µs to make one for each signature.

function derivedKey(secret: string, audience: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `express-referrals visitor of ${audience}`, 32)));
}

function formerKey(secret: string): KeyObject {
  return createSecretKey(createHmac('sha256', secret).update('express-referrals visitor').digest());
}

function signature(key: KeyObject, payload: string): string {
  return createHmac('sha256', key).update(payload).digest('base64url');
}

function timeOf(text: string): Date {
  return new Date(parseInt(text, 36));
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}
