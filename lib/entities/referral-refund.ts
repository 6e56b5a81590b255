import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite, originalAmountColumn } from './columns';
import { ReferralPurchase } from './referral-purchase';

/** A refund of a purchase, in part or in full, under one reference. */
@Entity({ name: 'referral_refunds' })
@Index('ix_referral_refunds_purchase', ['userId', 'purchase'])
@Index('ix_referral_refunds_reference', ['reference'])
@Check('ck_referral_refunds_amount', '"amount" > 0 OR ("amount" = 0 AND "currency" IS NOT NULL)')
@Check('ck_referral_refunds_currency', '("currency" IS NULL) = ("original_amount" IS NULL) AND "original_amount" > 0')
@Check('ck_referral_refunds_finite', finite('amount', 'original_amount'))
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

  /**
   * The amount that was paid back, in the program's currency, as a decimal string. Of a purchase in another currency, the
   * amounts of all refunds of it add up to what they are together, at the rate of the purchase.
   */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** The currency of the purchase, in which it was paid back; null for the program's. */
  @Column({ name: 'currency', type: 'varchar', length: 3, nullable: true })
  readonly currency!: string | null;

  /** The amount that was paid back in that currency, as a decimal string; null for the program's currency. */
  @Column({ name: 'original_amount', ...originalAmountColumn })
  readonly originalAmount!: string | null;

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
