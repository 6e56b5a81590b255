import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, bigintAsNumber, finite } from './columns';

/**
 * What was counted for a referrer on one UTC day that is over: the sums of what other tables hold, so that a page need not read
 * it all. They count for the days before `until` of {@link ReferralClosedDays}.
 */
@Entity({ name: 'referral_user_days' })
@Check('ck_referral_user_days_finite', finite('earned'))
export class ReferralUserDay {
  /** The referrer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_user_days',
  })
  readonly userId!: string;

  /** The UTC day, `YYYY-MM-DD`. */
  @PrimaryColumn({ name: 'day', type: 'date', primaryKeyConstraintName: 'pk_referral_user_days' })
  readonly day!: string;

  /** Clicks on the referrer's links. */
  @Column({ name: 'clicks', type: 'bigint', default: 0, transformer: bigintAsNumber })
  readonly clicks!: number;

  /** How many of the clicks were the first of their visitor on the link. */
  @Column({ name: 'visitors', type: 'bigint', default: 0, transformer: bigintAsNumber })
  readonly visitors!: number;

  @Column({ name: 'signups', type: 'integer', default: 0 })
  readonly signups!: number;

  /** How many referees paid for something for the first time. */
  @Column({ name: 'customers', type: 'integer', default: 0 })
  readonly customers!: number;

  /** Commissions, their entries, adjustments and rewards, as a decimal string. */
  @Column({ name: 'earned', ...amountColumn, precision: 28, default: 0 })
  readonly earned!: string;
}
