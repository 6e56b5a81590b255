import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';
import { ReferralChannel } from './referral-channel';

/** Says that a user has redeemed the coupon of a channel. There is at most one row for each user and channel. */
@Entity({ name: 'referral_redemptions' })
@Index('ix_referral_redemptions_channel', ['channelId'])
export class ReferralRedemption {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_redemptions',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'channel_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_redemptions',
    transformer: bigintAsNumber,
  })
  readonly channelId!: number;

  /** The `reference` of the purchase that redeemed the coupon. */
  @Column({ name: 'reference', type: 'varchar', length: lengths.reference })
  readonly reference!: string;

  /** Whether the coupon, a recurring one, stays applied: until the buyer applies another one. */
  @Column({ name: 'is_kept', type: 'boolean', default: false })
  readonly isKept!: boolean;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** When the buyer got the coupon back; null if not. The next redemption by the buyer takes the row over. */
  @Column({ name: 'given_back_at', type: 'timestamptz', nullable: true })
  readonly givenBackAt!: Date | null;

  /** Whether a refund has given it back. Only then `undoRefund` takes it again. */
  @Column({ name: 'is_restored', type: 'boolean', default: false, select: false })
  readonly isRestored!: boolean;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralChannel, { nullable: false })
  @JoinColumn({ name: 'channel_id', foreignKeyConstraintName: 'fk_referral_redemptions_channel' })
  readonly channel?: ReferralChannel;
}
