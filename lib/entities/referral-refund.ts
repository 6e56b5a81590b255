import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';
import { ReferralPurchase } from './referral-purchase';

/** A refund of a purchase, in part or in full, under one reference. */
@Entity({ name: 'referral_refunds' })
@Index('ix_referral_refunds_purchase', ['userId', 'purchase'])
@Check('ck_referral_refunds_amount', '"amount" > 0')
@Check('ck_referral_refunds_finite', finite('amount'))
export class ReferralRefund {
  /** The buyer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_refunds',
  })
  readonly userId!: string;

  /** The host's idempotency key of the refund. */
  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_refunds',
  })
  readonly reference!: string;

  /** The `reference` of the purchase. */
  @Column({ name: 'purchase', type: 'varchar', length: lengths.reference })
  readonly purchase!: string;

  /** The amount that was paid back, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** When `undoRefund` undid it; null if it did not. */
  @Column({ name: 'undone_at', type: 'timestamptz', nullable: true })
  readonly undoneAt!: Date | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralPurchase, { nullable: false })
  @JoinColumn([
    { name: 'user_id', referencedColumnName: 'userId', foreignKeyConstraintName: 'fk_referral_refunds_purchase' },
    { name: 'purchase', referencedColumnName: 'reference', foreignKeyConstraintName: 'fk_referral_refunds_purchase' },
  ])
  readonly ofPurchase?: ReferralPurchase;
}
