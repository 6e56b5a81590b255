import type { Amount } from './reward-types';
import type { ReferralCommission } from './entities/referral-commission';
import type { ReferralEarnOut } from './entities/referral-earn-out';
import type { ReferralPurchase } from './entities/referral-purchase';
import type { ReferralRefund } from './entities/referral-refund';
import type { UserRef, WithManager } from './types';

/** What commissions become at an earn-out: credit to spend, or money paid out. */
export type EarningMode = 'credits' | 'payout';

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

export interface AccountInput {
  user: UserRef;
}

export interface AccountChanges {
  mode?: EarningMode;
  /** Where payouts go; null only in the mode `credits`. */
  payoutEmail?: string | null;
}

/** What a user's account adds up to. Amounts are net of refunds, as decimal strings. */
export interface AccountTotals {
  /** Available commissions in the mode `credits` that wait for an earn-out; below 0 where more was refunded since the last one. */
  creditsEarned: string;
  /** The same in the mode `payout`. */
  payoutsEarned: string;
  /** All commissions ever in the mode `credits`, those that are pending or paid among them. */
  totalCreditsEarned: string;
  /** The same in the mode `payout`. */
  totalPayoutsEarned: string;
  /** How many users signed up or bought through the user. */
  usersReferred: number;
  /** How many of those have paid. */
  usersUpgraded: number;
  /** When the next period of earn-outs begins. What was due before and is not paid yet does not wait for it. */
  nextEarnOutAt: Date;
}

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

export interface RecordedPurchase {
  purchase: ReferralPurchase;
  /** Null if it earned none: `purchase.noCommission` says why. */
  commission: ReferralCommission | null;
}

export interface RefundInput extends WithManager {
  /** The reference of the purchase. */
  purchase: string;
  /** The host's own word for the refund; unique for the buyer, 1–255 characters. */
  reference: string;
  /** Above 0, up to what is left of the purchase. Default: all that is left. */
  amount?: Amount | null | undefined;
}

export interface RecordedRefund {
  refund: ReferralRefund;
  /** The purchase's commission as it is now; null if it had earned none. */
  commission: ReferralCommission | null;
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

/** How far `runEarnOuts` has come. */
export interface EarnOutProgress {
  /** Earn-outs made. */
  bound: number;
  completed: number;
  failed: number;
  /** What the completed ones amount to, as a decimal string. */
  amount: string;
}

export interface RunEarnOutsOptions {
  /** Is told after each batch. */
  onProgress?: (progress: EarnOutProgress) => unknown;
}

/** Pays an earn-out out of the host's own account. */
export type Payout = (earnOut: ReferralEarnOut) => unknown;
