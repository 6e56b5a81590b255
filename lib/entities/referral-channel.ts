import { Check, Column, Entity, JoinColumn, OneToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { ChannelChanges } from '../types/commissions';
import type { WithManager } from '../types/common';
import { amountColumn, bigintAsNumber, discountColumn, finite, ratioColumn } from './columns';
import { CommissionColumns, commissionAmounts, isCommission } from './commission-terms';
import { related } from './record';
import { Referral } from './referral';
import type { ReferralCommission } from './referral-commission';

/**
 * A referral whose code is a coupon: it gives the buyer a discount and the owner a commission. Its id is the id of the
 * referral.
 */
@Entity({ name: 'referral_channels' })
@Check('ck_referral_channels_promo', `"promo_value" >= 0 AND ("promo_type" <> 'percent_off' OR "promo_value" <= 1)`)
@Check('ck_referral_channels_minimum', '"minimum_amount" > 0')
@Check('ck_referral_channels_dates', '"end_date" > "start_date"')
@Check(
  'ck_referral_channels_rates',
  `"initial_rate" BETWEEN 0 AND 1 AND "ongoing_rate" BETWEEN 0 AND 1 AND "initial_rate_period_days" >= 0
  AND "max_earnings_per_referred" > 0`,
)
@Check('ck_referral_channels_commission', isCommission)
@Check(
  'ck_referral_channels_finite',
  finite(
    'promo_value',
    'initial_rate',
    'ongoing_rate',
    'max_earnings_per_referred',
    ...commissionAmounts,
    'minimum_amount',
  ),
)
export class ReferralChannel extends CommissionColumns<ChannelChanges> {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_channels',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /**
   * The owner, who earns the commissions. This field and the next six are no columns: only `referrals.channels` loads
   * them.
   */
  readonly userId!: string;

  /** The code that buyers type, in any case. */
  readonly code!: string;

  /** How many buyers may redeem the coupon, and how many sign-ups may use the code; -1 for unlimited. */
  readonly allowedUses!: number;

  /** How many buyers may redeem the coupon; null for `allowedUses`. */
  readonly maxRedemptions!: number | null;

  /** How many users have redeemed the coupon; those who got it back do not count. */
  readonly totalUses!: number;

  /** The sum of the owner's commissions from this channel, net of refunds, as a decimal string. */
  readonly totalCommission!: string;

  /**
   * What the channel's buyers have paid, net of refunds, as a decimal string. Buyers whom another user referred do not
   * count.
   */
  readonly totalRevenue!: string;

  @Column({ name: 'description', type: 'varchar', length: lengths.description, default: '' })
  readonly description!: string;

  @Column({ name: 'promo_type', type: 'varchar', length: 16 })
  readonly promoType!: 'percent_off' | 'value_off';

  /** The discount, as a decimal string: from 0 to 1 of the price for `percent_off`, an amount for `value_off`. */
  @Column({ name: 'promo_value', ...discountColumn })
  readonly promoValue!: string;

  /** Whether users can apply the coupon, and redeem it for the first time. */
  @Column({ name: 'is_active', type: 'boolean', default: true })
  readonly isActive!: boolean;

  /** Whether the discount applies to every purchase of a buyer, or to the first one only. */
  @Column({ name: 'is_recurring', type: 'boolean', default: false })
  readonly isRecurring!: boolean;

  /** The least price, before the discount, that gets it, as a decimal string; null for any. */
  @Column({ name: 'minimum_amount', ...amountColumn, nullable: true })
  readonly minimumAmount!: string | null;

  /** Whether only a buyer who has not paid for anything yet can redeem the coupon. */
  @Column({ name: 'first_purchase_only', type: 'boolean', default: false })
  readonly firstPurchaseOnly!: boolean;

  /** The only products that get the discount; an empty list stands for all. */
  @Column({ name: 'products', type: 'text', array: true, default: () => "'{}'" })
  readonly products!: string[];

  /** Whether the buyer gets the coupon back when the purchase that has redeemed it is refunded as a whole. */
  @Column({ name: 'restore_on_refund', type: 'boolean', default: false })
  readonly restoreOnRefund!: boolean;

  /** From this time on the coupon can be applied. */
  @Column({ name: 'start_date', type: 'timestamptz' })
  readonly startDate!: Date;

  /**
   * From this time on the coupon can't be applied or redeemed; null for never. Users who redeemed a recurring one
   * before keep it.
   */
  @Column({ name: 'end_date', type: 'timestamptz', nullable: true })
  readonly endDate!: Date | null;

  /**
   * The share of purchases that the owner earns during the initial period, from 0 to 1, as a decimal string. It does not
   * count while `commissionAmount` is set.
   */
  @Column({ name: 'initial_rate', ...ratioColumn })
  readonly initialRate!: string;

  /** The share after the initial period, from 0 to 1, as a decimal string. */
  @Column({ name: 'ongoing_rate', ...ratioColumn })
  readonly ongoingRate!: string;

  /** The length of the initial period, from the buyer's first purchase, in days of 24 hours. */
  @Column({ name: 'initial_rate_period_days', type: 'integer' })
  readonly initialRatePeriodDays!: number;

  /** The most that one buyer can earn the owner, as a decimal string; null for no limit. */
  @Column({ name: 'max_earnings_per_referred', ...amountColumn, nullable: true })
  readonly maxEarningsPerReferred!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @OneToOne(() => Referral, { nullable: false })
  @JoinColumn({ name: 'id', foreignKeyConstraintName: 'fk_referral_channels_referral' })
  readonly referral?: Referral;

  /** The owner's commissions from this channel, oldest first. */
  async commissions(options: WithManager = {}): Promise<ReferralCommission[]> {
    return related(this, 'commissions', options, (records) =>
      records.find('commissions', { userId: this.userId, channelId: this.id }, options),
    );
  }
}
