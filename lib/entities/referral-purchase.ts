import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { CommissionSource, NoCommission } from '../types/commissions';
import type { WithManager } from '../types/common';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralCommission } from './referral-commission';

/** What a user paid, under one reference of the host's, and whom it earned a commission or why it earned none. */
@Entity({ name: 'referral_purchases' })
@Index('ix_referral_purchases_id', ['id'])
@Check('ck_referral_purchases_amounts', '"amount" >= 0 AND "refunded" BETWEEN 0 AND "amount"')
export class ReferralPurchase extends ReferralRecord {
  /** Who paid. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_purchases',
  })
  readonly userId!: string;

  /** The host's own word for it, such as an invoice. */
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

  /** What was paid, after any discount, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** What was paid back of it, as a decimal string. */
  @Column({ name: 'refunded', ...amountColumn, default: 0 })
  readonly refunded!: string;

  @Column({ name: 'purchased_at', type: 'timestamptz' })
  readonly purchasedAt!: Date;

  /** By what the referrer was found; null if there is none. */
  @Column({ name: 'source', type: 'varchar', length: 16, nullable: true })
  readonly source!: CommissionSource | null;

  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  @Column({ name: 'referrer_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly referrerId!: string | null;

  /** The referrer's mode at the time. */
  @Column({ name: 'mode', type: 'varchar', length: 8, nullable: true })
  readonly mode!: EarningMode | null;

  /** Whether it counts as the channel's revenue. */
  @Column({ name: 'is_revenue', type: 'boolean', default: false })
  readonly isRevenue!: boolean;

  /** Why it earned no commission; null if it earned one. */
  @Column({ name: 'no_commission', type: 'varchar', length: 16, nullable: true })
  readonly noCommission!: NoCommission | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** What it earned the referrer; null for nothing, see `noCommission`. */
  async commission(options: WithManager = {}): Promise<ReferralCommission | null> {
    return related(this, 'commission', options, async (records) => {
      const { userId: refereeId, referrerId: userId, reference: purchase } = this;
      if (userId === null) return null;
      return (await records.find('commissions', { userId, refereeId, purchase }, options))[0] ?? null;
    });
  }
}
