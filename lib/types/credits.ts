import type { Amount, RecordRef, UserRef, WithManager } from './common';

export interface CreditTypeInput {
  /** Unique, 1–100 characters. */
  name: string;
  /** The product that the credit is billed as, up to 100 characters. */
  product?: string | null;
  /** Whether `credits.refund` gives back what was spent. Default false. */
  refundable?: boolean;
  /** The only products that it can be spent on; not together with the categories. Default none listed: all. */
  onlyForProducts?: readonly string[];
  /** The only categories of products that it can be spent on; not together with the products. Default none listed: all. */
  onlyForProductCategories?: readonly string[];
}

/** A credit given by hand. */
export interface CreditInput {
  user: UserRef;
  creditType: RecordRef;
  /** Above 0. */
  initialBalance: Amount;
  /** Default: now. */
  startDate?: Date;
  /** When it ends; or `durationDays`. */
  expiryDate?: Date;
  /** How long it lives, in whole days of 24 hours from its start; or `expiryDate`. */
  durationDays?: number;
  /** Default: made from the type and the day. */
  name?: string;
  voucherCode?: string | null;
  /** Makes the call idempotent by (user, reference): the same again answers the first credit. */
  reference?: string | null;
}

export interface CreditChanges {
  name?: string;
  expiryDate?: Date;
  voucherCode?: string | null;
}

/** An adjustment by hand. */
export interface CreditTransactionInput {
  credit: RecordRef;
  /** Above 0 to add, below 0 to take; never more than there is. */
  value: Amount;
  description?: string;
  /** Makes the call idempotent by (credit, reference): the same again answers the first entry. */
  reference?: string | null;
}

/** What is bought, by which credits are chosen. */
export interface Purpose {
  product?: string;
  productCategory?: string;
}

export interface SpendInput extends Purpose, WithManager {
  /** Above 0. */
  amount: Amount;
  /** The host's own word for it, such as an invoice; unique for the user, 1–255 characters. */
  reference: string;
  /** Up to 500 characters, kept on each entry. */
  description?: string;
  /** Take what there is, if it is less. Default false: all or nothing. */
  partial?: boolean;
}

export interface SettleInput extends WithManager {
  /** The reference of the spend or hold. */
  reference: string;
  /** Whose; only needed where several users have the same reference. */
  user?: UserRef;
}

export interface CaptureInput extends SettleInput {
  /** What is spent in the end, up to what is held; the rest is released. Default: all of it. */
  amount?: Amount;
}
