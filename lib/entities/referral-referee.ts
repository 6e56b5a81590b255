import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';

/**
 * A pair of referrer and referee: the referee signed up or bought through the referrer. There is one row for each pair.
 */
@Entity({ name: 'referral_referees' })
@Index('ix_referral_referees_newest', ['userId', 'createdAt'])
@Index('ix_referral_referees_upgraded', ['userId', 'upgradedAt'], { where: '(upgraded_at IS NOT NULL)' })
@Check('ck_referral_referees_earned', '"earned" >= 0')
@Check('ck_referral_referees_finite', finite('earned'))
export class ReferralReferee {
  /** The referrer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_referees',
  })
  readonly userId!: string;

  /** The referee. */
  @PrimaryColumn({
    name: 'referee_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_referees',
  })
  readonly refereeId!: string;

  /** What inserted the row: the sign-up of the referee, or a purchase. */
  @Column({ name: 'met_by', type: 'varchar', length: 8, default: 'sign-up' })
  readonly metBy!: 'sign-up' | 'purchase';

  /** What the referee has earned the referrer, net of refunds, as a decimal string. */
  @Column({ name: 'earned', ...amountColumn, precision: 28, default: 0 })
  readonly earned!: string;

  /** Why what the referee earns the referrer is held: `review:<id>` for each review. Empty if it is not. */
  @Column({ name: 'held_for', type: 'text', array: true, default: () => "'{}'" })
  readonly heldFor!: readonly string[];

  /** When the referee first paid for something through this referrer; null before. */
  @Column({ name: 'upgraded_at', type: 'timestamptz', nullable: true })
  readonly upgradedAt!: Date | null;

  /** How many purchases above 0 were credited to this referrer. A refund does not lower it. */
  @Column({ name: 'purchases', type: 'integer', default: 0 })
  readonly purchases!: number;

  /** The time of the earliest of them; null if there is none. The months of commission terms count from it. */
  @Column({ name: 'first_purchase_at', type: 'timestamptz', nullable: true })
  readonly firstPurchaseAt!: Date | null;

  /** When another pair was added to this one, because two users were merged; null if none was. */
  @Column({ name: 'merged_at', type: 'timestamptz', nullable: true })
  readonly mergedAt!: Date | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
