export { createReferrals, type Referrals } from './create-referrals';
export type {
  AccountChanges,
  AccountInput,
  AccountTotals,
  ChannelChanges,
  ChannelInput,
  CommissionSource,
  CommissionStatus,
  CommissionTerms,
  Coupon,
  EarningMode,
  EarnOutProgress,
  NoCommission,
  Payout,
  PurchaseInput,
  PurchaseRecordInput,
  Quote,
  RecordedPurchase,
  RecordedRefund,
  RefundInput,
  RunEarnOutsOptions,
} from './earning-types';
export { entities } from './entities';
export { Referral } from './entities/referral';
export { ReferralAccount } from './entities/referral-account';
export { ReferralAccountTotal } from './entities/referral-account-total';
export { ReferralBuyer } from './entities/referral-buyer';
export { ReferralChannel } from './entities/referral-channel';
export { ReferralCode } from './entities/referral-code';
export { ReferralCommission } from './entities/referral-commission';
export { ReferralCommissionEntry } from './entities/referral-commission-entry';
export { ReferralCredit } from './entities/referral-credit';
export { ReferralCreditSpend } from './entities/referral-credit-spend';
export { ReferralCreditTransaction } from './entities/referral-credit-transaction';
export { ReferralCreditType } from './entities/referral-credit-type';
export { ReferralDailyCount } from './entities/referral-daily-count';
export { ReferralEarnOut } from './entities/referral-earn-out';
export { ReferralProgram } from './entities/referral-program';
export { ReferralPurchase } from './entities/referral-purchase';
export { ReferralRedemption } from './entities/referral-redemption';
export { ReferralReferee } from './entities/referral-referee';
export { ReferralRefund } from './entities/referral-refund';
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
