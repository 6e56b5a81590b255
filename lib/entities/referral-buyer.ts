import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';
import { ReferralChannel } from './referral-channel';

/** What is known of a user who applies coupons or buys. All that a buyer does takes turns on this row. */
@Entity({ name: 'referral_buyers' })
@Index('ix_referral_buyers_channel', ['channelId'], { where: '(channel_id IS NOT NULL)' })
export class ReferralBuyer {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_buyers',
  })
  readonly userId!: string;

  /** When the user first paid. */
  @Column({ name: 'first_purchase_at', type: 'timestamptz', nullable: true })
  readonly firstPurchaseAt!: Date | null;

  /** The channel whose code is applied; null for none. */
  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  /** Whether a purchase has used it: then it stays on for renewals. */
  @Column({ name: 'is_redeemed', type: 'boolean', default: false })
  readonly isRedeemed!: boolean;

  /** How often the row was changed: what a statement has read of the buyer is still so if this is. */
  @Column({ name: 'version', type: 'integer', default: 0 })
  readonly version!: number;

  @Column({ name: 'applied_at', type: 'timestamptz', nullable: true })
  readonly appliedAt!: Date | null;

  /** The channel whose code a purchase used last. */
  @Column({ name: 'last_channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly lastChannelId!: number | null;

  /** Only loaded where the host asks for the relation. */
  @ManyToOne(() => ReferralChannel, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'channel_id', foreignKeyConstraintName: 'fk_referral_buyers_channel' })
  readonly channel?: ReferralChannel | null;
}
