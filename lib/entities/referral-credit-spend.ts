import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';
import { registry } from './instance';

/** Credit that a user spent, or that is held for a checkout, under one reference. It may come from several credits. */
@Entity({ name: 'referral_credit_spends' })
@Index('ix_referral_credit_spends_reference', ['reference'])
@Index('ix_referral_credit_spends_open', ['userId', 'createdAt'], { where: '(captured IS NULL)' })
@Index('ix_referral_credit_spends_expiring', ['userId', 'expiresAt'], {
  where: '((captured IS NULL) AND (expires_at IS NOT NULL))',
})
@Check('ck_referral_credit_spends_expiry', '"expires_at" > "created_at"')
@Check(
  'ck_referral_credit_spends_amounts',
  `"amount" > 0 AND "covered" BETWEEN 0 AND "amount" AND "captured" BETWEEN 0 AND "covered"
  AND "refunded" BETWEEN 0 AND "captured"`,
)
@Check('ck_referral_credit_spends_finite', finite('amount', 'covered', 'captured', 'refunded'))
export class ReferralCreditSpend {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_credit_spends',
  })
  readonly userId!: string;

  /** The host's idempotency key, such as an invoice number. */
  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_credit_spends',
  })
  readonly reference!: string;

  /** The call that created it: `credits.spend` or `credits.hold`. */
  @Column({ name: 'kind', type: 'varchar', length: 8 })
  readonly kind!: 'spend' | 'hold';

  /** The requested amount, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** The amount that credit covered, as a decimal string. Less than `amount` only with `partial: true`. */
  @Column({ name: 'covered', ...amountColumn })
  readonly covered!: string;

  /**
   * The amount that was spent, as a decimal string: for a spend all of `covered`, for a hold what was captured,
   * `'0.00'` if it was released. Null while it is held.
   */
  @Column({ name: 'captured', ...amountColumn, nullable: true })
  readonly captured!: string | null;

  /**
   * What refunds gave back, as a decimal string; credit of types that are not refundable is not given back. Null
   * without a refund.
   */
  @Column({ name: 'refunded', ...amountColumn, nullable: true })
  readonly refunded!: string | null;

  @Column({ name: 'description', type: 'varchar', length: lengths.description, default: '' })
  readonly description!: string;

  /** The product that the credit was spent on, if the call named one. */
  @Column({ name: 'product', type: 'varchar', length: lengths.name, nullable: true })
  readonly product!: string | null;

  /** The product category that the credit was spent on, if the call named one. */
  @Column({ name: 'product_category', type: 'varchar', length: lengths.name, nullable: true })
  readonly productCategory!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Whether the call allowed to cover less than the amount, for `verify`. Not loaded. */
  @Column({ name: 'is_partial', type: 'boolean', default: false, select: false })
  readonly isPartial?: boolean;

  /** When it was captured or released; for a spend, when it was made. Null while it is held. */
  @Column({ name: 'captured_at', type: 'timestamptz', nullable: true })
  readonly capturedAt!: Date | null;

  /** From this time on what a hold holds is available again; null for never. */
  @Column({ name: 'expires_at', type: 'timestamptz', nullable: true })
  readonly expiresAt!: Date | null;

  /** How many refunds there are, for `verify`. Not loaded. */
  @Column({ name: 'refunds', type: 'integer', default: 0, select: false })
  readonly refunds?: number;

  /** When the last refund was made, for `verify`. Not loaded. */
  @Column({ name: 'refunded_at', type: 'timestamptz', nullable: true, select: false })
  readonly refundedAt?: Date | null;

  /** Whether it is a hold that has ended by itself, at `expiresAt`. */
  get isExpired(): boolean {
    if (this.expiresAt === null) return false;
    const end = this.capturedAt ?? registry.instanceOf(this, 'spend.isExpired').clock.now();
    return end >= this.expiresAt;
  }
}
