import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isCode } from '../input';

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
/** A code of 100, a visitor id of 22, a time, a signature of 43 and the dots: nothing longer is ours. */
const maxLength = 192;

/** A new visitor's id. */
export function newVisitorId(): string {
  return toUuid(randomBytes(16).toString('hex'));
}

/**
 * Signs and reads `v1.<code>.<visitor id>.<time>.<signature>`: the visitor id as base64url, the time in milliseconds since
 * 1970 to base 36, the signature HMAC-SHA256 over everything before it as base64url. All of it is safe in a cookie.
 */
export class VisitorTokens {
  /** Newest first: the first signs, any verifies. */
  readonly #keys: readonly Buffer[];

  constructor(secrets: readonly string[]) {
    // A key of its own for this purpose, so that a host may use its secret elsewhere too.
    this.#keys = secrets.map((secret) => createHmac('sha256', secret).update('express-referrals visitor').digest());
  }

  sign({ code, visitorId, clickedAt }: Visit): string {
    const id = Buffer.from(visitorId.replaceAll('-', ''), 'hex').toString('base64url');
    const facts = `${version}.${code}.${id}.${clickedAt.getTime().toString(36)}`;
    return `${facts}.${signature(this.#keys[0]!, facts).toString('base64url')}`;
  }

  /** The visit that we signed; null for anything else. Its age is the caller's to judge. */
  read(token: string): Visit | null {
    if (token.length > maxLength) return null;
    const parts = token.split('.');
    if (parts.length !== 5 || parts[0] !== version) return null;
    const [, code, id, time, signed] = parts as [string, string, string, string, string];
    const given = Buffer.from(signed, 'base64url');
    // Decoding is lenient; exactly one spelling of a signature is accepted.
    if (given.length !== 32 || given.toString('base64url') !== signed) return null;
    const facts = token.slice(0, token.length - signed.length - 1);
    if (!this.#keys.some((key) => timingSafeEqual(signature(key, facts), given))) return null;
    const visitorId = Buffer.from(id, 'base64url');
    const clickedAt = new Date(parseInt(time, 36));
    if (!isCode(code) || visitorId.length !== 16 || Number.isNaN(clickedAt.getTime())) return null;
    return { code, visitorId: toUuid(visitorId.toString('hex')), clickedAt };
  }
}

function signature(key: Buffer, facts: string): Buffer {
  return createHmac('sha256', key).update(facts).digest();
}

function toUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
