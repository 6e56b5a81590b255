import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralChannel } from './referral-channel';

/**
 * A user who applies coupons or buys. The calls for one buyer are serialised by a lock on this row, or by its
 * `version`.
 */
@Entity({ name: 'referral_buyers' })
@Index('ix_referral_buyers_channel', ['channelId'], { where: '(channel_id IS NOT NULL)' })
@Check('ck_referral_buyers_finite', finite('purchased'))
export class ReferralBuyer {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_buyers',
  })
  readonly userId!: string;

  /** The time of the first purchase with an amount above 0; null before. */
  @Column({ name: 'first_purchase_at', type: 'timestamptz', nullable: true })
  readonly firstPurchaseAt!: Date | null;

  /** How many purchases there are. `verify` notices by it if one is deleted. */
  @Column({ name: 'purchase_count', type: 'integer', default: 0 })
  readonly purchaseCount!: number;

  /** The sum of the purchases, before refunds, as a decimal string. */
  @Column({ name: 'purchased', ...amountColumn, precision: 28, default: 0 })
  readonly purchased!: string;

  /** The channel whose coupon is applied; null for none. */
  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  /** Whether the coupon that was applied last is the buyer's own. Only set with the option `selfReferral: 'flag'`. */
  @Column({ name: 'is_own_channel', type: 'boolean', default: false })
  readonly isOwnChannel!: boolean;

  /** Whether a purchase has redeemed the applied coupon. Only a recurring coupon stays applied after that. */
  @Column({ name: 'is_redeemed', type: 'boolean', default: false })
  readonly isRedeemed!: boolean;

  /** How often the row was changed. Statements that read the row before they write use it as an optimistic lock. */
  @Column({ name: 'version', type: 'integer', default: 0 })
  readonly version!: number;

  /** When the coupon was applied. */
  @Column({ name: 'applied_at', type: 'timestamptz', nullable: true })
  readonly appliedAt!: Date | null;

  /** The channel whose coupon the buyer has redeemed last; null for none. */
  @Column({ name: 'last_channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly lastChannelId!: number | null;

  /** Whether that coupon is the buyer's own. Only set with the option `selfReferral: 'flag'`. */
  @Column({ name: 'is_own_last_channel', type: 'boolean', default: false })
  readonly isOwnLastChannel!: boolean;

  /**
   * When staff last changed who referred the user, or merged another user into this one; null if they did not. What was
   * decided about purchases until then stands, whatever the sign-up says now.
   */
  @Column({ name: 'reassigned_at', type: 'timestamptz', nullable: true })
  readonly reassignedAt!: Date | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralChannel, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'channel_id', foreignKeyConstraintName: 'fk_referral_buyers_channel' })
  readonly channel?: ReferralChannel | null;
}
