import { randomUUID } from 'node:crypto';

/** The last millisecond in which an id was made, and how its ids begin: many are made in one under load. */
let lastTime = -1;
let prefix = '';

/**
 * Returns an id for a new visitor: a UUIDv7 (RFC 9562) with 74 random bits. It begins with the time, so that the index of
 * visitor ids grows at its end, and a click writes no random page. It is no secret: the signature of the cookie is.
 *
 * The time is that of the machine, even with the option `clock`. Nothing reads it from the id, and a UUID can't hold
 * every time that a test may set.
 */
export function newVisitorId(): string {
  const now = Date.now();
  if (now !== lastTime) {
    const time = now.toString(16).padStart(12, '0');
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`;
    lastTime = now;
  }
  // What follows the version is the same in a UUIDv4: 12 random bits, the variant, and 62 random bits.
  return prefix + randomUUID().slice('xxxxxxxx-xxxx-4'.length);
}
