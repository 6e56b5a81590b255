import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite } from './columns';

/**
 * The totals of a user's commissions of one channel and mode; those without a channel include the adjustments. Each
 * purchase, refund, rejection and adjustment updates them, so that no call
 * has to read all commissions. `matured` and `maturedAmount` count the commissions that were available at
 * `maturedUntil`. A reader adds the commissions that have become available since then.
 */
@Entity({ name: 'referral_account_totals' })
@Index('ix_referral_account_totals_due', ['dueTerms', 'dueAt', 'userId'])
@Check('ck_referral_account_totals_finite', finite('amount', 'matured_amount', 'revenue'))
export class ReferralAccountTotal {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_account_totals',
  })
  readonly userId!: string;

  /** The channel; 0 for commissions without one, because a column of a primary key can't be null. */
  @PrimaryColumn({
    name: 'channel_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_account_totals',
    transformer: bigintAsNumber,
  })
  readonly channelId!: number;

  @PrimaryColumn({ name: 'mode', type: 'varchar', length: 8, primaryKeyConstraintName: 'pk_referral_account_totals' })
  readonly mode!: EarningMode;

  /** How many commissions there are, reverted ones included. */
  @Column({ name: 'commissions', type: 'integer', default: 0 })
  readonly commissions!: number;

  /** How many of them are reverted: their purchases were refunded in full. */
  @Column({ name: 'reverted', type: 'integer', default: 0 })
  readonly reverted!: number;

  /** The sum of the commissions, net of refunds, and of adjustments, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn, precision: 28, default: 0 })
  readonly amount!: string;

  /** How many commissions, not reverted, were available at `maturedUntil`. */
  @Column({ name: 'matured', type: 'integer', default: 0 })
  readonly matured!: number;

  /** The sum of those commissions, and of all adjustments, as a decimal string. */
  @Column({ name: 'matured_amount', ...amountColumn, precision: 28, default: 0 })
  readonly maturedAmount!: string;

  /** The time up to which `matured` and `maturedAmount` count. */
  @Column({ name: 'matured_until', type: 'timestamptz' })
  readonly maturedUntil!: Date;

  /** How many users have redeemed the channel's code. */
  @Column({ name: 'redemptions', type: 'integer', default: 0 })
  readonly redemptions!: number;

  /** What the channel's buyers have paid, net of refunds, as a decimal string. */
  @Column({ name: 'revenue', ...amountColumn, precision: 28, default: 0 })
  readonly revenue!: string;

  /**
   * Before this time no earn-out of the user can be due, as far as it depends on this row. `runEarnOuts` looks at the
   * user from then on, and moves it forward. Null if nothing waits.
   */
  @Column({ name: 'due_at', type: 'timestamptz', nullable: true })
  readonly dueAt!: Date | null;

  /**
   * A hash of the options with which a run has computed `dueAt`. 0: none has, and the user is due. 1: a purchase has set
   * it, which does not depend on options.
   */
  @Column({ name: 'due_terms', type: 'integer', default: 0 })
  readonly dueTerms!: number;
}
