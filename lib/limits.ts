/** Maximum lengths of columns, in characters. The migrations and the checks of input use the same values. */
export const lengths = {
  /** An id of the host's: of a user or of a target. */
  id: 128,
  label: 100,
  code: 100,
  redirectTo: 2048,
  /** A `Location` header, so that it stays below 8 kB: many proxies and servers refuse a longer one. */
  location: 8000,
  targetType: 128,
  action: 128,
  /** A stored HTTP header: `User-Agent` or `Referer`. */
  header: 1024,
  /** The name of a program, a credit type, a product, a product category or a voucher code. */
  name: 100,
  creditName: 300,
  /** The host's idempotency key of a spend, a usage, a purchase or a grant, such as an invoice number. */
  reference: 255,
  description: 500,
  /** The key of an earn-out for the payment provider: a UUID as text. */
  idempotencyKey: 36,
  email: 254,
} as const;

/** A day of 24 hours, in milliseconds. */
export const dayMs = 86_400_000;
