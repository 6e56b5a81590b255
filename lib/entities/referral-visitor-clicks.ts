import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from './columns';

/**
 * How often a visitor has clicked on a referral on one UTC day, while the option `fraud.clicksOfVisitor` is on. Rows of
 * earlier days are not read again.
 */
@Entity({ name: 'referral_visitor_clicks' })
export class ReferralVisitorClicks {
  @PrimaryColumn({
    name: 'referral_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_visitor_clicks',
    transformer: bigintAsNumber,
  })
  readonly referralId!: number;

  /** The visitor's random id; for a signed-in user, a hash of the user's id in the form of one. */
  @PrimaryColumn({ name: 'visitor', type: 'uuid', primaryKeyConstraintName: 'pk_referral_visitor_clicks' })
  readonly visitor!: string;

  /** The UTC day, `YYYY-MM-DD`. */
  @PrimaryColumn({ name: 'day', type: 'date', primaryKeyConstraintName: 'pk_referral_visitor_clicks' })
  readonly day!: string;

  /** All clicks, also those that the daily counts leave out. */
  @Column({ name: 'clicks', type: 'bigint', transformer: bigintAsNumber })
  readonly clicks!: number;
}
