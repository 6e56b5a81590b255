export { createReferrals, type Referrals } from './create-referrals';
export { entities } from './entities';
export { Referral } from './entities/referral';
export { ReferralCode } from './entities/referral-code';
export { ReferralCredit } from './entities/referral-credit';
export { ReferralCreditSpend } from './entities/referral-credit-spend';
export { ReferralCreditTransaction } from './entities/referral-credit-transaction';
export { ReferralCreditType } from './entities/referral-credit-type';
export { ReferralDailyCount } from './entities/referral-daily-count';
export { ReferralProgram } from './entities/referral-program';
export { ReferralResponse } from './entities/referral-response';
export { ReferralSignup } from './entities/referral-signup';
export { ReferralSignupRefusal } from './entities/referral-signup-refusal';
export { ReferralUsage } from './entities/referral-usage';
export { ReferralError, type ReferralErrorCode } from './errors';
export type { CreateFormInput, TemplateHelpers } from './http/template-helpers';
export type { ReferralsOptions, SignupContext } from './options';
export type {
  Amount,
  CaptureInput,
  CodeTerms,
  CreditChanges,
  CreditInput,
  CreditTerms,
  CreditTransactionInput,
  CreditTypeInput,
  FieldOf,
  Plain,
  ProgramChanges,
  ProgramInput,
  Purpose,
  ReadOptions,
  RecordSignupOptions,
  ReferralCodeChanges,
  ReferralCodeInput,
  Search,
  SettleInput,
  SignupCandidate,
  SignupExplanation,
  SignupInput,
  SignupRefusal,
  SpendInput,
  UsageInput,
  Weighed,
} from './reward-types';
export type { Problem, Verification } from './rewards/verify';
export type { ReferralEvents } from './tracking/events';
export type {
  CreateReferralInput,
  ListOptions,
  RecordRef,
  RecordOptions,
  ReferralDraft,
  RespondOptions,
  TargetRef,
  UserRef,
  WithManager,
} from './types';
export { migrations, runMigrations } from '../migrations';
