import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber } from './columns';

/**
 * The sums of a user's commissions of one channel and mode, kept with each that is made or reverted, so that no answer reads them
 * all. What has become available is counted up to a moment, `maturedUntil`; what is left to count is between it and now.
 */
@Entity({ name: 'referral_account_totals' })
export class ReferralAccountTotal {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_account_totals',
  })
  readonly userId!: string;

  /** 0 for commissions without a channel. */
  @PrimaryColumn({
    name: 'channel_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_account_totals',
    transformer: bigintAsNumber,
  })
  readonly channelId!: number;

  @PrimaryColumn({ name: 'mode', type: 'varchar', length: 8, primaryKeyConstraintName: 'pk_referral_account_totals' })
  readonly mode!: EarningMode;

  @Column({ name: 'commissions', type: 'integer', default: 0 })
  readonly commissions!: number;

  /** How many of them are reverted. */
  @Column({ name: 'reverted', type: 'integer', default: 0 })
  readonly reverted!: number;

  /** Net of refunds, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn, precision: 28, default: 0 })
  readonly amount!: string;

  /** How many, not reverted, were available at `maturedUntil`. */
  @Column({ name: 'matured', type: 'integer', default: 0 })
  readonly matured!: number;

  /** What those amount to. */
  @Column({ name: 'matured_amount', ...amountColumn, precision: 28, default: 0 })
  readonly maturedAmount!: string;

  @Column({ name: 'matured_until', type: 'timestamptz' })
  readonly maturedUntil!: Date;

  /** How many users have redeemed the channel's code. */
  @Column({ name: 'redemptions', type: 'integer', default: 0 })
  readonly redemptions!: number;

  /** What the channel's buyers paid, net of refunds. */
  @Column({ name: 'revenue', ...amountColumn, precision: 28, default: 0 })
  readonly revenue!: string;
}
