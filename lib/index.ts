export { createReferrals, type Referrals } from './create-referrals';
export { formatAmount } from './format-amount';
export type {
  AccountChanges,
  AccountInput,
  AccountTotals,
  BlockedEarnings,
  EarningMode,
  EarnOutProgress,
  EarnOutReport,
  EarnOutStatus,
  PayoutApproval,
  PayoutInquiry,
  PayoutResult,
  ProviderAnswer,
  ProviderPayment,
  Reconciliation,
  RunEarnOutsOptions,
} from './types/earn-outs';
export type {
  AdjustmentInput,
  ChannelBatchInput,
  ChannelChanges,
  ChannelCommission,
  ChannelInput,
  CommissionKind,
  CommissionSource,
  CommissionStatus,
  CommissionTerms,
  Coupon,
  CouponRefusal,
  ExportCodesOptions,
  GiveBackOptions,
  LimitPeriod,
  NoCommission,
  PurchaseInput,
  PurchaseRecordInput,
  QualifyInput,
  Quote,
  QuoteOptions,
  ReferrerLimit,
  RefundInput,
  TermsSource,
  UndoInput,
} from './types/commissions';
export type {
  ExplainedPurchase,
  ExplainedTouch,
  Explanation,
  RefereeFacts,
  ReferrerFacts,
  UsageFacts,
} from './rewards/explain/explanation';
export type { Payout } from './options';
export type { RecordedPurchase } from './rewards/commissions/purchases';
export type { RecordedRefund } from './rewards/commissions/refunds';
export type { RefundedSpend } from './rewards/credits/settlements';
export type { QualifiedSignup } from './rewards/commissions/signup-commissions';
export type { Actor, ReasonedOptions, StaffOptions } from './types/audit';
export type { Amount, ListOptions, RecordRef, UserRef, WithManager } from './types/common';
export type {
  CaptureInput,
  CreditAdjustmentInput,
  CreditChanges,
  CreditInput,
  CreditRefundInput,
  CreditTransactionInput,
  CreditTypeInput,
  HoldInput,
  Purpose,
  SettleInput,
  SpendInput,
} from './types/credits';
export type {
  CodeTerms,
  CreditTerms,
  MovedPast,
  NoReward,
  ProgramChanges,
  ProgramInput,
  ReassignInput,
  RecordSignupOptions,
  ReferralCodeChanges,
  ReferralCodeInput,
  RewardLimit,
  SignupCandidate,
  SignupInput,
  SignupRefusal,
  UsageInput,
  Weighed,
} from './types/signups';
export type { UserChange } from './types/users';
export type { FieldOf, Plain, ReadOptions, Search } from './types/records';
export type { ReassignedSignup } from './rewards/signups/reassignments';
export type { SignupExplanation } from './rewards/signups/signup-explanation';
export type {
  CreateReferralInput,
  RecordOptions,
  ReferralDraft,
  RespondOptions,
  ResponseCountOptions,
  TargetRef,
} from './types/referrals';

export type {
  CommissionsAsked,
  Counted,
  CountedDay,
  CouponFigures,
  CreditEntry,
  CreditOffer,
  FigureDays,
  Friend,
  FriendState,
  LinkFigures,
  OfferedTerms,
  Overview,
  OwnAdjustment,
  OwnCommission,
  OwnCredit,
  OwnCredits,
  OwnEarnings,
  OwnLink,
  OwnPayout,
  OwnSettings,
  PaidStatus,
  Rows,
  RowsAsked,
} from './types/figures';
export type {
  CreditsData,
  Named,
  OverviewData,
  PageColor,
  PageColors,
  PagesData,
  PageTemplates,
  StaffMember,
  TemplateName,
  TemplatePage,
  WithUrl,
} from './types/pages';
export type { Pages } from './http/pages/pages';
export type { SomeTexts } from './http/views/texts/texts';

export { entities } from './entities';
export { Referral } from './entities/referral';
export { ReferralAccount } from './entities/referral-account';
export { ReferralAccountTotal } from './entities/referral-account-total';
export { ReferralAdjustment } from './entities/referral-adjustment';
export { ReferralAlias } from './entities/referral-alias';
export { ReferralAudit } from './entities/referral-audit';
export { ReferralBuyer } from './entities/referral-buyer';
export { ReferralChannel } from './entities/referral-channel';
export { ReferralCode } from './entities/referral-code';
export { ReferralCommission } from './entities/referral-commission';
export { ReferralCommissionEntry } from './entities/referral-commission-entry';
export { ReferralCredit } from './entities/referral-credit';
export { ReferralCreditRefund } from './entities/referral-credit-refund';
export { ReferralCreditSpend } from './entities/referral-credit-spend';
export { ReferralCreditTransaction } from './entities/referral-credit-transaction';
export { ReferralCreditType } from './entities/referral-credit-type';
export { ReferralDailyCount } from './entities/referral-daily-count';
export { ReferralEarnOut } from './entities/referral-earn-out';
export { ReferralEarnOutEntry } from './entities/referral-earn-out-entry';
export { ReferralLateAttribution } from './entities/referral-late-attribution';
export { ReferralProgram } from './entities/referral-program';
export { ReferralPurchase } from './entities/referral-purchase';
export { ReferralRedemption } from './entities/referral-redemption';
export { ReferralReferee } from './entities/referral-referee';
export { ReferralReferrerPeriod } from './entities/referral-referrer-period';
export { ReferralRefund } from './entities/referral-refund';
export { ReferralResponse } from './entities/referral-response';
export { ReferralReview } from './entities/referral-review';
export { ReferralClosedDays } from './entities/referral-closed-days';
export { ReferralUserDay } from './entities/referral-user-day';
export { ReferralUserLink } from './entities/referral-user-link';
export { ReferralRewardCount } from './entities/referral-reward-count';
export { ReferralSignup } from './entities/referral-signup';
export { ReferralSignupRefusal } from './entities/referral-signup-refusal';
export { ReferralUsage } from './entities/referral-usage';
export { ReferralUserCount } from './entities/referral-user-count';
export { ReferralVisitor } from './entities/referral-visitor';
export { ReferralVisitorClicks } from './entities/referral-visitor-clicks';
export { type CallOutcome, ReferralError, type ReferralErrorCode } from './errors';
export { PayoutRefused } from './rewards/earn-outs/payout-errors';
export type { CreateFormInput, TemplateHelpers } from './http/template-helpers';
export type { ListenerOptions } from './http/listener';
export type { TrustProxy } from './http/trust-proxy';
export type { ReferralsOptions, SignupContext } from './options';

export type { Problem, Verification, VerifyOptions } from './rewards/verify/verify';
export type { ReferralEvents } from './database/events';

export { migrations, runMigrations } from '../migrations';
export type { FraudMode, FraudRule, PurchaseFacts, ReviewRule, ReviewStatus, SignupFacts } from './types/reviews';
