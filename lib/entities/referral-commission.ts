import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { referralError } from '../errors';
import { lengths } from '../limits';
import type { CommissionKind, CommissionStatus, TermsSource } from '../types/commissions';
import type { WithManager } from '../types/common';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite, openTime, ratioColumn } from './columns';
import { registry } from './instance';
import { ReferralRecord, related } from './record';
import { Referral } from './referral';
import type { ReferralChannel } from './referral-channel';
import type { ReferralEarnOut } from './referral-earn-out';
import type { ReferralPurchase } from './referral-purchase';
import type { ReferralSignup } from './referral-signup';

/**
 * What a referee's purchase, or sign-up, earned the referrer. `earned` never changes. A refund or a rejection adds an entry,
 * which lowers `amount`; an undone refund adds one that raises it again. `signups.reassign` can move it: an entry takes it
 * back here, and another commission is made for the new referrer.
 */
@Entity({ name: 'referral_commissions' })
@Index('ix_referral_commissions_id', ['id'])
@Index('ix_referral_commissions_referral', ['referralId'])
@Index('uq_referral_commissions_purchase', ['refereeId', 'userId', 'purchase', 'kind', 'signupId', 'slot'], {
  unique: true,
})
@Index('uq_referral_commissions_moved_from', ['movedFrom'], { unique: true, where: '(moved_from IS NOT NULL)' })
@Index('ix_referral_commissions_amount', { synchronize: false }) // descending, with INCLUDE
@Index('ix_referral_commissions_created', { synchronize: false }) // the same
@Index('ix_referral_commissions_available', { synchronize: false }) // on an expression
@Index('ix_referral_commissions_unpaid', ['userId', 'mode', 'availableAt'], { where: '(earn_out_id IS NULL)' })
@Index('ix_referral_commissions_paid_by', ['earnOutId', 'userId'], { where: '(earn_out_id IS NOT NULL)' })
@Index('ix_referral_commissions_held', ['id'], { where: "(available_at = 'infinity'::timestamp with time zone)" })
@Index('ix_referral_commissions_rejected', ['id'], { where: '(rejected_at IS NOT NULL)' })
@Index('ix_referral_commissions_reverted', ['id'], { where: '(reverted_at IS NOT NULL)' })
@Index('ix_referral_commissions_days', { synchronize: false }) // BRIN
@Check('ck_referral_commissions_mode', `"mode" IN ('credits', 'payout')`)
@Check('ck_referral_commissions_kind', `"kind" IN ('purchase', 'sign-up') AND ("kind" = 'sign-up') = ("signup_id" > 0)`)
@Check('ck_referral_commissions_amounts', '"earned" > 0 AND "amount" BETWEEN 0 AND "earned"')
@Check(
  'ck_referral_commissions_held',
  `("held_for" = '{}') = ("held_from" IS NULL) AND ("held_from" IS NOT NULL) = ("available_at" = 'infinity')`,
)
@Check(
  'ck_referral_commissions_rejected',
  '"rejected_at" IS NULL OR ("amount" = 0 AND "reverted_at" IS NOT NULL AND "held_from" IS NULL)',
)
@Check(
  'ck_referral_commissions_moved',
  `"slot" = CASE WHEN "moved_at" IS NULL THEN 0 ELSE "id" END AND ("moved_at" IS NULL
    OR ("amount" = 0 AND "reverted_at" IS NOT NULL AND "held_from" IS NULL AND "rejected_at" IS NULL))`,
)
@Check(
  'ck_referral_commissions_finite',
  finite(
    ...['rate', 'flat_amount', 'max_per_referee', 'room', 'max_per_referrer', 'referrer_room', 'earned', 'amount'],
  ),
)
export class ReferralCommission extends ReferralRecord {
  /** The referrer, who earned the commission. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_commissions',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_commissions',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The referee, who paid. */
  @Column({ name: 'referee_id', type: 'varchar', length: lengths.id })
  readonly refereeId!: string;

  /** What earned it. */
  @Column({ name: 'kind', type: 'varchar', length: 8, default: 'purchase' })
  readonly kind!: CommissionKind;

  /** The `reference` of the purchase; of a sign-up's commission, that of `referrals.qualify`, or `''`. */
  @Column({ name: 'purchase', type: 'varchar', length: lengths.reference })
  readonly purchase!: string;

  /** The id of the sign-up that earned it; 0 for a purchase, because the column is part of a unique key. */
  @Column({ name: 'signup_id', type: 'bigint', default: 0, transformer: bigintAsNumber })
  readonly signupId!: number;

  @Column({ name: 'referral_id', type: 'bigint', transformer: bigintAsNumber })
  readonly referralId!: number;

  /** The channel, if the referral is one (it has the same id); null for an ordinary referral. */
  @Column({ name: 'channel_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly channelId!: number | null;

  /** The mode of the referrer's account at the time of the purchase. */
  @Column({ name: 'mode', type: 'varchar', length: 8 })
  readonly mode!: EarningMode;

  /** The share of the purchase that the referrer earned, from 0 to 1, as a decimal string; null with a `flatAmount`. */
  @Column({ name: 'rate', ...ratioColumn, nullable: true })
  readonly rate!: string | null;

  /** What the purchase or the sign-up earned, whatever it cost, as a decimal string; null with a `rate`. */
  @Column({ name: 'flat_amount', ...amountColumn, nullable: true })
  readonly flatAmount!: string | null;

  /** Where rate or amount come from; null for a commission from before the migration `CommissionTerms1813000000000`. */
  @Column({ name: 'terms_from', type: 'varchar', length: 8, nullable: true })
  readonly termsFrom!: TermsSource | null;

  /** For how many months from the referee's first purchase the terms applied; null for good. */
  @Column({ name: 'months', type: 'integer', nullable: true })
  readonly months!: number | null;

  /** For how many purchases of the referee; null for all. */
  @Column({ name: 'purchases', type: 'integer', nullable: true })
  readonly purchases!: number | null;

  /** The most that the referee could earn the referrer at that time, as a decimal string; null for no limit. */
  @Column({ name: 'max_per_referee', ...amountColumn, nullable: true })
  readonly maxPerReferee!: string | null;

  /**
   * What the limit left to earn for the referee at that time, as a decimal string; null for no limit. The migration that
   * added the column left it null for earlier commissions that the limit did not lower.
   */
  @Column({ name: 'room', ...amountColumn, precision: 28, nullable: true })
  readonly room!: string | null;

  /** The most that the referrer could earn in the period at that time, as a decimal string; null for no limit. */
  @Column({ name: 'max_per_referrer', ...amountColumn, nullable: true })
  readonly maxPerReferrer!: string | null;

  /** The period of that limit in which it counts, in UTC: `2026-11`, `2026-Q4`, `2026` or `all`; null for no limit. */
  @Column({ name: 'period', type: 'varchar', length: 8, nullable: true })
  readonly period!: string | null;

  /** What that limit left to earn at that time, as a decimal string; null for no limit. */
  @Column({ name: 'referrer_room', ...amountColumn, precision: 28, nullable: true })
  readonly referrerRoom!: string | null;

  /**
   * What the purchase or the sign-up earned: the amount of the purchase times `rate`, or `flatAmount`, rounded half up to
   * cents, within the limits. A decimal string.
   */
  @Column({ name: 'earned', ...amountColumn, precision: 28 })
  readonly earned!: string;

  /** What refunds have left of `earned`, as a decimal string; 0 if it is rejected. */
  @Column({ name: 'amount', ...amountColumn, precision: 28 })
  readonly amount!: string;

  /** Whether referrer and referee are the same person. Only set with the option `selfReferral: 'flag'`. */
  @Column({ name: 'is_self_referral', type: 'boolean', default: false })
  readonly isSelfReferral!: boolean;

  /** The option `commission.pendingDays` at that time. */
  @Column({ name: 'pending_days', type: 'integer', default: 0 })
  readonly pendingDays!: number;

  /**
   * From this time on the commission is available for an earn-out; null while it is held. In the database, that of a held
   * one is `infinity`.
   */
  @Column({ name: 'available_at', type: 'timestamptz', transformer: openTime })
  readonly availableAt!: Date | null;

  /**
   * Why it is held: `staff` for `commissions.hold`, `review:<id>` for a review. Empty if it is not held.
   */
  @Column({ name: 'held_for', type: 'text', array: true, default: () => "'{}'" })
  readonly heldFor!: readonly string[];

  /** From when on it would be available if it were not held; null if it is not held. */
  @Column({ name: 'held_from', type: 'timestamptz', nullable: true })
  readonly heldFrom!: Date | null;

  /** When `commissions.reject` took it back; null if it did not. */
  @Column({ name: 'rejected_at', type: 'timestamptz', nullable: true })
  readonly rejectedAt!: Date | null;

  /** When `signups.reassign` took it back, to move it to another referrer or to nobody; null if it did not. */
  @Column({ name: 'moved_at', type: 'timestamptz', nullable: true })
  readonly movedAt!: Date | null;

  /** The id of the commission of an earlier referrer that was moved here, with its terms; null if a purchase or a sign-up made it. */
  @Column({ name: 'moved_from', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly movedFrom!: number | null;

  /**
   * 0 while it counts, and its id once it was moved away: then the referrer can have another one of the same purchase. Not loaded.
   */
  @Column({ name: 'slot', type: 'bigint', default: 0, select: false, transformer: bigintAsNumber })
  readonly slot?: number;

  /** When it was taken back as a whole: the purchase was refunded in full, or it was rejected or moved. Null if it was not. */
  @Column({ name: 'reverted_at', type: 'timestamptz', nullable: true })
  readonly revertedAt!: Date | null;

  /** The earn-out that pays the commission; null if none does yet. */
  @Column({ name: 'earn_out_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly earnOutId!: number | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** When the commission was created, or when a refund, an undone refund, a rejection or a move last changed it. */
  @Column({ name: 'updated_at', type: 'timestamptz', default: () => 'now()' })
  readonly updatedAt!: Date;

  /**
   * When its earn-out was paid; null if none was. Not a column: `referrals.commissions`, the methods of records, and the
   * calls that return a commission set it.
   */
  readonly paidAt!: Date | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => Referral, { nullable: false })
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_commissions_referral' })
  readonly referral?: Referral;

  /** The status at the current time: that of the option `clock`, or the database's time as this process last saw it. */
  get status(): CommissionStatus {
    if (this.rejectedAt !== null) return 'rejected';
    if (this.revertedAt !== null) return 'reverted';
    if (this.availableAt === null) return 'held';
    return this.availableAt <= registry.instanceOf(this, 'commission.status').clock.now() ? 'available' : 'pending';
  }

  /** The channel that earned the commission; null for an ordinary referral. */
  async channel(options: WithManager = {}): Promise<ReferralChannel | null> {
    return related(this, 'channel', options, (records) => records.findById('channels', this.channelId, options));
  }

  /** The earn-out that pays the commission; null if none does yet. */
  async earnOut(options: WithManager = {}): Promise<ReferralEarnOut | null> {
    return related(this, 'earnOut', options, (records) => records.findById('earnOuts', this.earnOutId, options));
  }

  /**
   * The purchase that earned the commission.
   *
   * @throws ReferralError `NOT_FOUND` if a sign-up earned it, as `kind` says.
   */
  async ofPurchase(options: WithManager = {}): Promise<ReferralPurchase> {
    return related(this, 'ofPurchase', options, async (records) => {
      if (this.kind === 'sign-up') throw referralError('NOT_FOUND', 'purchase', 'reference', [this.purchase]);
      const where = { userId: this.refereeId, reference: this.purchase };
      return (await records.find('purchases', where, options))[0]!;
    });
  }

  /** The sign-up that earned the commission; null if a purchase did, or if the sign-up is deleted. */
  async ofSignup(options: WithManager = {}): Promise<ReferralSignup | null> {
    return related(this, 'ofSignup', options, async (records) =>
      this.kind === 'purchase' ? null : records.findById('signups', this.signupId, options),
    );
  }
}
