import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralEarnOut } from './referral-earn-out';

/** What staff added to a user's earnings, or took from them, beside the commissions. It never changes. */
@Entity({ name: 'referral_adjustments' })
@Index('uq_referral_adjustments_reference', ['userId', 'reference'], { unique: true })
@Index('ix_referral_adjustments_id', ['id'])
@Index('ix_referral_adjustments_day', ['userId', 'createdAt'])
@Index('ix_referral_adjustments_unpaid', ['userId'], { where: '(earn_out_id IS NULL)' })
@Index('ix_referral_adjustments_earn_out', ['earnOutId', 'userId'], { where: '(earn_out_id IS NOT NULL)' })
@Check('ck_referral_adjustments_mode', `"mode" IN ('credits', 'payout')`)
@Check('ck_referral_adjustments_amount', '"amount" <> 0')
@Check('ck_referral_adjustments_finite', finite('amount'))
export class ReferralAdjustment extends ReferralRecord {
  /** Whose earnings it changes. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_adjustments',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_adjustments',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The host's idempotency key: unique for the user. */
  @Column({ name: 'reference', type: 'varchar', length: lengths.reference })
  readonly reference!: string;

  /** What it becomes: credit to spend, or money that is paid out. */
  @Column({ name: 'mode', type: 'varchar', length: 8 })
  readonly mode!: EarningMode;

  /** Above 0 for a bonus, below 0 for a deduction; a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** Why, in the words of who made it. `referrals.audit` knows who that was. */
  @Column({ name: 'reason', type: 'varchar', length: lengths.description })
  readonly reason!: string;

  /** The earn-out that includes it; null if none does yet. */
  @Column({ name: 'earn_out_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly earnOutId!: number | null;

  /** When it was made. It is available from then on. */
  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** The earn-out that includes it; null if none does yet. */
  async earnOut(options: WithManager = {}): Promise<ReferralEarnOut | null> {
    return related(this, 'earnOut', options, (records) => records.findById('earnOuts', this.earnOutId, options));
  }
}
