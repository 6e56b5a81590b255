import { Column } from 'typeorm';
import { amountColumn, bigintAsNumber } from './columns';
import { ReferralRecord } from './record';

/** The terms of both sides, as a program has them and as a sign-up keeps them. A side without credit has nulls. */
export abstract class ReferralTerms<Changes extends object = object> extends ReferralRecord<Changes> {
  /** The opening balance of the referee's credit, as a decimal string. */
  @Column({ name: 'referral_credit_amount', ...amountColumn, nullable: true })
  readonly referralCreditAmount!: string | null;

  /** How long the referee's credit lives, in days. */
  @Column({ name: 'referral_credit_duration', type: 'integer', nullable: true })
  readonly referralCreditDuration!: number | null;

  @Column({ name: 'referral_credit_type_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralCreditTypeId!: number | null;

  /** The sum of the referee's usage from which on the referrer is rewarded, as a decimal string. */
  @Column({ name: 'before_reward_usage_threshold', ...amountColumn, default: 0 })
  readonly beforeRewardUsageThreshold!: string;

  /** The opening balance of the referrer's reward credit, as a decimal string. */
  @Column({ name: 'reward_credit_amount', ...amountColumn, nullable: true })
  readonly rewardCreditAmount!: string | null;

  /** How long the referrer's reward credit lives, in days. */
  @Column({ name: 'reward_credit_duration', type: 'integer', nullable: true })
  readonly rewardCreditDuration!: number | null;

  @Column({ name: 'reward_credit_type_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly rewardCreditTypeId!: number | null;

  /** The share of what a referee pays that the referrer earns, from 0 to 1, as a decimal string; null for the option's. */
  @Column({ name: 'commission_ratio', ...amountColumn, nullable: true })
  readonly commissionRatio!: string | null;

  /** The most that one referee can earn the referrer under that ratio, as a decimal string; null for no limit. */
  @Column({ name: 'commission_max_per_referee', ...amountColumn, nullable: true })
  readonly commissionMaxPerReferee!: string | null;
}
