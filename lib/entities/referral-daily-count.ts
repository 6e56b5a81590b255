import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from './columns';
import { Referral } from './referral';

/** How many clicks and new visitors a referral had on one UTC day. The statement that inserts the clicks also updates the counts. */
@Entity({ name: 'referral_daily_counts' })
@Index('ix_referral_daily_counts_days', { synchronize: false }) // BRIN
export class ReferralDailyCount {
  @PrimaryColumn({
    name: 'referral_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_daily_counts',
    transformer: bigintAsNumber,
  })
  readonly referralId!: number;

  /** The UTC day, `YYYY-MM-DD`. */
  @PrimaryColumn({ name: 'day', type: 'date', primaryKeyConstraintName: 'pk_referral_daily_counts' })
  readonly day!: string;

  @Column({ name: 'clicks', type: 'bigint', transformer: bigintAsNumber })
  readonly clicks!: number;

  /** How many of the clicks were the first of their visitor, as `referral.responseCount({ distinct: true })` counts. */
  @Column({ name: 'visitors', type: 'bigint', default: 0, transformer: bigintAsNumber })
  readonly visitors!: number;

  /** Only loaded if the host's query asks for the relation. No foreign key: the statement that inserts locks the referral. */
  @ManyToOne(() => Referral, { nullable: false, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'referral_id' })
  readonly referral?: Referral;
}
