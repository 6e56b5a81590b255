import { Referral } from './referral';
import { ReferralCredit } from './referral-credit';
import { ReferralCreditSpend } from './referral-credit-spend';
import { ReferralCreditTransaction } from './referral-credit-transaction';
import { ReferralCreditType } from './referral-credit-type';
import { ReferralDailyCount } from './referral-daily-count';
import { ReferralProgram } from './referral-program';
import { ReferralResponse } from './referral-response';
import { ReferralSignup } from './referral-signup';
import { ReferralSignupRefusal } from './referral-signup-refusal';
import { ReferralUsage } from './referral-usage';

/** For the host's DataSource: `entities: [...entities, User]`. */
export const entities = [
  Referral,
  ReferralResponse,
  ReferralDailyCount,
  ReferralProgram,
  ReferralCreditType,
  ReferralSignup,
  ReferralSignupRefusal,
  ReferralUsage,
  ReferralCredit,
  ReferralCreditTransaction,
  ReferralCreditSpend,
];
