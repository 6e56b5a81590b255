import { Check, Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';
import { ReferralCreditSpend } from './referral-credit-spend';

/** A refund of a spend, in part or of all that was left, under one reference. */
@Entity({ name: 'referral_credit_refunds' })
@Check('ck_referral_credit_refunds_amounts', '"amount" > 0 AND "given" >= 0 AND "expired" BETWEEN 0 AND "given"')
@Check('ck_referral_credit_refunds_finite', finite('amount', 'given', 'expired'))
export class ReferralCreditRefund {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_credit_refunds',
  })
  readonly userId!: string;

  /** The `reference` of the spend. */
  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_credit_refunds',
  })
  readonly reference!: string;

  /** The idempotency key of the refund among those of the spend. */
  @PrimaryColumn({
    name: 'refund_reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_credit_refunds',
  })
  readonly refundReference!: string;

  /** What was asked for, as a decimal string; null for all that was left. */
  @Column({ name: 'amount', ...amountColumn, nullable: true })
  readonly amount!: string | null;

  /** What went back to credits, as a decimal string: less than was asked where their types are not refundable. */
  @Column({ name: 'given', ...amountColumn })
  readonly given!: string;

  /** How much of that went to credit that had run out, as a decimal string. */
  @Column({ name: 'expired', ...amountColumn, default: 0 })
  readonly expired!: string;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditSpend, { nullable: false })
  @JoinColumn([
    { name: 'user_id', referencedColumnName: 'userId', foreignKeyConstraintName: 'fk_referral_credit_refunds_spend' },
    {
      name: 'reference',
      referencedColumnName: 'reference',
      foreignKeyConstraintName: 'fk_referral_credit_refunds_spend',
    },
  ])
  readonly spend?: ReferralCreditSpend;
}
