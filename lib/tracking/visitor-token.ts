import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Named } from './referral-lookup';

/** The touch that a visitor carries until sign-in. */
export interface Touch {
  /** The referral that the visitor is attributed to: its id. In a token of the form `v1`, which is only read, a code. */
  readonly referral: Named;
  /** The visitor's random id, a UUID of any version. */
  readonly visitorId: string;
  /** The time of the touch, at which the attribution window begins. */
  readonly clickedAt: Date;
}

/** A touch as new tokens hold it. */
export type IdTouch = Touch & { readonly referral: number };

/**
 * Longer texts are not tokens. A token has at most 193: version 2, code 100, visitor id 36, time 8, signature 43, dots
 * 4.
 */
const maxLength = 200;

/** A version of tokens: its keys, and how its referral is read. */
interface Form {
  /** Each key verifies. */
  readonly keys: readonly Buffer[];
  readonly referralOf: (text: string) => Named;
}

/**
 * Signs and reads tokens of the form `v2.<referral id>.<visitor id>.<time>.<signature>`. The time is in milliseconds
 * since 1970, in base 36. The signature is the HMAC-SHA256 of the text before it, as base64url. Each character is safe in
 * a cookie.
 *
 * The keys are derived from the secrets, so that a host can use the same secret for other purposes, and from the audience:
 * another system with the same secret has other referrals under the same ids. Tokens of the form `v1`, which has the code
 * in place of the id and no audience, are read until they are too old.
 */
export class VisitorTokens {
  /** Signs. */
  readonly #key: Buffer;
  readonly #forms: ReadonlyMap<string, Form>;

  /**
   * @param secrets newest first: the first one signs, each verifies.
   * @param audiences of the site: the first one signs, each verifies.
   */
  constructor(secrets: readonly string[], audiences: readonly string[]) {
    const keys = secrets.flatMap((secret) => audiences.map((audience) => derivedKey(secret, audience)));
    this.#key = keys[0]!;
    this.#forms = new Map<string, Form>([
      ['v2', { keys, referralOf: Number }],
      ['v1', { keys: secrets.map((secret) => mac(secret, 'express-referrals visitor').digest()), referralOf: String }],
    ]);
  }

  sign({ referral, visitorId, clickedAt }: IdTouch): string {
    const payload = `v2.${referral}.${visitorId}.${clickedAt.getTime().toString(36)}`;
    return `${payload}.${signature(this.#key, payload)}`;
  }

  /** Returns the touch in a token that one of the keys has signed, else null. The caller checks its age. */
  read(token: string): Touch | null {
    if (token.length > maxLength) return null;
    const end = token.lastIndexOf('.');
    const payload = token.slice(0, end);
    const given = Buffer.from(token.slice(end + 1));
    const [version, referral, visitorId, time] = payload.split('.');
    const form = this.#forms.get(version!);
    // Compares the encoded texts, because several base64url texts can decode to the same signature.
    if (!form?.keys.some((key) => isSame(Buffer.from(signature(key, payload)), given))) return null;
    return { referral: form.referralOf(referral!), visitorId: visitorId!, clickedAt: new Date(parseInt(time!, 36)) };
  }
}

function derivedKey(secret: string, audience: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `express-referrals visitor of ${audience}`, 32));
}

function mac(key: string | Buffer, text: string) {
  return createHmac('sha256', key).update(text);
}

function signature(key: Buffer, payload: string): string {
  return mac(key, payload).digest('base64url');
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}
