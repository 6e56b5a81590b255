import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';

/** A field of a form that nobody sees. */
export interface HiddenField {
  readonly name: string;
  readonly value: string;
}

/** The name of the field with our token. It is ours alone, so it can't be taken for the host's. */
export const csrfField = '_referrals_csrf';

/** How long a form can be sent after its page was made. */
const validMs = 12 * 60 * 60 * 1000;

/**
 * Signs and checks the tokens of forms, `<end, in milliseconds since 1970, in base 36>.<signature>`. The signature is the
 * HMAC-SHA256 of the end and the id of who is signed in, so a token is of no use to anybody else, and nothing is stored.
 */
export class CsrfTokens {
  /** Newest first: the first one signs, each verifies. */
  readonly #keys: readonly KeyObject[];

  /** @param audience of the forms: a token of one is refused by another. */
  constructor(secrets: readonly string[], audience: 'pages' | 'admin') {
    this.#keys = secrets.map((secret) =>
      createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `express-referrals forms of ${audience}`, 32))),
    );
  }

  sign(id: string, now: Date): string {
    const end = (now.getTime() + validMs).toString(36);
    return `${end}.${signature(this.#keys[0]!, end, id)}`;
  }

  /** Whether this is a token that was made for this id, and has not ended. */
  isValid(token: unknown, id: string, now: Date): boolean {
    if (typeof token !== 'string' || !/^[0-9a-z]{1,12}\.[\w-]{43}$/.test(token)) return false;
    const [end, given] = token.split('.') as [string, string];
    const left = parseInt(end, 36) - now.getTime();
    if (!(left > 0 && left <= validMs)) return false;
    return this.#keys.some((key) => timingSafeEqual(Buffer.from(signature(key, end, id)), Buffer.from(given)));
  }
}

function signature(key: KeyObject, end: string, id: string): string {
  return createHmac('sha256', key).update(`${end}.${id}`).digest('base64url');
}
