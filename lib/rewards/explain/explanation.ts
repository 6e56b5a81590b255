import type { ReferralAccount } from '../../entities/referral-account';
import type { ReferralCommission } from '../../entities/referral-commission';
import type { ReferralCredit } from '../../entities/referral-credit';
import type { ReferralReview } from '../../entities/referral-review';
import type { ReferralSignup } from '../../entities/referral-signup';
import type { CommissionSource, NoCommission } from '../../types/commissions';
import type { AccountTotals } from '../../types/earn-outs';
import type { MovedPast, NoReward, SignupRefusal, Weighed } from '../../types/signups';

/** The result of `explain`: why somebody was or was not credited. Lists hold the newest 100, newest first. */
export interface Explanation {
  /** The user's id, as text. */
  user: string;
  /** Who was credited for this user. */
  asReferee: RefereeFacts;
  /** What this user was credited with for others. */
  asReferrer: ReferrerFacts;
  /** The same in sentences, for people: first those about the user as a referee, then as a referrer. */
  sentences: string[];
}

/** Who was credited for a user, and why. */
export interface RefereeFacts {
  /** The user's sign-up; null if there is none. */
  signup: ReferralSignup | null;
  /** Why the newest `recordSignup` made no sign-up, and when; null if it made one, or was never called. */
  refusal: { reason: SignupRefusal; at: Date } | null;
  /** The referrals that were weighed at the sign-up, or at the refusal; null if there was neither. */
  weighed: Weighed | null;
  /** The last change of the sign-up's referral by staff; null if there was none. */
  reassigned: { at: Date; by: string | null; reason: string | null; past: MovedPast | null } | null;
  /** The current code of the sign-up's referral; null without a sign-up, and for a reassignment to nobody. */
  code: string | null;
  /** The name of the program whose terms the sign-up has; null for none. */
  program: string | null;
  /** What the user has used of what the reward needs; null without a sign-up with a reward. */
  usage: UsageFacts | null;
  /** The user's recorded touches and actions. */
  touches: ExplainedTouch[];
  /** The credits that the sign-up gave, to the user and to the referrer. */
  credits: ReferralCredit[];
  /** What the user bought, and what became of it. */
  purchases: ExplainedPurchase[];
  /** How many purchases there are in all. */
  purchaseCount: number;
  /** What the sign-up itself has earned the referrer; null for nothing: `signup.noCommission` may say why. */
  signupCommission: ReferralCommission | null;
  /** What fraud rules have flagged about the user as a referee. */
  reviews: ReferralReview[];
}

/** What a user was credited with for others, and what keeps it from being paid. */
export interface ReferrerFacts {
  /** The user's account; null if there is none: then nothing was credited. */
  account: ReferralAccount | null;
  /** The totals of the account; null without one. */
  totals: AccountTotals | null;
  /** The suspension or the ban of the account; null if it is neither. */
  suspension: { at: Date; isBan: boolean; reason: string | null; by: string | null } | null;
  /** Until when payouts wait, because the payout address was changed; null if they do not. */
  addressHeldUntil: Date | null;
  /** How many users have signed up with the user's links and codes. */
  signupCount: number;
  /** Purchases that were credited to the user and earned nothing, and those whose commissions are held, rejected or moved away. */
  purchases: ExplainedPurchase[];
  /** What fraud rules have flagged about the user as a referrer, or about the account. */
  reviews: ReferralReview[];
}

/** The usage of a referee so far, against the threshold of the referrer's reward. Amounts are decimal strings. */
export interface UsageFacts {
  recorded: string;
  threshold: string;
  /** The referrer's reward. */
  reward: string;
  /** When the threshold was reached; null if it was not. */
  reachedAt: Date | null;
  noReward: NoReward | null;
}

/** A response of a user. */
export interface ExplainedTouch {
  referralId: number;
  /** Null if the referral is deleted. */
  code: string | null;
  /** The owner of the referral; null for one of nobody. */
  owner: string | null;
  action: string;
  touchedAt: Date;
}

/** A purchase, what decided who is credited, and the commission. Amounts are decimal strings. */
export interface ExplainedPurchase {
  buyer: string;
  reference: string;
  amount: string;
  purchasedAt: Date;
  source: CommissionSource | null;
  /** The current code of the referral that it is credited to; null if there is none. */
  code: string | null;
  referrer: string | null;
  noCommission: NoCommission | null;
  /** Whether that was decided later, when the buyer's sign-up or first attribution had arrived. */
  isLate: boolean;
  /** Whether staff have moved it from an earlier referrer, or to nobody. */
  isMoved: boolean;
  commission: ReferralCommission | null;
}
