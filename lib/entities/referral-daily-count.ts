import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from './columns';
import { Referral } from './referral';

/** How many clicks a referral had on one UTC day; written with the clicks, in the same statement. */
@Entity({ name: 'referral_daily_counts' })
export class ReferralDailyCount {
  @PrimaryColumn({
    name: 'referral_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_daily_counts',
    transformer: bigintAsNumber,
  })
  readonly referralId!: number;

  /** The day in UTC, `YYYY-MM-DD`. */
  @PrimaryColumn({ name: 'day', type: 'date', primaryKeyConstraintName: 'pk_referral_daily_counts' })
  readonly day!: string;

  @Column({ name: 'clicks', type: 'bigint', transformer: bigintAsNumber })
  readonly clicks!: number;

  @ManyToOne(() => Referral, { nullable: false, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_daily_counts_referral' })
  readonly referral?: Referral;
}
