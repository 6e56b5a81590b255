/** Lengths in characters; the migration and the checks of input use the same ones. */
export const lengths = {
  /** Any id of the host's: users and targets. */
  id: 128,
  label: 100,
  code: 100,
  redirectTo: 2048,
  targetType: 128,
  action: 128,
  header: 1024,
  /** Of a program, a credit type, a product, a product category or a voucher code. */
  name: 100,
  creditName: 300,
  /** The host's own word for a spend, a usage or a grant: an invoice, an order. */
  reference: 255,
  description: 500,
  email: 254,
} as const;
