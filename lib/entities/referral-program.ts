import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { ProgramChanges } from '../types/signups';
import { bigintAsNumber, finite } from './columns';
import { isRatedCommission } from './commission-terms';
import { related } from './record';
import type { ReferralCode } from './referral-code';
import { ReferralCreditType } from './referral-credit-type';
import { ReferralTerms, rewardLimitIsWhole, termAmounts } from './terms';

/** SQL of a CHECK constraint: a credit has an amount, a duration and a type, or none of these. */
const isWhole = (side: string): string =>
  `num_nonnulls("${side}_amount", "${side}_duration", "${side}_type_id") IN (0, 3)
  AND "${side}_amount" > 0 AND "${side}_duration" > 0`;

/**
 * Terms that many referrals share. A change applies to later sign-ups only: each sign-up stores a copy of the terms.
 */
@Entity({ name: 'referral_programs' })
@Index('uq_referral_programs_name', ['name'], { unique: true })
@Check('ck_referral_programs_threshold', '"before_reward_usage_threshold" >= 0')
@Check('ck_referral_programs_reward_limit', rewardLimitIsWhole)
@Check('ck_referral_programs_referral_credit', isWhole('referral_credit'))
@Check('ck_referral_programs_reward_credit', isWhole('reward_credit'))
@Check('ck_referral_programs_commission', isRatedCommission)
@Check('ck_referral_programs_finite', finite(...termAmounts))
export class ReferralProgram extends ReferralTerms<ProgramChanges> {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_programs',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** Unique. */
  @Column({ name: 'name', type: 'varchar', length: lengths.name })
  readonly name!: string;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditType)
  @JoinColumn({ name: 'referral_credit_type_id', foreignKeyConstraintName: 'fk_referral_programs_referral_type' })
  readonly referralType?: ReferralCreditType | null;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralCreditType)
  @JoinColumn({ name: 'reward_credit_type_id', foreignKeyConstraintName: 'fk_referral_programs_reward_type' })
  readonly rewardType?: ReferralCreditType | null;

  /** The type of the referee's credit. */
  async referralCreditType(options: WithManager = {}): Promise<ReferralCreditType | null> {
    return related(this, 'referralCreditType', options, (records) =>
      records.findById('creditTypes', this.referralCreditTypeId, options),
    );
  }

  /** The type of the referrer's reward credit. */
  async rewardCreditType(options: WithManager = {}): Promise<ReferralCreditType | null> {
    return related(this, 'rewardCreditType', options, (records) =>
      records.findById('creditTypes', this.rewardCreditTypeId, options),
    );
  }

  /** The referrals that have this program, oldest first. */
  async referralCodes(options: WithManager = {}): Promise<ReferralCode[]> {
    return related(this, 'referralCodes', options, (records) =>
      records.find('referralCodes', { programId: this.id }, options),
    );
  }
}
