import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';

/** Usage that the host recorded for a user, once for each reference. */
@Entity({ name: 'referral_usages' })
@Check('ck_referral_usages_finite', finite('amount'))
export class ReferralUsage {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_usages',
  })
  readonly userId!: string;

  /** The host's idempotency key, such as an invoice number. */
  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_usages',
  })
  readonly reference!: string;

  /** The amount, as a decimal string; below 0 for a correction. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** Whether the usage counts towards a referrer's reward: only if the user had signed up with a code before. */
  @Column({ name: 'is_counted', type: 'boolean' })
  readonly isCounted!: boolean;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
