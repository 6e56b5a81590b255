import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, exchangeRateColumn, finite, originalAmountColumn } from './columns';

/** Usage that the host recorded for a user, once for each reference. */
@Entity({ name: 'referral_usages' })
@Index('ix_referral_usages_reference', ['reference'])
@Check('ck_referral_usages_finite', finite('amount', 'original_amount', 'exchange_rate'))
@Check(
  'ck_referral_usages_currency',
  'num_nulls("currency", "original_amount", "exchange_rate") IN (0, 3) AND "exchange_rate" > 0',
)
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

  /** The amount in the program's currency, as a decimal string; below 0 for a correction. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** The ISO 4217 code of the currency that it was given in; null for the program's. */
  @Column({ name: 'currency', type: 'varchar', length: 3, nullable: true })
  readonly currency!: string | null;

  /** The amount in that currency, as a decimal string; null for the program's currency. */
  @Column({ name: 'original_amount', ...originalAmountColumn })
  readonly originalAmount!: string | null;

  /** How much of the program's currency one unit of it was, as a decimal string; null for the program's currency. */
  @Column({ name: 'exchange_rate', ...exchangeRateColumn })
  readonly exchangeRate!: string | null;

  /** Whether the usage counts towards a referrer's reward: only if the user had signed up with a code before. */
  @Column({ name: 'is_counted', type: 'boolean' })
  readonly isCounted!: boolean;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
