import type { ReferralErrorCode } from '../errors';
import type { ReasonedOptions, StaffOptions } from './audit';
import type { Amount, RecordRef, UserRef, WithManager } from './common';
import type { EarningMode } from './earn-outs';

/**
 * `pending` until `availableAt`, then `available`; `reverted` if the purchase was refunded in full; `rejected` by staff, for
 * good; `held` until it is released.
 */
export type CommissionStatus = 'pending' | 'available' | 'reverted' | 'held' | 'rejected';

/** What the JSON API calls them: a held commission is pending there, and a rejected one reverted. */
export type ShownCommissionStatus = Exclude<CommissionStatus, 'held' | 'rejected'>;

/**
 * What decides who the referrer of a purchase is. The first of these that exists: the coupon that the buyer has
 * applied; the buyer's sign-up; the attribution of a buyer without a sign-up; the last coupon that the buyer has
 * redeemed.
 */
export type CommissionSource = 'coupon' | 'sign-up' | 'attribution' | 'earlier-coupon';

/**
 * Why a purchase, or a sign-up, earned no commission. `no-referrer`: nobody is known to have referred the buyer.
 * `own-referral`: the buyer is the referrer. `self-referral`: the same of a sign-up, with the option
 * `selfReferral: 'flag'`. `suspended`: the account of the referrer was suspended or banned at that time. `no-rate`: the ratio is 0, or a sign-up earns nothing. `term-ended`: the months of the terms are over.
 * `purchases-used`: earlier purchases have used up the purchases of the terms. `too-small`: less than half a cent.
 * `limit-reached`: the buyer has already earned the referrer the maximum. `referrer-limit`: the referrer has already
 * earned the maximum of the period.
 */
export type NoCommission =
  | 'no-referrer'
  | 'own-referral'
  | 'self-referral'
  | 'suspended'
  | 'no-rate'
  | 'term-ended'
  | 'purchases-used'
  | 'too-small'
  | 'limit-reached'
  | 'referrer-limit';

/** What earned a commission: a purchase, or a sign-up. */
export type CommissionKind = 'purchase' | 'sign-up';

/** Where the terms of a commission come from, most particular first. */
export type TermsSource = 'account' | 'channel' | 'program' | 'option';

/** The period of a limit: a calendar month, quarter or year in UTC, or all time. */
export type LimitPeriod = 'month' | 'quarter' | 'year' | 'all';

/** The most that a referrer can earn in a period. */
export interface ReferrerLimit {
  /** Above 0. */
  amount: Amount;
  period: LimitPeriod;
}

/**
 * The commission terms of a program or an account. They have three parts: what a purchase earns (`ratio` or `amount`, with
 * `months`, `purchases` and `maxPerReferee`), what a sign-up earns (`signup`, with `qualify`), and `maxPerReferrer`. Each
 * part comes from the most particular place that sets it: the account, else the channel, else the program, else the
 * option `commission`.
 */
export interface CommissionTerms {
  /** The share of each purchase that the referrer earns, from 0 to 1, with at most 4 decimals. Not together with `amount`. */
  ratio?: Amount | null;
  /** What each purchase above 0 earns, whatever it costs; above 0. Not together with `ratio`. */
  amount?: Amount | null;
  /**
   * For how many calendar months, in UTC, purchases earn: from the referee's first purchase that is credited to the
   * referrer; 1–1200. Default: for good.
   */
  months?: number | null;
  /**
   * For how many purchases of a referee that are credited to the referrer; from 1, which is the first purchase only. Those of 0 do not count, and
   * those that are refunded do. Default: for all.
   */
  purchases?: number | null;
  /** The most that one referee can earn the referrer; above 0. Default: no limit. */
  maxPerReferee?: Amount | null;
  /** What a sign-up earns; from 0, where 0 means nothing, also if a less particular place sets more. */
  signup?: Amount | null;
  /** Whether a sign-up earns only once `referrals.qualify` is called for the user. Default false: at the sign-up. */
  qualify?: boolean | null;
  /**
   * The most that the referrer can earn in a period. All commissions count whose terms have a limit for that period, net of
   * refunds, by the time of their purchase or sign-up. Default: no limit.
   */
  maxPerReferrer?: ReferrerLimit | null;
}

/** The commission terms of a channel beyond its two rates. */
export interface ChannelCommission extends Omit<CommissionTerms, 'ratio' | 'maxPerReferee'> {
  /** What each purchase above 0 earns, in the place of the two rates; above 0. Default: the rates. */
  amount?: Amount | null;
}

/** The input of `channels.create`. */
export interface ChannelInput {
  /** The owner of the code, who earns the commissions. */
  user: UserRef;
  /** What buyers type, 1–100 of `[A-Za-z0-9_-]`. Unique among all referrals, without regard to case. */
  code: string;
  /**
   * How many buyers may redeem the coupon; -1 for unlimited. As many sign-ups may use the code, which are counted apart.
   * It can be set below the redemptions so far, but not below the sign-ups. Default -1.
   */
  allowedUses?: number;
  /**
   * How many buyers may redeem the coupon, exactly, from 0; sign-ups do not count. Null, which is the default:
   * `allowedUses`.
   */
  maxRedemptions?: number | null;
  /** The least price that gets the discount, before it, above 0. Default null: any. */
  minimumAmount?: Amount | null;
  /** Whether only a buyer who has not paid for anything yet can redeem the coupon. Default false. */
  firstPurchaseOnly?: boolean;
  /** The only products that get the discount, each 1–100 characters. Default `[]`: all, also unnamed ones. */
  products?: readonly string[];
  /**
   * Whether the buyer gets the coupon back, to apply it again, when the purchase that has redeemed it is refunded as a
   * whole. Default false.
   */
  restoreOnRefund?: boolean;
  /** Up to 500 characters. Default `''`. */
  description?: string;
  /** Whether the discount, `promoValue`, is a share of the price or an amount. */
  promoType: 'percent_off' | 'value_off';
  /** The discount: from 0 to 1 for `percent_off`, an amount from 0 for `value_off`. */
  promoValue: Amount;
  /** Whether users can apply the coupon. Default true. */
  isActive?: boolean;
  /**
   * Whether the discount applies to each purchase of a buyer, or only to the one that redeems the coupon. Default false.
   */
  isRecurring?: boolean;
  /** From this time on the coupon can be applied. Default: now. */
  startDate?: Date | null;
  /** From this time on the coupon can't be applied or redeemed any more; after `startDate`. Default: never. */
  endDate?: Date | null;
  /**
   * The share of a purchase that the owner earns at first, for `initialRatePeriodDays` from the buyer's first purchase:
   * from 0 to 1. Default: the option `commission.ratio`.
   */
  initialRate?: Amount;
  /** The share after that period, from 0 to 1. Default: `initialRate`. */
  ongoingRate?: Amount;
  /** How long the initial rate applies, in days of 24 hours, from 0. Default 365. */
  initialRatePeriodDays?: number;
  /**
   * The most that one buyer can earn the owner, above 0; null for no limit. Default: the option
   * `commission.maxPerReferee`.
   */
  maxEarningsPerReferred?: Amount | null;
  /**
   * Terms beyond the two rates; null for none. A change replaces them as a whole. Default: if no rate is given either, those
   * of the option `commission` about purchases.
   */
  commission?: ChannelCommission | null;
}

/** The input of `channels.createMany` for codes in bulk, which all have the same terms. */
export interface ChannelBatchInput extends Omit<ChannelInput, 'code'> {
  /** How many, 1–100,000. */
  count: number;
  /**
   * What each code begins with, up to 80 of `[A-Za-z0-9_-]`. The rest comes from the option `generateCode`: by default, ten
   * characters that can't be guessed. Default: nothing.
   */
  prefix?: string;
}

/** The options of `channels.exportCodes`. */
export interface ExportCodesOptions extends WithManager {
  /** The conditions on the fields of channels, as for `channels.search`. Default: all channels. */
  where?: object | object[];
}

/** The changes of `channels.update`. They apply to later purchases only. */
export type ChannelChanges = Partial<Omit<ChannelInput, 'user'>>;

/** The input of `recordPurchase`. */
export interface PurchaseInput extends WithManager {
  /** The amount that was paid, after any discount; from 0. In the program's currency, or in `currency`. */
  amount: Amount;
  /** The ISO 4217 code of the currency of the amount. Default: the option `currency`. */
  currency?: string | null | undefined;
  /**
   * How much of the program's currency one unit of `currency` is, if that is another one: above 0, with at most 18 digits
   * before the point and 20 after it. A repeated call goes on with the first rate. Default: what the option `exchange`
   * returns.
   */
  rate?: Amount | null | undefined;
  /** The idempotency key, such as an order number: unique for the buyer, 1–255 characters. */
  reference: string;
  /**
   * The price before the discount, as `quote` took it, in the currency of `amount`, for coupons with a `minimumAmount`. Default: not known; then the
   * coupon counts if `amount` is at least what a purchase of the minimum costs with the discount.
   */
  price?: Amount | null | undefined;
  /** What is bought, 1–100 characters, for coupons with `products`. Default: none. */
  product?: string | null | undefined;
  /** The time of the payment. Default: now. */
  at?: Date | null | undefined;
  /**
   * The referral that the buyer came through, for a purchase that is recorded before the buyer's first page after
   * sign-in, as by a webhook. It takes the place of the attribution that would be looked up. At most one of `referral`,
   * `code` and `visitorId`. Default: the attribution of the buyer is looked up.
   */
  referral?: RecordRef | null | undefined;
  /** The same by a code that the referral has or once had, in any case. */
  code?: string | null | undefined;
  /**
   * The same by the visitor whose touches count, as `referrals.visitorId(req)` returned it at the checkout. Without
   * touches, and for a visitor who is another user, there is no attribution.
   */
  visitorId?: string | null | undefined;
}

/** The input of `purchases.create`: that of `recordPurchase`, and the buyer. */
export interface PurchaseRecordInput extends Omit<PurchaseInput, 'manager'> {
  /** The buyer. */
  user: UserRef;
}

/** The input of `recordRefund`. */
export interface RefundInput extends WithManager {
  /** The `reference` of the purchase. */
  purchase: string;
  /** The idempotency key of the refund: unique for the buyer, 1–255 characters. */
  reference: string;
  /**
   * The amount that is paid back, in the currency of the purchase: above 0, up to what is left of it. Default: all that is
   * left.
   */
  amount?: Amount | null | undefined;
}

/** The input of `qualify`. */
export interface QualifyInput extends WithManager {
  /** The host's name of what qualifies the user, such as `trial-4711`; 1–255 characters. */
  reference: string;
}

/** The input of `undoRefund`. */
export interface UndoInput extends StaffOptions {
  /** The `reference` of the refund. It stays used: another refund takes another one. */
  reference: string;
}

/** The input of `commissions.adjust`. */
export interface AdjustmentInput extends ReasonedOptions {
  /** Above 0 for a bonus, below 0 for a deduction. */
  amount: Amount;
  /** The idempotency key: unique for the user, 1–255 characters. */
  reference: string;
  /** What it becomes: credit to spend, or money that is paid out. Default: the mode of the user's account. */
  mode?: EarningMode | null | undefined;
}

/** Why a coupon is refused: the code of the error. */
export type CouponRefusal = Extract<ReferralErrorCode, `COUPON_${string}`>;

/** The options of `coupons.giveBack`. */
export interface GiveBackOptions extends ReasonedOptions {
  /** The code of the coupon, in any case. Default: the coupon that the user has redeemed last. */
  code?: string | null | undefined;
}

/** The options of `quote`. */
export interface QuoteOptions extends WithManager {
  /** What the price is for, 1–100 characters, for coupons with `products`. Default: none. */
  product?: string | null | undefined;
}

/** The result of `quote`: what a buyer would pay with the applied coupon. Amounts are decimal strings. */
export interface Quote {
  /** The price before the discount. */
  amount: string;
  /** What the coupon takes off; `'0.00'` without a coupon. */
  discount: string;
  /** What the buyer pays: `amount` minus `discount`. */
  total: string;
  /** The code of the coupon; null if none is applied, or if it gives no discount. */
  code: string | null;
  /** Why the coupon that is applied gives no discount, with a sentence for developers. Only there if it gives none. */
  noDiscount?: { code: CouponRefusal; message: string };
}

/** The coupon that a user has applied. */
export interface Coupon {
  /** The id of the channel. */
  channelId: number;
  code: string;
  promoType: 'percent_off' | 'value_off';
  /** A decimal string: from 0 to 1 of the price for `percent_off`, an amount for `value_off`. */
  promoValue: string;
  description: string;
  /** Whether the discount applies to every purchase, or to the first one only. */
  isRecurring: boolean;
}
