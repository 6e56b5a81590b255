import { createHmac, randomFillSync, timingSafeEqual } from 'node:crypto';

/** What the visitor carries from a click until sign-in. */
export interface Visit {
  /** The code of the referral that the visitor is attributed to. */
  readonly code: string;
  /** 128 random bits of ours, as a UUID-shaped string. */
  readonly visitorId: string;
  /** When the click was that the attribution counts from. */
  readonly clickedAt: Date;
}

const version = 'v1';
/** A version, a code of 100, a visitor id of 36, a time of 8, a signature of 43 and the dots: nothing longer is ours. */
const maxLength = 200;

/** Random bytes are drawn for many visitors at once: one draw costs as much as a signature. */
const pool = Buffer.alloc(16 * 256);
let drawn = pool.length;

/** A new visitor's id. */
export function newVisitorId(): string {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  const hex = pool.toString('hex', drawn, (drawn += 16));
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Signs and reads `v1.<code>.<visitor id>.<time>.<signature>`: the time in milliseconds since 1970 to base 36, the signature
 * HMAC-SHA256 over everything before it as base64url. All of it is safe in a cookie as it is.
 */
export class VisitorTokens {
  /** Newest first: the first signs, any verifies. */
  readonly #keys: readonly Buffer[];

  constructor(secrets: readonly string[]) {
    // A key of its own for this purpose, so that a host may use its secret elsewhere too.
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update('express-referrals visitor').digest());
  }

  sign({ code, visitorId, clickedAt }: Visit): string {
    const facts = `${version}.${code}.${visitorId}.${clickedAt.getTime().toString(36)}`;
    return `${facts}.${signature(this.#keys[0]!, facts)}`;
  }

  /** The visit that we signed; null for anything else. Its age is the caller's to judge. */
  read(token: string): Visit | null {
    if (token.length > maxLength) return null;
    const end = token.lastIndexOf('.');
    const facts = token.slice(0, end);
    const given = Buffer.from(token.slice(end + 1));
    // What was signed is compared as text: a signature has one spelling.
    if (!this.#keys.some((key) => isSame(Buffer.from(signature(key, facts)), given))) return null;
    const [signedVersion, code, visitorId, time] = facts.split('.');
    // Ours by its signature; another version's facts would be other ones.
    if (signedVersion !== version || !code || !visitorId || !time) return null;
    return { code, visitorId, clickedAt: new Date(parseInt(time, 36)) };
  }
}

function signature(key: Buffer, facts: string): string {
  return createHmac('sha256', key).update(facts).digest('base64url');
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}
