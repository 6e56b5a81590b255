import type { ReasonedOptions, StaffOptions } from './audit';
import type { Amount, RecordRef, UserRef, WithManager } from './common';

/** The input of `creditTypes.create`. */
export interface CreditTypeInput {
  /** Unique, 1–100 characters. */
  name: string;
  /** The product under which the host bills the credit, 1–100 characters. Default: none. */
  product?: string | null;
  /** Whether `credits.refund` gives back spent credit of this type. Default false. */
  refundable?: boolean;
  /**
   * The only products that the credit can be spent on; not together with `onlyForProductCategories`. Default `[]`: no
   * restriction.
   */
  onlyForProducts?: readonly string[];
  /**
   * The only product categories that the credit can be spent on; not together with `onlyForProducts`. Default `[]`: no
   * restriction.
   */
  onlyForProductCategories?: readonly string[];
}

/** The input of `credits.create`: a credit that the host's staff gives. */
export interface CreditInput {
  /** Who gets the credit. */
  user: UserRef;
  creditType: RecordRef;
  /** The opening balance, above 0. */
  initialBalance: Amount;
  /** From this time on the credit can be spent. Default: now. */
  startDate?: Date;
  /**
   * From this time on the credit can't be spent any more; after `startDate`. Either this or `durationDays` is required.
   */
  expiryDate?: Date;
  /**
   * How long the credit lasts, in whole days of 24 hours from its start, 1–36,500. Either this or `expiryDate` is
   * required.
   */
  durationDays?: number;
  /** 1–300 characters. Default: made from the type and the day. */
  name?: string;
  /** The voucher that the credit was given for, 1–100 characters. Default: none. */
  voucherCode?: string | null;
  /**
   * An idempotency key, unique for the user, 1–255 characters: a repeated call returns the first credit. Default: none.
   */
  reference?: string | null;
}

/** The input of `credits.adjust`: a correction by the host's staff. */
export interface CreditAdjustmentInput extends ReasonedOptions {
  /** The amount to add; below 0 to take, at most what there is. */
  amount: Amount;
  /** The idempotency key, unique for the user, 1–255 characters: a repeated call returns the first entries. */
  reference: string;
}

/** The changes of `credits.update`. A field that is left out stays as it is. */
export interface CreditChanges {
  /** 1–300 characters. */
  name?: string;
  /** After the start of the credit. */
  expiryDate?: Date;
  /** 1–100 characters; null for none. */
  voucherCode?: string | null;
}

/** The input of `creditTransactions.create`: an adjustment by the host's staff. */
export interface CreditTransactionInput {
  credit: RecordRef;
  /** The amount to add; below 0 to take, at most the current balance. */
  value: Amount;
  /** Up to 500 characters. Default `''`. */
  description?: string;
  /**
   * An idempotency key, unique for the credit, 1–255 characters: a repeated call returns the first entry. Default:
   * none.
   */
  reference?: string | null;
}

/**
 * What a user buys. Credit that is limited to products or product categories covers it only if its type lists one of
 * these.
 */
export interface Purpose {
  /** The name of the product. Default: none. */
  product?: string;
  /** The name of the product's category. Default: none. */
  productCategory?: string;
}

/** The input of `credits.spend`. */
export interface SpendInput extends Purpose, WithManager {
  /** The amount to take, above 0. */
  amount: Amount;
  /** The idempotency key, such as an invoice number: unique for the user, 1–255 characters. */
  reference: string;
  /** Stored with each entry of the ledger, up to 500 characters. Default `''`. */
  description?: string;
  /**
   * Whether to take all available credit if it is less than the amount. Default false: the call throws and takes
   * nothing.
   */
  partial?: boolean;
}

/** The input of `credits.hold`. */
export interface HoldInput extends SpendInput {
  /**
   * From this time on the held credit is available again, without a call; after the current time. A repeated call does not
   * change it. Default: never.
   */
  expiresAt?: Date | null | undefined;
}

/** The input of `credits.release`. */
export interface SettleInput extends WithManager {
  /** The `reference` of the spend or hold. */
  reference: string;
  /** The user of the spend or hold. Only required if several users have the same reference. */
  user?: UserRef;
}

/** The input of `credits.refund`. */
export interface CreditRefundInput extends SettleInput, StaffOptions {
  /** How much of the spend to give back, above 0, up to what is left of it. Default: all that is left. */
  amount?: Amount | null | undefined;
  /**
   * The idempotency key of this refund among those of the spend, 1–255 characters. Default: the amount, or `'all'` without
   * one; so two refunds of the same amount need keys.
   */
  refundReference?: string | null | undefined;
  /**
   * How many days of 24 hours, 1–36,500, the credits that get something back last from now on, at least. Default: their
   * ends stay as they are.
   */
  extendDays?: number | null | undefined;
}

/** The input of `credits.capture`. */
export interface CaptureInput extends SettleInput {
  /** The amount to spend, up to the amount that is held; the rest is released. Default: all of it. */
  amount?: Amount;
}
