import { randomFillSync } from 'node:crypto';

/** Random bytes for the next ids: one call of the system serves a thousand of them. */
const random = Buffer.allocUnsafe(10_000);
const bytesEach = 10;
let used = random.length;

/**
 * Returns an id for a new visitor: a UUIDv7 (RFC 9562) with 74 random bits. It begins with the time, so that the index of
 * visitor ids grows at its end, and a click writes no random page. It is no secret: the signature of the cookie is.
 *
 * The time is that of the machine, even with the option `clock`. Nothing reads it from the id, and a UUID can't hold
 * every time that a test may set.
 */
export function newVisitorId(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  const time = Date.now().toString(16).padStart(12, '0');
  const bits = random.toString('hex', used, (used += bytesEach));
  const variant = '89ab'[parseInt(bits[3]!, 16) & 3]!;
  return `${time.slice(0, 8)}-${time.slice(8)}-7${bits.slice(0, 3)}-${variant}${bits.slice(4, 7)}-${bits.slice(7, 19)}`;
}
