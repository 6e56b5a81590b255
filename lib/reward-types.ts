import type { FindOptionsOrderValue, FindOptionsWhere } from 'typeorm';
import type { CommissionTerms } from './earning-types';
import type { ReferralSignup } from './entities/referral-signup';
import type { CreateReferralInput, RecordRef, UserRef, WithManager } from './types';

/**
 * An amount of the host's currency: a decimal string such as `'12.50'`, or a finite number. Within `numeric(20,4)`: at most 16
 * digits before the point and 4 after it. Amounts that we answer are strings with 2 to 4 decimals.
 */
export type Amount = string | number;

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

export interface ReadOptions<Field extends string = string> extends WithManager {
  /** A missing record is null (`get`), or left out (`list`), instead of an error. */
  optional?: boolean;
  /** Only these fields are loaded, and what the record's methods need. Default: all. */
  fields?: readonly Field[];
  /** Plain objects instead of records. */
  plain?: boolean;
}

/** A record's fields, without its methods. */
export type Plain<R> = {
  [Field in keyof R as R[Field] extends (...args: never[]) => unknown ? never : Field]: R[Field];
};

/** The name of a record's field. */
export type FieldOf<R> = keyof Plain<R> & string;

/** As TypeORM's, on the record's fields only. A null means "is null". */
export interface Search<Fields extends object> extends Omit<ReadOptions<FieldOf<Fields>>, 'optional'> {
  where?: SearchWhere<Fields> | SearchWhere<Fields>[];
  order?: { [Field in FieldOf<Fields>]?: FindOptionsOrderValue };
  /** At most so many. Default: all. */
  take?: number;
  /** So many are left out. Default 0. */
  skip?: number;
}

type SearchWhere<Fields> = {
  [Field in FieldOf<Fields> & keyof FindOptionsWhere<Fields>]?: FindOptionsWhere<Fields>[Field] | null;
};

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

/** What `explainSignup` answers. */
export interface SignupExplanation {
  /** Why the newest `recordSignup` of the user credited nobody, or, once there is a sign-up, why another call will not. */
  reason: SignupRefusal;
  /** The reason in a sentence. */
  sentence: string;
  signup: ReferralSignup | null;
  /** What was weighed for the sign-up, or else for the refusal; null if `recordSignup` was never called for the user. */
  weighed: Weighed | null;
  decidedAt: Date | null;
}
