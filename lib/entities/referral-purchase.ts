import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { CommissionSource, NoCommission, TermsSource } from '../types/commissions';
import type { WithManager } from '../types/common';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, exchangeRateColumn, finite, originalAmountColumn, ratioColumn } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralCommission } from './referral-commission';
import type { ReferralLateAttribution } from './referral-late-attribution';

/**
 * What a user paid, under one reference, and who referred the user, or why the purchase earned no commission. This is
 * what was decided when it was recorded: {@link ReferralPurchase.lateAttribution} has what was decided later.
 */
@Entity({ name: 'referral_purchases' })
@Index('ix_referral_purchases_id', ['id'])
@Index('ix_referral_purchases_reference', ['reference'])
@Index('ix_referral_purchases_days', { synchronize: false }) // BRIN
@Index('ix_referral_purchases_referrer', ['referrerId', 'id'], { where: '(referrer_id IS NOT NULL)' })
@Index('ix_referral_purchases_waiting', ['userId', 'purchasedAt', 'id'], {
  where:
    "((no_commission)::text = ANY ((ARRAY['no-referrer'::character varying, 'own-referral'::character varying])::text[]))",
})
@Check('ck_referral_purchases_amounts', '"amount" >= 0 AND "refunded" BETWEEN 0 AND "amount"')
@Check(
  'ck_referral_purchases_finite',
  finite(
    ...['amount', 'refunded', 'rate', 'room', 'original_amount', 'original_refunded', 'exchange_rate'],
    ...['flat_amount', 'referrer_room'],
  ),
)
@Check(
  'ck_referral_purchases_currency',
  `num_nulls("currency", "original_amount", "original_refunded", "exchange_rate") IN (0, 4)
  AND "original_refunded" BETWEEN 0 AND "original_amount" AND "exchange_rate" > 0`,
)
export class ReferralPurchase extends ReferralRecord {
  /** The buyer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_purchases',
  })
  readonly userId!: string;

  /** The host's idempotency key, such as an order number. */
  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_purchases',
  })
  readonly reference!: string;

  @Column({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The amount that was paid, after any discount, in the program's currency, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** The sum of the refunds, in the program's currency, as a decimal string. */
  @Column({ name: 'refunded', ...amountColumn, default: 0 })
  readonly refunded!: string;

  /** The ISO 4217 code of the currency that was paid in; null for the program's. */
  @Column({ name: 'currency', type: 'varchar', length: 3, nullable: true })
  readonly currency!: string | null;

  /** What was paid in that currency, as a decimal string; null for the program's currency. */
  @Column({ name: 'original_amount', ...originalAmountColumn })
  readonly originalAmount!: string | null;

  /** The sum of the refunds in that currency, as a decimal string; null for the program's currency. */
  @Column({ name: 'original_refunded', ...originalAmountColumn })
  readonly originalRefunded!: string | null;

  /**
   * How much of the program's currency one unit of that currency was, as a decimal string; null for the program's
   * currency. `amount` and `refunded` are `originalAmount` and `originalRefunded` at this rate, rounded half up once.
   */
  @Column({ name: 'exchange_rate', ...exchangeRateColumn })
  readonly exchangeRate!: string | null;

  /** How many refunds there are. `verify` notices by it if one is deleted. */
  @Column({ name: 'refund_count', type: 'integer', default: 0 })
  readonly refundCount!: number;

  /** The time of the payment. */
  @Column({ name: 'purchased_at', type: 'timestamptz' })
  readonly purchasedAt!: Date;

  /** What decided who the referrer is; null if there is none. */
  @Column({ name: 'source', type: 'varchar', length: 16, nullable: true })
  readonly source!: CommissionSource | null;

  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** The channel, if the referral is one (it has the same id); null for an ordinary referral. */
  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  /** The referrer's id; null if there is none. */
  @Column({ name: 'referrer_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly referrerId!: string | null;

  /** The mode of the referrer's account at the time of the purchase. */
  @Column({ name: 'mode', type: 'varchar', length: 8, nullable: true })
  readonly mode!: EarningMode | null;

  /**
   * The share that the referrer earns of the purchase, from 0 to 1, as a decimal string; null without a referrer, and with a
   * flat amount. The migration that added the column left it null for earlier purchases without a commission.
   */
  @Column({ name: 'rate', ...ratioColumn, nullable: true })
  readonly rate!: string | null;

  /** What the limit left to earn for this buyer, as a decimal string; null without a limit, or where `rate` is null. */
  @Column({ name: 'room', ...amountColumn, precision: 28, nullable: true })
  readonly room!: string | null;

  /** What each purchase earned by those terms, for `verify`; null for a share of it. Not loaded: its commission has it. */
  @Column({ name: 'flat_amount', ...amountColumn, nullable: true, select: false })
  readonly flatAmount?: string | null;

  /** Where the terms come from, for `verify`; null without a referrer, and before the migration. Not loaded: the same. */
  @Column({ name: 'terms_from', type: 'varchar', length: 8, nullable: true, select: false })
  readonly termsFrom?: TermsSource | null;

  /** What the limit for the referrer left to earn in the period, for `verify`; null without one. Not loaded. */
  @Column({ name: 'referrer_room', ...amountColumn, precision: 28, nullable: true, select: false })
  readonly referrerRoom?: string | null;

  /** How many purchases the terms still had for this buyer, this one included, for `verify`; null for all. Not loaded. */
  @Column({ name: 'purchases_left', type: 'integer', nullable: true, select: false })
  readonly purchasesLeft?: number | null;

  /** The end of the months of the terms, for `verify`; null for good. Not loaded. */
  @Column({ name: 'term_until', type: 'timestamptz', nullable: true, select: false })
  readonly termUntil?: Date | null;

  /** Whether the amount counts as revenue of the channel. It does not if another user has referred the buyer. */
  @Column({ name: 'is_revenue', type: 'boolean', default: false })
  readonly isRevenue!: boolean;

  /** Why the purchase earned no commission; null if it earned one. */
  @Column({ name: 'no_commission', type: 'varchar', length: 16, nullable: true })
  readonly noCommission!: NoCommission | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /**
   * What was decided later: by a second look at a purchase without a referrer, or of which the buyer was the referrer, or by
   * staff who have moved its commission; null if there is nothing.
   */
  async lateAttribution(options: WithManager = {}): Promise<ReferralLateAttribution | null> {
    return related(this, 'lateAttribution', options, (records) => records.lateAttributionOf(this, options));
  }

  /**
   * The commission that the purchase earned, at once or after a second look, with its present referrer; null if it earned
   * none, or was moved to nobody.
   */
  async commission(options: WithManager = {}): Promise<ReferralCommission | null> {
    return related(this, 'commission', options, async (records) => {
      const of = async (userId: string | null): Promise<ReferralCommission | null> => {
        if (userId === null) return null;
        const kept = { kind: 'purchase', movedAt: null } as const;
        const where = { userId, refereeId: this.userId, purchase: this.reference, ...kept };
        return (await records.find('commissions', where, options))[0] ?? null;
      };
      const first = this.noCommission === null ? await of(this.referrerId) : null;
      return first ?? of((await this.lateAttribution(options))?.referrerId ?? null);
    });
  }
}
