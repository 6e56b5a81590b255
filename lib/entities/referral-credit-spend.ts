import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn } from './columns';

/** What a user spent, or holds for a checkout, under one reference of the host's; over one or several credits. */
@Entity({ name: 'referral_credit_spends' })
@Index('ix_referral_credit_spends_reference', ['reference'])
@Check(
  'ck_referral_credit_spends_amounts',
  `"amount" > 0 AND "covered" BETWEEN 0 AND "amount" AND "captured" BETWEEN 0 AND "covered"
  AND "refunded" BETWEEN 0 AND "captured"`,
)
export class ReferralCreditSpend {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_credit_spends',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_credit_spends',
  })
  readonly reference!: string;

  /** How it began. */
  @Column({ name: 'kind', type: 'varchar', length: 8 })
  readonly kind!: 'spend' | 'hold';

  /** What was asked for, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** What credit covered of it, as a decimal string; less than the amount only if `partial`. */
  @Column({ name: 'covered', ...amountColumn })
  readonly covered!: string;

  /** What was spent in the end: all that was covered, unless a hold was captured for less or released; null while held. */
  @Column({ name: 'captured', ...amountColumn, nullable: true })
  readonly captured!: string | null;

  /** What a refund gave back: all of it, but for credit of types that are not refundable; null without a refund. */
  @Column({ name: 'refunded', ...amountColumn, nullable: true })
  readonly refunded!: string | null;

  @Column({ name: 'description', type: 'varchar', length: lengths.description, default: '' })
  readonly description!: string;

  @Column({ name: 'product', type: 'varchar', length: lengths.name, nullable: true })
  readonly product!: string | null;

  @Column({ name: 'product_category', type: 'varchar', length: lengths.name, nullable: true })
  readonly productCategory!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
