import { Check, Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { CommissionSource, NoCommission, TermsSource } from '../types/commissions';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite, ratioColumn } from './columns';
import { ReferralPurchase } from './referral-purchase';

/**
 * What was decided later about a purchase: by a second look at one without a referrer, when the buyer's sign-up or first
 * attribution had arrived, or by staff, who have moved its commission with `signups.reassign`. The row of the purchase keeps
 * what was decided at first.
 */
@Entity({ name: 'referral_late_attributions' })
@Check('ck_referral_late_attributions_finite', finite('rate', 'room', 'flat_amount', 'referrer_room'))
export class ReferralLateAttribution {
  /** The buyer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_late_attributions',
  })
  readonly userId!: string;

  /** The `reference` of the purchase. */
  @PrimaryColumn({
    name: 'purchase',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_late_attributions',
  })
  readonly purchase!: string;

  /** What decided who the referrer is: `sign-up` or `attribution`; null if the commission was moved to nobody. */
  @Column({ name: 'source', type: 'varchar', length: 16, nullable: true })
  readonly source!: CommissionSource | null;

  /** Null if the commission was moved to nobody. */
  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** The channel, if the referral is one (it has the same id); null for an ordinary referral. */
  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  /** Null if the commission was moved to nobody. */
  @Column({ name: 'referrer_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly referrerId!: string | null;

  /** The mode of the referrer's account when this was decided; null without a referrer. */
  @Column({ name: 'mode', type: 'varchar', length: 8, nullable: true })
  readonly mode!: EarningMode | null;

  /** The share that the referrer earns of the purchase, from 0 to 1, as a decimal string; null with a flat amount. */
  @Column({ name: 'rate', ...ratioColumn, nullable: true })
  readonly rate!: string | null;

  /** What the limit left to earn for this buyer, as a decimal string; null without a limit. */
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

  /** Whether the amount counts as revenue of the channel. */
  @Column({ name: 'is_revenue', type: 'boolean' })
  readonly isRevenue!: boolean;

  /** Why the purchase earned no commission; null if it earned one. */
  @Column({ name: 'no_commission', type: 'varchar', length: 16, nullable: true })
  readonly noCommission!: NoCommission | null;

  /** Whether staff have moved the commission of an earlier referrer, whose terms it keeps. */
  @Column({ name: 'is_moved', type: 'boolean', default: false })
  readonly isMoved!: boolean;

  @Column({ name: 'decided_at', type: 'timestamptz' })
  readonly decidedAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralPurchase, { nullable: false })
  @JoinColumn([
    {
      ...{ name: 'user_id', referencedColumnName: 'userId' },
      foreignKeyConstraintName: 'fk_referral_late_attributions_purchase',
    },
    {
      ...{ name: 'purchase', referencedColumnName: 'reference' },
      foreignKeyConstraintName: 'fk_referral_late_attributions_purchase',
    },
  ])
  readonly ofPurchase?: ReferralPurchase;
}
