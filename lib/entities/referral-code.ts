import type { LimitPeriod } from '../types/commissions';
import type { WithManager } from '../types/common';
import type { ReferralCodeChanges, RewardLimit } from '../types/signups';
import { ReferralRecord, related } from './record';
import type { ReferralCreditType } from './referral-credit-type';
import type { ReferralProgram } from './referral-program';
import type { ReferralSignup } from './referral-signup';

/**
 * A referral as a code to sign up with: the fields of the referral and the terms of its program in one record. No table
 * of its own.
 */
export class ReferralCode extends ReferralRecord<ReferralCodeChanges> {
  /** The id of the referral. */
  readonly id!: number;
  /** The code in the link, unique without regard to case. */
  readonly code!: string;
  /** A display name: the code and, if it has a program, the program's name, as in `'K7M2PQ (launch)'`. */
  readonly name!: string;
  /** The referrer's id; null for a code of the site itself. */
  readonly userId!: string | null;
  readonly label!: string;
  /** Where a click goes. */
  readonly redirectTo!: string;
  /** From this time on clicks and sign-ups do not count; null for never. */
  readonly expiredAt!: Date | null;
  readonly createdAt!: Date;
  /** How many sign-ups may use the code, and how many buyers may redeem it if it is a coupon; -1 for unlimited. */
  readonly allowedUses!: number;
  /** How many sign-ups have used it. */
  readonly uses!: number;
  /** Null if sign-ups get no credit. */
  readonly programId!: number | null;
  readonly programName!: string | null;
  /** The opening balance of the referee's credit, as a decimal string; null for no credit. */
  readonly referralCreditAmount!: string | null;
  /** How long that credit lasts, in days of 24 hours. */
  readonly referralCreditDuration!: number | null;
  readonly referralCreditTypeId!: number | null;
  readonly referralCreditTypeName!: string | null;
  /** The sum of the referee's usage at which the referrer is rewarded, as a decimal string; null without a program. */
  readonly beforeRewardUsageThreshold!: string | null;
  /** The opening balance of the referrer's reward credit, as a decimal string; null for no reward. */
  readonly rewardCreditAmount!: string | null;
  /** How long that credit lasts, in days of 24 hours. */
  readonly rewardCreditDuration!: number | null;
  readonly rewardCreditTypeId!: number | null;
  readonly rewardCreditTypeName!: string | null;
  /** How many rewards a referrer can get in a period; null for no limit. */
  readonly rewardLimitCount!: number | null;
  /** The calendar period, in UTC, in which rewards are counted; null without a limit. */
  readonly rewardLimitPeriod!: RewardLimit['period'] | null;
  /**
   * The share of referees' purchases that the referrer earns, as a decimal string; null for an amount, or
   * for the option `commission`.
   */
  readonly commissionRatio!: string | null;
  /** What each purchase above 0 earns the referrer, as a decimal string; null for a share of it. */
  readonly commissionAmount!: string | null;
  /** For how many months from the referee's first purchase purchases earn; null for good. */
  readonly commissionMonths!: number | null;
  /** For how many purchases of a referee; null for all. */
  readonly commissionPurchases!: number | null;
  /** The most that one referee can earn the referrer, as a decimal string; null for no limit. */
  readonly commissionMaxPerReferee!: string | null;
  /** What a sign-up earns the referrer, as a decimal string; null for what the option says. */
  readonly commissionSignup!: string | null;
  /** Whether it does so only once `referrals.qualify` is called. */
  readonly commissionQualify!: boolean | null;
  /** The most that the referrer can earn in a period, as a decimal string; null for what the option says. */
  readonly commissionMaxPerReferrer!: string | null;
  readonly commissionPeriod!: LimitPeriod | null;
  /**
   * The ids of the users who signed up with this code, oldest sign-up first. Despite the name they are users' ids, not
   * referrals' ids. For a code with very many sign-ups, exclude this field by the option `fields`.
   */
  readonly referralIds!: string[];

  /** The sign-ups with this code, oldest first. */
  async referrals(options: WithManager = {}): Promise<ReferralSignup[]> {
    return related(this, 'referrals', options, (records) => records.find('signups', { referralId: this.id }, options));
  }

  /** The program whose terms apply to later sign-ups; null for none. */
  async program(options: WithManager = {}): Promise<ReferralProgram | null> {
    return related(this, 'program', options, (records) => records.findById('programs', this.programId, options));
  }

  /** The type of the referee's credit. */
  async referralCreditType(options: WithManager = {}): Promise<ReferralCreditType | null> {
    return related(this, 'referralCreditType', options, (records) =>
      records.findById('creditTypes', this.referralCreditTypeId, options),
    );
  }

  /** The type of the referrer's reward credit. */
  async rewardCreditType(options: WithManager = {}): Promise<ReferralCreditType | null> {
    return related(this, 'rewardCreditType', options, (records) =>
      records.findById('creditTypes', this.rewardCreditTypeId, options),
    );
  }
}
