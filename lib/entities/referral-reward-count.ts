import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';
import { ReferralProgram } from './referral-program';

/** How many rewards a referrer has got under a program in a period of its `rewardLimit`. The row lock makes the limit exact. */
@Entity({ name: 'referral_reward_counts' })
export class ReferralRewardCount {
  /** The referrer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_reward_counts',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'program_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_reward_counts',
    transformer: bigintAsNumber,
  })
  readonly programId!: number;

  /** The calendar period in UTC, as in `'2026-07'`, `'2026-Q3'` or `'2026'`; `'all'` for all time. */
  @PrimaryColumn({
    name: 'period',
    type: 'varchar',
    length: 8,
    primaryKeyConstraintName: 'pk_referral_reward_counts',
  })
  readonly period!: string;

  @Column({ name: 'rewards', type: 'integer' })
  readonly rewards!: number;

  /** How many of them are of sign-ups that were reassigned, or dropped by a merge: they have left their reward to the referrer. */
  @Column({ name: 'departed', type: 'integer', default: 0 })
  readonly departed!: number;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => ReferralProgram, { nullable: false })
  @JoinColumn({ name: 'program_id', foreignKeyConstraintName: 'fk_referral_reward_counts_program' })
  readonly program?: ReferralProgram;
}
