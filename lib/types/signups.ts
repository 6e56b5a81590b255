import type { StaffOptions } from './audit';
import type { CommissionTerms, LimitPeriod } from './commissions';
import type { Amount, RecordRef, UserRef, WithManager } from './common';
import type { CreateReferralInput } from './referrals';

/** The credit that a program gives to the referee or to the referrer. */
export interface CreditTerms {
  /** The opening balance, above 0. */
  amount: Amount;
  /** How long the credit lasts, in whole days of 24 hours from when it is given, 1–36,500. */
  durationDays: number;
  /** The credit type, which says what the credit can be spent on. */
  type: RecordRef;
}

/** How many rewards a referrer can get for the sign-ups under a program. What is above it is not granted. */
export interface RewardLimit {
  /** The number of rewards, from 1. */
  count: number;
  /** The calendar period, in UTC, in which they are counted; `'all'`: all time. */
  period: LimitPeriod;
}

/** The input of `programs.create`. */
export interface ProgramInput {
  /** Unique, 1–100 characters. */
  name: string;
  /** What the referee gets at sign-up. Default: nothing. */
  referralCredit?: CreditTerms | null;
  /** What the referrer gets once the referee's usage reaches the threshold. Default: nothing. */
  rewardCredit?: CreditTerms | null;
  /** The sum of the referee's usage at which the referrer is rewarded; from 0. Default `'0'`: at the sign-up. */
  beforeRewardUsageThreshold?: Amount;
  /** How many rewards a referrer can get, in all or in a period. Default: no limit. */
  rewardLimit?: RewardLimit | null;
  /** What referees' purchases, and their sign-ups, earn the referrer. Default: the option `commission`. */
  commission?: CommissionTerms | null;
}

/** The changes of `programs.update`. They apply to later sign-ups only. A field that is left out stays as it is. */
export interface ProgramChanges extends Partial<Omit<ProgramInput, 'referralCredit' | 'rewardCredit'>> {
  /** Some of its fields, to change only those; null for no credit. */
  referralCredit?: Partial<CreditTerms> | null;
  /** Some of its fields, to change only those; null for no reward. */
  rewardCredit?: Partial<CreditTerms> | null;
}

/**
 * The terms of a referral code that has a program of its own. A credit needs an amount, a duration and a type; null for
 * all three means no credit, which is the default.
 */
export interface CodeTerms {
  /** The opening balance of the referee's credit, above 0. */
  referralCreditAmount?: Amount | null;
  /** How long the referee's credit lasts, in days, 1–36,500. */
  referralCreditDuration?: number | null;
  /** The type of the referee's credit. */
  referralCreditType?: RecordRef | null;
  /** The sum of the referee's usage at which the referrer is rewarded; from 0. Default `'0'`: at the sign-up. */
  beforeRewardUsageThreshold?: Amount;
  /** The opening balance of the referrer's reward credit, above 0. */
  rewardCreditAmount?: Amount | null;
  /** How long the referrer's reward credit lasts, in days, 1–36,500. */
  rewardCreditDuration?: number | null;
  /** The type of the referrer's reward credit. */
  rewardCreditType?: RecordRef | null;
  /** How many rewards a referrer can get, in all or in a period. Default null: no limit. */
  rewardLimit?: RewardLimit | null;
  /**
   * The share of referees' purchases that the referrer earns, from 0 to 1. Default null: the option `commission.ratio`.
   */
  commissionRatio?: Amount | null;
  /** What each purchase above 0 earns, above 0; in the place of a ratio. Default null: a ratio. */
  commissionAmount?: Amount | null;
  /** For how many months from the referee's first purchase, 1–1200; only with a ratio or an amount. Default null: for good. */
  commissionMonths?: number | null;
  /** For how many of the referee's purchases, from 1; only with a ratio or an amount. Default null: for all. */
  commissionPurchases?: number | null;
  /** The most that one referee can earn the referrer, above 0; only with a ratio or an amount. Default null: no limit. */
  commissionMaxPerReferee?: Amount | null;
  /** What the sign-up earns the referrer, from 0. Default null: what the option `commission.signup` says. */
  commissionSignup?: Amount | null;
  /** Whether it does so only once `referrals.qualify` is called. Default null: at the sign-up. */
  commissionQualify?: boolean | null;
  /** The most that the referrer can earn in a period, above 0. Default null: what the option says. */
  commissionMaxPerReferrer?: Amount | null;
  /** The period of that limit; both or none. */
  commissionPeriod?: LimitPeriod | null;
}

/**
 * The input of `referralCodes.create`: either a `program`, or terms, from which a program with the name of the code is
 * made.
 */
export interface ReferralCodeInput extends CodeTerms, Omit<CreateReferralInput, 'redirectTo'> {
  /** The destination of a click, as for `Referral.create`. Default: `baseUrl`. */
  redirectTo?: string;
}

/**
 * The changes of `referralCodes.update`. A field that is left out stays as it is. Terms can be changed if no other code
 * has the same program, and apply to later sign-ups only.
 */
export interface ReferralCodeChanges extends CodeTerms {
  /**
   * 1–100 of `[A-Za-z0-9_-]`, unique without regard to case, also among codes of the past. The code so far goes on leading
   * to the referral.
   */
  code?: string;
  /** Up to 100 characters. */
  label?: string;
  /** The destination of a click, as for `Referral.create`. */
  redirectTo?: string;
  /** From this time on clicks and sign-ups do not count; null for never. */
  expiredAt?: Date | null;
  /** The program whose terms apply to later sign-ups; null for none. Not together with terms. */
  program?: RecordRef | null;
  /** How many sign-ups may use the code, at least the uses so far; -1 for unlimited. */
  allowedUses?: number;
}

/** The input of `signups.create`. */
export interface SignupInput {
  /** The new user, the referee. */
  user: UserRef;
  /** The code to sign up with, in any case. For a user who has signed up, only the code of that sign-up. */
  code: string;
}

/** The input of `signups.reassign`: a `code` or a `referral`, and why. */
export interface ReassignInput extends StaffOptions {
  /** The code of the referral that the sign-up is to point to, in any case; null for nobody. */
  code?: string | null | undefined;
  /** The referral that the sign-up is to point to, or its id; null for nobody. */
  referral?: RecordRef | null | undefined;
  /**
   * What becomes of what the sign-up has earned so far, by itself and by purchases, coupons aside. `'keep'`: the earlier
   * referrer keeps it. `'move'`: what is not paid is taken back there, and the new referrer earns it. Default `'keep'`.
   */
  past?: 'keep' | 'move' | undefined;
  /** Why, 1 to 500 characters. */
  reason: string;
}

/** What `signups.reassign` has moved of past commissions. Amounts are decimal strings, net of refunds. */
export interface MovedPast {
  /** What was taken back from the earlier referrer; the new one has earned it, if there is one. */
  moved: string;
  /** How many commissions that were. */
  commissions: number;
  /**
   * What the earlier referrer keeps, because an earn-out has paid it, or is paying it; all of it if the new referral has the
   * same owner.
   */
  stays: string;
}

/** The options of `Referral.recordSignup`. */
export interface RecordSignupOptions extends WithManager {
  /**
   * The code that the user typed. It takes precedence over the link that the visitor came through. Default, and `''`:
   * none.
   */
  code?: string | null | undefined;
}

/** The input of `recordUsage`. */
export interface UsageInput extends WithManager {
  /** What the user has used; below 0 to correct earlier usage. In the program's currency, or in `currency`. */
  amount: Amount;
  /** The ISO 4217 code of the currency of the amount. Default: the option `currency`. */
  currency?: string | null | undefined;
  /**
   * How much of the program's currency one unit of `currency` is, if that is another one: above 0, with at most 18 digits
   * before the point and 20 after it. A repeated call goes on with the first rate. Default: what the option `exchange`
   * returns.
   */
  rate?: Amount | null | undefined;
  /** The idempotency key, such as an invoice number: unique for the user, 1–255 characters. */
  reference: string;
}

/**
 * Why `Referral.recordSignup` made no sign-up. `no-code`: the user typed no code and came through no referral.
 * `unknown-code`: no referral has the code. `expired`: the code has expired. `used-up`: the code has no uses left.
 * `own-code`: the referral is the user's own. `already-signed-up`: the user has a sign-up. `outside-window`: the touch
 * is older than `attribution.windowDays`. `suspended`: the account of the referral's owner is suspended or banned.
 */
export type SignupRefusal =
  | 'no-code'
  | 'unknown-code'
  | 'expired'
  | 'used-up'
  | 'own-code'
  | 'already-signed-up'
  | 'outside-window'
  | 'suspended';

/**
 * Why a referrer gets no reward for a sign-up. `suspended`: the account was suspended when the reward became due.
 * `limit-reached`: the `rewardLimit` of the program was reached.
 */
export type NoReward = 'suspended' | 'limit-reached';

/** A referral that a sign-up could be attributed to. */
export interface SignupCandidate {
  /** `code`: the user typed its code. `attribution`: the visitor came through it. */
  source: 'code' | 'attribution';
  /**
   * The code. A typed code is stored as it was typed, cut to 100 characters. Null for a touch outside of the window.
   */
  code: string | null;
  /** Null if no referral has the typed code, or if the touch is outside of the window. */
  referralId: number | null;
  /** The time at which the visitor came through the referral, ISO 8601; null for a typed code. */
  touchedAt: string | null;
  /** `chosen`, or why the candidate was not chosen. `passed-over`: another candidate has precedence. */
  outcome: 'chosen' | 'passed-over' | Exclude<SignupRefusal, 'no-code' | 'already-signed-up'>;
}

/** How the referral of a sign-up was chosen. It is stored with the sign-up. */
export interface Weighed {
  /** All referrals that were considered. */
  candidates: SignupCandidate[];
  /** The rule that decided: a typed code always wins, otherwise the option `attribution.model`. */
  rule: 'typed-code' | 'last-touch' | 'first-touch';
  /** The code of the chosen referral; null if none was. */
  choice: string | null;
}
