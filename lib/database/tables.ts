import { Referral } from '../entities/referral';
import { ReferralAccount } from '../entities/referral-account';
import { ReferralAccountTotal } from '../entities/referral-account-total';
import { ReferralBuyer } from '../entities/referral-buyer';
import { ReferralChannel } from '../entities/referral-channel';
import { ReferralCommission } from '../entities/referral-commission';
import { ReferralCommissionEntry } from '../entities/referral-commission-entry';
import { ReferralCredit } from '../entities/referral-credit';
import { ReferralCreditSpend } from '../entities/referral-credit-spend';
import { ReferralCreditTransaction } from '../entities/referral-credit-transaction';
import { ReferralCreditType } from '../entities/referral-credit-type';
import { ReferralDailyCount } from '../entities/referral-daily-count';
import { ReferralEarnOut } from '../entities/referral-earn-out';
import { ReferralProgram } from '../entities/referral-program';
import { ReferralPurchase } from '../entities/referral-purchase';
import { ReferralRedemption } from '../entities/referral-redemption';
import { ReferralReferee } from '../entities/referral-referee';
import { ReferralRefund } from '../entities/referral-refund';
import { ReferralResponse } from '../entities/referral-response';
import { ReferralSignup } from '../entities/referral-signup';
import { ReferralSignupRefusal } from '../entities/referral-signup-refusal';
import { ReferralUsage } from '../entities/referral-usage';

/** The tables that our own SQL names, by the entity of each. */
export const entityOf = {
  referrals: Referral,
  responses: ReferralResponse,
  dailyCounts: ReferralDailyCount,
  programs: ReferralProgram,
  creditTypes: ReferralCreditType,
  signups: ReferralSignup,
  refusals: ReferralSignupRefusal,
  usages: ReferralUsage,
  credits: ReferralCredit,
  spends: ReferralCreditSpend,
  transactions: ReferralCreditTransaction,
  channels: ReferralChannel,
  accounts: ReferralAccount,
  totals: ReferralAccountTotal,
  referees: ReferralReferee,
  buyers: ReferralBuyer,
  redemptions: ReferralRedemption,
  purchases: ReferralPurchase,
  refunds: ReferralRefund,
  earnOuts: ReferralEarnOut,
  commissions: ReferralCommission,
  commissionEntries: ReferralCommissionEntry,
};
