import type { Amount, UserRef, WithManager } from './common';

/** `pending` until it is available; `reverted` once its purchase is refunded as a whole. */
export type CommissionStatus = 'pending' | 'available' | 'reverted';

/**
 * By what the referrer of a purchase is found, in this order: the coupon that the buyer has applied; the buyer's sign-up; for a buyer
 * without one, their attribution; and then the last coupon that they have used.
 */
export type CommissionSource = 'coupon' | 'sign-up' | 'attribution' | 'earlier-coupon';

/**
 * Why a purchase earned no commission: nobody referred the buyer; the buyer's own referral; a ratio of 0; less than half a cent;
 * or the referee has earned the referrer the most already.
 */
export type NoCommission = 'no-referrer' | 'own-referral' | 'no-rate' | 'too-small' | 'limit-reached';

/** The terms of a program's commissions, in place of those of the option `commission`. */
export interface CommissionTerms {
  /** The share of each purchase, from 0 to 1 with at most 4 decimals. */
  ratio: Amount;
  /** The most that one referee can earn the referrer. Default: no limit. */
  maxPerReferee?: Amount | null;
}

export interface ChannelInput {
  /** Who owns the code and earns by it. */
  user: UserRef;
  /** 1–100 of `[A-Za-z0-9_-]`, unique among all referrals without regard to case. */
  code: string;
  /** Up to 500 characters. Default `''`. */
  description?: string;
  /** What `promoValue` is: a share of the price, or an amount. */
  promoType: 'percent_off' | 'value_off';
  /** From 0 to 1 for `percent_off`, an amount from 0 for `value_off`. */
  promoValue: Amount;
  /** Whether it can be applied. Default true. */
  isActive?: boolean;
  /** Whether the discount is on every renewal, or on the first purchase only. Default false. */
  isRecurring?: boolean;
  /** Default: now. */
  startDate?: Date | null;
  /** From when on it can't be applied or redeemed. Default: never. */
  endDate?: Date | null;
  /** The share that the owner earns in the first days after the buyer's first purchase, from 0 to 1. Default: the option's ratio. */
  initialRate?: Amount;
  /** The share after those days. Default: the initial rate. */
  ongoingRate?: Amount;
  /** How many days of 24 hours the initial rate holds, from 0. Default 365. */
  initialRatePeriodDays?: number;
  /** The most that one buyer can earn the owner; null for no limit. Default: the option's `maxPerReferee`. */
  maxEarningsPerReferred?: Amount | null;
}

/** A change holds for purchases to come. */
export type ChannelChanges = Partial<Omit<ChannelInput, 'user'>>;

export interface PurchaseInput extends WithManager {
  /** What was paid, after any discount, from 0. */
  amount: Amount;
  /** The host's own word for it, such as an invoice; unique for the buyer, 1–255 characters. */
  reference: string;
  /** When it was paid. Default: now. */
  at?: Date | null | undefined;
}

/** As `recordPurchase` takes it, for `purchases.create`. */
export interface PurchaseRecordInput extends Omit<PurchaseInput, 'manager'> {
  user: UserRef;
}

export interface RefundInput extends WithManager {
  /** The reference of the purchase. */
  purchase: string;
  /** The host's own word for the refund; unique for the buyer, 1–255 characters. */
  reference: string;
  /** Above 0, up to what is left of the purchase. Default: all that is left. */
  amount?: Amount | null | undefined;
}

/** What a buyer would pay, with the coupon that they have applied. Decimal strings. */
export interface Quote {
  amount: string;
  discount: string;
  total: string;
  /** The code of the coupon; null if none is applied, or it can't be used any more. */
  code: string | null;
}

/** The coupon that a user has applied. */
export interface Coupon {
  channelId: number;
  code: string;
  promoType: 'percent_off' | 'value_off';
  promoValue: string;
  description: string;
  isRecurring: boolean;
}
