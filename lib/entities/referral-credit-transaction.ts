import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralRecord, related } from './record';
import { ReferralCredit } from './referral-credit';

/** An entry of the ledger. Entries are only added, never changed or deleted. */
@Entity({ name: 'referral_credit_transactions' })
@Index('ix_referral_credit_transactions_id', ['id'])
@Index('ix_referral_credit_transactions_reference', ['userId', 'reference'], { where: '(reference IS NOT NULL)' })
@Index('uq_referral_credit_transactions_adjustment', ['userId', 'creditId', 'reference'], {
  unique: true,
  where: "((kind)::text = 'adjustment'::text)",
})
@Check('ck_referral_credit_transactions_value', '"value" <> 0')
@Check('ck_referral_credit_transactions_finite', finite('value'))
export class ReferralCreditTransaction extends ReferralRecord {
  /** The owner of the credit. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_credit_transactions',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'credit_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_credit_transactions',
    transformer: bigintAsNumber,
  })
  readonly creditId!: number;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_credit_transactions',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /**
   * `release` ends a hold, `refund` gives back a spend, `adjustment` is an entry by the host's staff. `take-back`
   * takes back credit of an earn-out whose commission was refunded or rejected. `grant` is the first
   * entry of each credit, its opening balance; the managers do not return it.
   */
  @Column({ name: 'kind', type: 'varchar', length: 16 })
  readonly kind!: 'grant' | 'spend' | 'hold' | 'release' | 'refund' | 'adjustment' | 'take-back';

  /** The change of the balance, as a decimal string: below 0 for what is spent or held. */
  @Column({ name: 'value', ...amountColumn })
  readonly value!: string;

  @Column({ name: 'description', type: 'varchar', length: lengths.description, default: '' })
  readonly description!: string;

  /** The idempotency key of the credit, spend, hold or adjustment; null if it has none. */
  @Column({ name: 'reference', type: 'varchar', length: lengths.reference, nullable: true })
  readonly reference!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCredit, { nullable: false })
  @JoinColumn([
    {
      name: 'user_id',
      referencedColumnName: 'userId',
      foreignKeyConstraintName: 'fk_referral_credit_transactions_credit',
    },
    {
      name: 'credit_id',
      referencedColumnName: 'id',
      foreignKeyConstraintName: 'fk_referral_credit_transactions_credit',
    },
  ])
  readonly entryOf?: ReferralCredit;

  /** The credit whose balance the entry changes. */
  async credit(options: WithManager = {}): Promise<ReferralCredit> {
    return related(
      this,
      'credit',
      options,
      async (records) => (await records.find('credits', { userId: this.userId, id: this.creditId }, options))[0]!,
    );
  }
}
