import type { CommissionTerms } from './commissions';
import type { Amount, RecordRef, UserRef, WithManager } from './common';
import type { CreateReferralInput } from './referrals';

/** What one side gets. */
export interface CreditTerms {
  /** The opening balance, above 0. */
  amount: Amount;
  /** How long the credit lives, in whole days of 24 hours from when it is given; 1 to 36,500. */
  durationDays: number;
  /** What it can be spent on. */
  type: RecordRef;
}

export interface ProgramInput {
  /** Unique, 1–100 characters. */
  name: string;
  /** What the referee gets at sign-up. Default none. An update may name some of its fields only, or null. */
  referralCredit?: CreditTerms | null;
  /** What the referrer gets once the referee has used enough. Default none. An update may name some of its fields only, or null. */
  rewardCredit?: CreditTerms | null;
  /** The usage from which on the referrer is rewarded. Default `'0'`: at the sign-up. */
  beforeRewardUsageThreshold?: Amount;
  /** What referees' purchases earn the referrer. Default: as the option `commission` says. */
  commission?: CommissionTerms | null;
}

export interface ProgramChanges extends Partial<Omit<ProgramInput, 'referralCredit' | 'rewardCredit'>> {
  referralCredit?: Partial<CreditTerms> | null;
  rewardCredit?: Partial<CreditTerms> | null;
}

/** The terms of a code, where it does not share those of a program. */
export interface CodeTerms {
  referralCreditAmount?: Amount | null;
  /** In days. */
  referralCreditDuration?: number | null;
  referralCreditType?: RecordRef | null;
  beforeRewardUsageThreshold?: Amount;
  rewardCreditAmount?: Amount | null;
  /** In days. */
  rewardCreditDuration?: number | null;
  rewardCreditType?: RecordRef | null;
  /** From 0 to 1; null for the option's. */
  commissionRatio?: Amount | null;
  /** Only with a ratio; null for no limit. */
  commissionMaxPerReferee?: Amount | null;
}

/** Either `program`, or terms, which make a program of the code's own, by the name of the code. */
export interface ReferralCodeInput extends CodeTerms, Omit<CreateReferralInput, 'redirectTo'> {
  /** Default `'/'`. */
  redirectTo?: string;
}

/** Terms can be changed here as long as no other code shares their program. Sign-ups keep the terms of their day. */
export interface ReferralCodeChanges extends CodeTerms {
  code?: string;
  label?: string;
  redirectTo?: string;
  expiredAt?: Date | null;
  program?: RecordRef | null;
  /** Not below the uses so far. */
  allowedUses?: number;
}

export interface SignupInput {
  user: UserRef;
  code: string;
}

export interface RecordSignupOptions extends WithManager {
  /** What the user typed; wins over the link that the visitor came through. Empty or missing: nothing typed. */
  code?: string | null | undefined;
}

export interface UsageInput extends WithManager {
  /** Below 0 for a correction. */
  amount: Amount;
  /** The host's own word for it, such as an invoice; unique for the user, 1–255 characters. */
  reference: string;
}

/** Why a sign-up credited nobody. */
export type SignupRefusal =
  'no-code' | 'unknown-code' | 'expired' | 'used-up' | 'own-code' | 'already-signed-up' | 'outside-window';

/** A referral that a sign-up could be credited to. */
export interface SignupCandidate {
  /** Whether its code was typed, or the visitor came through it. */
  source: 'code' | 'attribution';
  /** As it was typed, cut to 100 characters; null for a touch outside of the window. */
  code: string | null;
  referralId: number | null;
  /** When the visitor came through it, ISO 8601; null for a typed code. */
  touchedAt: string | null;
  /** `passed-over`: another one won. */
  outcome: 'chosen' | 'passed-over' | Exclude<SignupRefusal, 'no-code' | 'already-signed-up'>;
}

/** How a sign-up was decided; stored with it. */
export interface Weighed {
  candidates: SignupCandidate[];
  rule: 'typed-code' | 'last-touch' | 'first-touch';
  /** The code of the chosen referral. */
  choice: string | null;
}
