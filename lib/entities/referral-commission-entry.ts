import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralCommission } from './referral-commission';

/**
 * What a refund, a rejection or a move subtracted from a commission, or an undone refund gave back. Entries are only added, and
 * their amounts never change. If the commission is already in an earn-out, a later earn-out includes the entry.
 */
@Entity({ name: 'referral_commission_entries' })
@Index('uq_referral_commission_entries_refund', ['userId', 'commissionId', 'refund', 'kind'], { unique: true })
@Index('ix_referral_commission_entries_day', ['userId', 'createdAt'])
@Index('ix_referral_commission_entries_unpaid', ['userId', 'commissionId'], { where: '(earn_out_id IS NULL)' })
@Index('ix_referral_commission_entries_earn_out', ['userId', 'earnOutId'], { where: '(earn_out_id IS NOT NULL)' })
@Check(
  'ck_referral_commission_entries_amount',
  `CASE WHEN "kind" IN ('refund', 'reject') THEN "amount" < 0 WHEN "kind" = 'undo' THEN "amount" > 0 ELSE "amount" <> 0 END`,
)
@Check('ck_referral_commission_entries_kind', `"kind" IN ('refund', 'undo', 'reject', 'move')`)
@Check('ck_referral_commission_entries_taken_back', '"taken_back" BETWEEN 0 AND greatest(-"amount", 0)')
@Check('ck_referral_commission_entries_finite', finite('amount', 'taken_back'))
export class ReferralCommissionEntry {
  /** The referrer, who earned the commission. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_commission_entries',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'commission_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_commission_entries',
    transformer: bigintAsNumber,
  })
  readonly commissionId!: number;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_commission_entries',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** What made it: a refund, `undoRefund`, `commissions.reject`, or `signups.reassign`, which moved the commission. */
  @Column({ name: 'kind', type: 'varchar', length: 8, default: 'refund' })
  readonly kind!: 'refund' | 'undo' | 'reject' | 'move';

  /** The change of the commission, as a decimal string: below 0, but for an undone refund. */
  @Column({ name: 'amount', ...amountColumn, precision: 28 })
  readonly amount!: string;

  /** The reference of the refund that it subtracts or gives back; `''` for a rejection and a move. */
  @Column({ name: 'refund', type: 'varchar', length: lengths.reference })
  readonly refund!: string;

  /**
   * What of it was taken back from the credit that had paid the commission, as a decimal string from 0. A later earn-out
   * includes only the rest.
   */
  @Column({ name: 'taken_back', ...amountColumn, precision: 28, default: 0 })
  readonly takenBack!: string;

  /** The earn-out that includes the entry; null if none does yet. */
  @Column({ name: 'earn_out_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly earnOutId!: number | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCommission, { nullable: false })
  @JoinColumn([
    {
      name: 'user_id',
      referencedColumnName: 'userId',
      foreignKeyConstraintName: 'fk_referral_commission_entries_commission',
    },
    {
      name: 'commission_id',
      referencedColumnName: 'id',
      foreignKeyConstraintName: 'fk_referral_commission_entries_commission',
    },
  ])
  readonly commission?: ReferralCommission;
}
