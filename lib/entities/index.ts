import { Referral } from './referral';
import { ReferralAccount } from './referral-account';
import { ReferralAccountTotal } from './referral-account-total';
import { ReferralAdjustment } from './referral-adjustment';
import { ReferralAlias } from './referral-alias';
import { ReferralAudit } from './referral-audit';
import { ReferralBuyer } from './referral-buyer';
import { ReferralChannel } from './referral-channel';
import { ReferralClosedDays } from './referral-closed-days';
import { ReferralCommission } from './referral-commission';
import { ReferralCommissionEntry } from './referral-commission-entry';
import { ReferralCredit } from './referral-credit';
import { ReferralCreditRefund } from './referral-credit-refund';
import { ReferralCreditSpend } from './referral-credit-spend';
import { ReferralCreditTransaction } from './referral-credit-transaction';
import { ReferralCreditType } from './referral-credit-type';
import { ReferralDailyCount } from './referral-daily-count';
import { ReferralEarnOut } from './referral-earn-out';
import { ReferralEarnOutEntry } from './referral-earn-out-entry';
import { ReferralLateAttribution } from './referral-late-attribution';
import { ReferralProgram } from './referral-program';
import { ReferralPurchase } from './referral-purchase';
import { ReferralRedemption } from './referral-redemption';
import { ReferralReferee } from './referral-referee';
import { ReferralReferrerPeriod } from './referral-referrer-period';
import { ReferralRefund } from './referral-refund';
import { ReferralResponse } from './referral-response';
import { ReferralReview } from './referral-review';
import { ReferralRewardCount } from './referral-reward-count';
import { ReferralSignup } from './referral-signup';
import { ReferralSignupRefusal } from './referral-signup-refusal';
import { ReferralUsage } from './referral-usage';
import { ReferralUserCount } from './referral-user-count';
import { ReferralUserDay } from './referral-user-day';
import { ReferralUserLink } from './referral-user-link';
import { ReferralVisitor } from './referral-visitor';
import { ReferralVisitorClicks } from './referral-visitor-clicks';

/**
 * The entities, by the names of their tables in `database.tables`. This is the only list of entities. A new entity is
 * added here and to the exports of `lib/index.ts`.
 */
export const entityOf = {
  referrals: Referral,
  responses: ReferralResponse,
  dailyCounts: ReferralDailyCount,
  visitorClicks: ReferralVisitorClicks,
  aliases: ReferralAlias,
  visitors: ReferralVisitor,
  programs: ReferralProgram,
  creditTypes: ReferralCreditType,
  signups: ReferralSignup,
  refusals: ReferralSignupRefusal,
  usages: ReferralUsage,
  credits: ReferralCredit,
  spends: ReferralCreditSpend,
  creditRefunds: ReferralCreditRefund,
  transactions: ReferralCreditTransaction,
  userCounts: ReferralUserCount,
  rewardCounts: ReferralRewardCount,
  channels: ReferralChannel,
  accounts: ReferralAccount,
  totals: ReferralAccountTotal,
  referees: ReferralReferee,
  referrerPeriods: ReferralReferrerPeriod,
  buyers: ReferralBuyer,
  redemptions: ReferralRedemption,
  purchases: ReferralPurchase,
  lateAttributions: ReferralLateAttribution,
  refunds: ReferralRefund,
  earnOuts: ReferralEarnOut,
  earnOutEntries: ReferralEarnOutEntry,
  commissions: ReferralCommission,
  commissionEntries: ReferralCommissionEntry,
  adjustments: ReferralAdjustment,
  audit: ReferralAudit,
  reviews: ReferralReview,
  userDays: ReferralUserDay,
  userLinks: ReferralUserLink,
  closedDays: ReferralClosedDays,
};

/** For the host's DataSource: `entities: [...entities, User]`. */
export const entities = Object.values(entityOf);
