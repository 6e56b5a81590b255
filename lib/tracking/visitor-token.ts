import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';

/** The touch that a visitor carries until sign-in. */
export interface Touch {
  /** The code of the referral that the visitor is attributed to. */
  readonly code: string;
  /** The visitor's random id, a UUID. */
  readonly visitorId: string;
  /** The time of the touch, at which the attribution window begins. */
  readonly clickedAt: Date;
}

const version = 'v1';
/**
 * Longer texts are not tokens. A token has at most 193: version 2, code 100, visitor id 36, time 8, signature 43, dots
 * 4.
 */
const maxLength = 200;

/** Returns a random id for a new visitor. */
export function newVisitorId(): string {
  return randomUUID();
}

/**
 * Signs and reads tokens of the form `v1.<code>.<visitor id>.<time>.<signature>`. The time is in milliseconds since
 * 1970, in base 36. The signature is the HMAC-SHA256 of the text before it, as base64url. Each character is safe in a
 * cookie.
 */
export class VisitorTokens {
  /** Newest first: the first key signs, each key verifies. */
  readonly #keys: readonly Buffer[];

  constructor(secrets: readonly string[]) {
    // The keys are derived from the secrets, so that a host can use the same secret for other purposes.
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update('express-referrals visitor').digest());
  }

  sign({ code, visitorId, clickedAt }: Touch): string {
    const payload = `${version}.${code}.${visitorId}.${clickedAt.getTime().toString(36)}`;
    return `${payload}.${signature(this.#keys[0]!, payload)}`;
  }

  /** Returns the touch in a token that one of the keys has signed, else null. The caller checks its age. */
  read(token: string): Touch | null {
    if (token.length > maxLength) return null;
    const end = token.lastIndexOf('.');
    const payload = token.slice(0, end);
    const given = Buffer.from(token.slice(end + 1));
    // Compares the encoded texts, because several base64url texts can decode to the same signature.
    if (!this.#keys.some((key) => isSame(Buffer.from(signature(key, payload)), given))) return null;
    const [signedVersion, code, visitorId, time] = payload.split('.');
    // A token of another version has a valid signature too, but other fields.
    if (signedVersion !== version || !code || !visitorId || !time) return null;
    return { code, visitorId, clickedAt: new Date(parseInt(time, 36)) };
  }
}

function signature(key: Buffer, payload: string): string {
  return createHmac('sha256', key).update(payload).digest('base64url');
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}
