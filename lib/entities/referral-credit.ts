import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { CreditChanges } from '../types/credits';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { registry } from './instance';
import { ReferralRecord, related } from './record';
import type { ReferralCreditTransaction } from './referral-credit-transaction';
import { ReferralCreditType } from './referral-credit-type';
import type { ReferralSignup } from './referral-signup';

/**
 * Spendable balance of a user, with an expiry. `currentBalance` always equals `initialBalance` plus the sum of the
 * transactions.
 */
@Entity({ name: 'referral_credits' })
@Index('ix_referral_credits_id', ['id'])
@Index('ix_referral_credits_spendable', ['userId', 'expiryDate', 'id'], { where: '(NOT is_used_up)' })
@Index('ix_referral_credits_reward_day', ['userId', 'createdAt'], { where: "((kind)::text = 'reward'::text)" })
@Index('ix_referral_credits_name', ['name', 'id'])
@Index('uq_referral_credits_side', ['refereeId', 'kind', 'userId'], {
  unique: true,
  where: '(referee_id IS NOT NULL)',
})
@Index('uq_referral_credits_reference', ['userId', 'reference'], { unique: true, where: '(reference IS NOT NULL)' })
@Index('ix_referral_credits_by_reference', ['reference'], { where: '(reference IS NOT NULL)' })
@Check('ck_referral_credits_balance', '"initial_balance" > 0 AND "current_balance" >= 0')
@Check('ck_referral_credits_used_up', '"is_used_up" = ("current_balance" = 0)')
@Check('ck_referral_credits_dates', '"expiry_date" > "start_date"')
@Check('ck_referral_credits_finite', finite('initial_balance', 'current_balance'))
export class ReferralCredit extends ReferralRecord<CreditChanges> {
  /** The owner's id in the host, as text. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_credits',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_credits',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /**
   * Why the credit was given. `referral`: to the referee for the sign-up. `reward`: to the referrer for a referee.
   * `earn-out`: for commissions. `grant`: by `credits.create`.
   */
  @Column({ name: 'kind', type: 'varchar', length: 16 })
  readonly kind!: 'referral' | 'reward' | 'earn-out' | 'grant';

  /** A description for people, as in `'launch: reward for sign-up 17 with K7M2PQ'`. */
  @Column({ name: 'name', type: 'varchar', length: lengths.creditName })
  readonly name!: string;

  @Column({ name: 'type_id', type: 'bigint', transformer: bigintAsNumber })
  readonly creditTypeId!: number;

  /** The opening balance, as a decimal string. */
  @Column({ name: 'initial_balance', ...amountColumn })
  readonly initialBalance!: string;

  /**
   * What is left to spend when it was loaded, as a decimal string. Credit that is held for a checkout is not included, until
   * the hold ends. A query of the host's own on the table does not compute that: see `credits.hold`.
   */
  @Column({ name: 'current_balance', ...amountColumn })
  readonly currentBalance!: string;

  /** From this time on the credit can be spent. */
  @Column({ name: 'start_date', type: 'timestamptz' })
  readonly startDate!: Date;

  /** From this time on the credit can't be spent. The balance stays as it is. */
  @Column({ name: 'expiry_date', type: 'timestamptz' })
  readonly expiryDate!: Date;

  /** The user whose sign-up the credit was given for; null if it was not given for a sign-up. */
  @Column({ name: 'referee_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly refereeId!: string | null;

  @Column({ name: 'voucher_code', type: 'varchar', length: lengths.name, nullable: true })
  readonly voucherCode!: string | null;

  /** The idempotency key of `credits.create`; for a credit of an earn-out, the earn-out's key. */
  @Column({ name: 'reference', type: 'varchar', length: lengths.reference, nullable: true })
  readonly reference!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Whether the balance is 0, for the index of spendable credits. Not loaded. */
  @Column({ name: 'is_used_up', type: 'boolean', default: false, select: false })
  readonly isUsedUp?: boolean;

  /** How many entries the ledger has on the credit, for `verify`. Not loaded. */
  @Column({ name: 'entries', type: 'integer', default: 1, select: false })
  readonly entries?: number;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditType, { nullable: false })
  @JoinColumn({ name: 'type_id', foreignKeyConstraintName: 'fk_referral_credits_type' })
  readonly type?: ReferralCreditType;

  /**
   * Whether the credit has expired at the current time: that of the option `clock`, or the database's time as this
   * process last saw it.
   */
  get isExpired(): boolean {
    return this.expiryDate <= registry.instanceOf(this, 'credit.isExpired').clock.now();
  }

  /** The credit type, which says what the credit can be spent on. */
  async creditType(options: WithManager = {}): Promise<ReferralCreditType> {
    return related(
      this,
      'creditType',
      options,
      async (records) => (await records.findById('creditTypes', this.creditTypeId, options))!,
    );
  }

  /** The ledger's entries on this credit, oldest first. */
  async transactions(options: WithManager = {}): Promise<ReferralCreditTransaction[]> {
    return related(this, 'transactions', options, (records) =>
      records.find('creditTransactions', { userId: this.userId, creditId: this.id }, options),
    );
  }

  /** The sign-up that the credit was given for; null if it was not given for a sign-up. */
  async signup(options: WithManager = {}): Promise<ReferralSignup | null> {
    return related(this, 'signup', options, async (records) =>
      this.refereeId === null
        ? null
        : ((await records.find('signups', { userId: this.refereeId }, options))[0] ?? null),
    );
  }
}
