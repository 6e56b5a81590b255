import { Column } from 'typeorm';
import type { RewardLimit } from '../types/signups';
import { amountColumn, bigintAsNumber } from './columns';
import { RatedCommissionColumns, ratedAmounts } from './commission-terms';

/** SQL of a CHECK constraint: a limit of rewards has a count and a period, or there is none. */
export const rewardLimitIsWhole = `num_nonnulls("reward_limit_count", "reward_limit_period") IN (0, 2)
  AND "reward_limit_count" > 0 AND "reward_limit_period" IN ('month', 'quarter', 'year', 'all')`;

/** The amounts and shares of the terms, by the names of their columns. */
export const termAmounts = [
  'referral_credit_amount',
  'before_reward_usage_threshold',
  'reward_credit_amount',
  ...ratedAmounts,
] as const;

/**
 * The terms of a program. A sign-up stores a copy of them. Without a credit, its amount, duration and type are null.
 */
export abstract class ReferralTerms<Changes extends object = object> extends RatedCommissionColumns<Changes> {
  /** The opening balance of the referee's credit, as a decimal string. */
  @Column({ name: 'referral_credit_amount', ...amountColumn, nullable: true })
  readonly referralCreditAmount!: string | null;

  /** How long the referee's credit lasts, in days of 24 hours. */
  @Column({ name: 'referral_credit_duration', type: 'integer', nullable: true })
  readonly referralCreditDuration!: number | null;

  @Column({ name: 'referral_credit_type_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralCreditTypeId!: number | null;

  /** The sum of the referee's usage at which the referrer is rewarded, as a decimal string. */
  @Column({ name: 'before_reward_usage_threshold', ...amountColumn, default: 0 })
  readonly beforeRewardUsageThreshold!: string;

  /** The opening balance of the referrer's reward credit, as a decimal string. */
  @Column({ name: 'reward_credit_amount', ...amountColumn, nullable: true })
  readonly rewardCreditAmount!: string | null;

  /** How long the referrer's reward credit lasts, in days of 24 hours. */
  @Column({ name: 'reward_credit_duration', type: 'integer', nullable: true })
  readonly rewardCreditDuration!: number | null;

  @Column({ name: 'reward_credit_type_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly rewardCreditTypeId!: number | null;

  /** How many rewards a referrer can get in a period; null for no limit. */
  @Column({ name: 'reward_limit_count', type: 'integer', nullable: true })
  readonly rewardLimitCount!: number | null;

  /** The calendar period, in UTC, in which rewards are counted; null without a limit. */
  @Column({ name: 'reward_limit_period', type: 'varchar', length: 8, nullable: true })
  readonly rewardLimitPeriod!: RewardLimit['period'] | null;
}
