import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { NoCommission } from '../types/commissions';
import type { WithManager } from '../types/common';
import type { NoReward, Weighed } from '../types/signups';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { isRatedCommission } from './commission-terms';
import { related } from './record';
import { Referral } from './referral';
import type { ReferralCode } from './referral-code';
import type { ReferralCredit } from './referral-credit';
import { ReferralCreditType } from './referral-credit-type';
import { ReferralProgram } from './referral-program';
import { ReferralTerms, rewardLimitIsWhole, termAmounts } from './terms';

/**
 * Binds a referee to one referral, with a copy of the program's terms at that time: for good, unless staff change it with
 * `signups.reassign`.
 */
@Entity({ name: 'referral_signups' })
@Index('ix_referral_signups_id', ['id'])
@Index('ix_referral_signups_referral', ['referralId', 'id'])
@Index('ix_referral_signups_referrer', ['referrerId', 'id'], { where: '(referrer_id IS NOT NULL)' })
@Index('ix_referral_signups_referrer_day', ['referrerId', 'createdAt'], { where: '(referrer_id IS NOT NULL)' })
@Index('ix_referral_signups_address', ['referralId', 'ipAddress', 'createdAt'], { where: '(ip_address IS NOT NULL)' })
@Check('ck_referral_signups_reward_limit', rewardLimitIsWhole)
@Check('ck_referral_signups_commission', isRatedCommission)
@Check('ck_referral_signups_finite', finite(...termAmounts, 'recorded_usage'))
export class ReferralSignup extends ReferralTerms {
  /** The referee's id in the host, as text. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_signups',
  })
  readonly userId!: string;

  @Column({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The referral; null if staff have decided that nobody referred the user. */
  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** The id of the referral's owner at that time; null for a referral of the site itself. */
  @Column({ name: 'referrer_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly referrerId!: string | null;

  /** The program whose terms were copied; null if there was none. */
  @Column({ name: 'program_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly programId!: number | null;

  /** The sum of the usage that was recorded since the sign-up, as a decimal string. */
  @Column({ name: 'recorded_usage', ...amountColumn, precision: 28, default: 0 })
  readonly recordedUsage!: string;

  /** How many usages are counted in it, for `verify`. Not loaded. */
  @Column({ name: 'usages', type: 'integer', default: 0, select: false })
  readonly usages?: number;

  /** Why the credits that it would grant wait: `review:<id>` for each review. Not loaded. */
  @Column({ name: 'held_for', type: 'text', array: true, default: () => "'{}'", select: false })
  readonly heldFor?: readonly string[];

  /**
   * The address of the request, as the option `ip` stores it. Kept only while a rule of the option `fraud` compares it. Not
   * loaded.
   */
  @Column({ name: 'ip_address', type: 'varchar', length: 45, nullable: true, select: false })
  readonly ipAddress?: string | null;

  /** The `User-Agent` header of the request. Like {@link ipAddress}. */
  @Column({ name: 'user_agent', type: 'varchar', length: lengths.header, nullable: true, select: false })
  readonly userAgent?: string | null;

  /** When the usage first reached the threshold, so that the referrer's reward became due; null before. */
  @Column({ name: 'threshold_reached_at', type: 'timestamptz', nullable: true })
  readonly thresholdReachedAt!: Date | null;

  /**
   * Why the referrer gets no reward, now or later; null otherwise. `suspended`: the account of the referrer was suspended when
   * the reward became due. `limit-reached`: the `rewardLimit` was reached.
   */
  @Column({ name: 'no_reward', type: 'varchar', length: 16, nullable: true })
  readonly noReward!: NoReward | null;

  /** Whether it has granted a reward before staff gave it another referrer, so that it grants none again. Not loaded. */
  @Column({ name: 'was_rewarded', type: 'boolean', default: false, select: false })
  readonly wasRewarded?: boolean;

  /** `code`: the user typed the code. `attribution`: the visitor came through the link. */
  @Column({ name: 'source', type: 'varchar', length: 16 })
  readonly source!: 'code' | 'attribution';

  /** The time at which the visitor came through the link; null for a typed code. */
  @Column({ name: 'touched_at', type: 'timestamptz', nullable: true })
  readonly touchedAt!: Date | null;

  /** Whether referrer and referee are the same person. Only set with the option `selfReferral: 'flag'`. */
  @Column({ name: 'is_self_referral', type: 'boolean', default: false })
  readonly isSelfReferral!: boolean;

  /**
   * When it was decided what the sign-up itself earns the referrer: at the sign-up, or by `referrals.qualify`; null before.
   */
  @Column({ name: 'qualified_at', type: 'timestamptz', nullable: true })
  readonly qualifiedAt!: Date | null;

  /** The `reference` of that call; `''` if it was decided at the sign-up, and null before. */
  @Column({ name: 'qualification', type: 'varchar', length: lengths.reference, nullable: true })
  readonly qualification!: string | null;

  /** Why the sign-up itself earned no commission; null if it earned one, and before that is decided. */
  @Column({ name: 'no_commission', type: 'varchar', length: 16, nullable: true })
  readonly noCommission!: NoCommission | null;

  /** The referrals that were considered, the rule and the choice. */
  @Column({ name: 'weighed', type: 'jsonb' })
  readonly weighed!: Weighed;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => Referral)
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_signups_referral' })
  readonly referral?: Referral | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralProgram)
  @JoinColumn({ name: 'program_id', foreignKeyConstraintName: 'fk_referral_signups_program' })
  readonly termsOf?: ReferralProgram | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditType)
  @JoinColumn({ name: 'referral_credit_type_id', foreignKeyConstraintName: 'fk_referral_signups_referral_type' })
  readonly referralType?: ReferralCreditType | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditType)
  @JoinColumn({ name: 'reward_credit_type_id', foreignKeyConstraintName: 'fk_referral_signups_reward_type' })
  readonly rewardType?: ReferralCreditType | null;

  /** The referral code that the user signed up with, or that staff have assigned; null if nobody referred the user. */
  async referralCode(options: WithManager = {}): Promise<ReferralCode | null> {
    return related(this, 'referralCode', options, (records) =>
      records.findById('referralCodes', this.referralId, options),
    );
  }

  /** The referral codes that the referee owns, oldest first. */
  async ownReferralCodes(options: WithManager = {}): Promise<ReferralCode[]> {
    return related(this, 'ownReferralCodes', options, (records) =>
      records.find('referralCodes', { userId: this.userId }, options),
    );
  }

  /** The credits that referee and referrer got for this sign-up, oldest first. */
  async credits(options: WithManager = {}): Promise<ReferralCredit[]> {
    return related(this, 'credits', options, (records) => records.find('credits', { refereeId: this.userId }, options));
  }
}
