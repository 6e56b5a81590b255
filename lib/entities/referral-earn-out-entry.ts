import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralEarnOut } from './referral-earn-out';

/**
 * A part of a payment for which no commission was available: the payment was made in spite of that, and booked later.
 * Such a payment has two entries, whose sum is 0. The one above 0 belongs to the payment. The one below 0 is the debt
 * that it leaves: the next earn-out subtracts it. Entries are only added, and their amounts never change.
 */
@Entity({ name: 'referral_earn_out_entries' })
@Index('ix_referral_earn_out_entries_payment', ['userId', 'paymentId'])
@Index('ix_referral_earn_out_entries_unpaid', ['userId'], { where: '(earn_out_id IS NULL)' })
@Index('ix_referral_earn_out_entries_earn_out', ['userId', 'earnOutId'], { where: '(earn_out_id IS NOT NULL)' })
@Check('ck_referral_earn_out_entries_amount', '"amount" <> 0')
@Check('ck_referral_earn_out_entries_finite', finite('amount'))
export class ReferralEarnOutEntry {
  /** The referrer, who was paid. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_earn_out_entries',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_earn_out_entries',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The earn-out that paid more than was available. */
  @Column({ name: 'payment_id', type: 'bigint', transformer: bigintAsNumber })
  readonly paymentId!: number;

  /** Above 0 for what was paid, below 0 for the debt; a decimal string. */
  @Column({ name: 'amount', ...amountColumn, precision: 28 })
  readonly amount!: string;

  /** The earn-out that includes the entry; null if none does yet. */
  @Column({ name: 'earn_out_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly earnOutId!: number | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralEarnOut, { nullable: false })
  @JoinColumn([
    {
      name: 'user_id',
      referencedColumnName: 'userId',
      foreignKeyConstraintName: 'fk_referral_earn_out_entries_payment',
    },
    {
      name: 'payment_id',
      referencedColumnName: 'id',
      foreignKeyConstraintName: 'fk_referral_earn_out_entries_payment',
    },
  ])
  readonly payment?: ReferralEarnOut;
}
