import type { WithManager } from '../types/common';
import type { ReferralCodeChanges } from '../types/signups';
import { ReferralRecord, related } from './record';
import type { ReferralCreditType } from './referral-credit-type';
import type { ReferralProgram } from './referral-program';
import type { ReferralSignup } from './referral-signup';

/** A referral as the code that people sign up with: its own fields and the terms of its program, all in one. */
export class ReferralCode extends ReferralRecord<ReferralCodeChanges> {
  readonly id!: number;
  /** Unique without regard to case. */
  readonly code!: string;
  /** The code and, where there is one, its program's name, as in `'K7M2PQ (launch)'`. */
  readonly name!: string;
  /** The referrer; null for a code of the site itself. */
  readonly userId!: string | null;
  readonly label!: string;
  readonly redirectTo!: string;
  /** From when on it takes no more sign-ups; null for never. */
  readonly expiredAt!: Date | null;
  readonly createdAt!: Date;
  /** How many sign-ups may use it; -1 is unlimited. */
  readonly allowedUses!: number;
  /** How many have. */
  readonly uses!: number;
  readonly programId!: number | null;
  readonly programName!: string | null;
  /** The opening balance of the referee's credit, as a decimal string; null without one. */
  readonly referralCreditAmount!: string | null;
  /** Its life in days. */
  readonly referralCreditDuration!: number | null;
  readonly referralCreditTypeId!: number | null;
  readonly referralCreditTypeName!: string | null;
  /** The usage that a referee must record before the referrer is rewarded; null without a program. */
  readonly beforeRewardUsageThreshold!: string | null;
  /** The opening balance of the referrer's reward credit, as a decimal string; null without one. */
  readonly rewardCreditAmount!: string | null;
  /** Its life in days. */
  readonly rewardCreditDuration!: number | null;
  readonly rewardCreditTypeId!: number | null;
  readonly rewardCreditTypeName!: string | null;
  /** The share of referees' purchases that the referrer earns, as a decimal string; null for the option's. */
  readonly commissionRatio!: string | null;
  /** The most that one referee can earn the referrer, as a decimal string; null for no limit. */
  readonly commissionMaxPerReferee!: string | null;
  /**
   * The host's ids of the users who signed up with it, oldest sign-up first: ids of users, not of referrals. With very many
   * sign-ups, leave this field out by naming the others in `fields`.
   */
  readonly referralIds!: string[];

  /** Who signed up with it, oldest first. */
  async referrals(options: WithManager = {}): Promise<ReferralSignup[]> {
    return related(this, 'referrals', options, (records) => records.find('signups', { referralId: this.id }, options));
  }

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
