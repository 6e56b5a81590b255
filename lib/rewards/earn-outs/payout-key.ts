/**
 * SQL: the idempotency key of an earn-out, from two texts: what identifies the attempt, and what is bound to it.
 *
 * A SHA-256 of both in the form of a UUID of version 8, the version for values of one's own making (RFC 9562, section
 * 5.8): the first 128 bits, with the version and the variant put in.
 */
export function keyOf(attempt: string, bound: string): string {
  const digest = `substr(encode(sha256(convert_to(${attempt} || E'\\n' || ${bound}, 'UTF8')), 'hex'), 1, 32)`;
  return `overlay(overlay(${digest} PLACING '8' FROM 13) PLACING 'a' FROM 17)::uuid::text`;
}
