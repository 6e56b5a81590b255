import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn } from './columns';

/** Usage that a user recorded, once for each reference of the host's. */
@Entity({ name: 'referral_usages' })
export class ReferralUsage {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_usages',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'reference',
    type: 'varchar',
    length: lengths.reference,
    primaryKeyConstraintName: 'pk_referral_usages',
  })
  readonly reference!: string;

  /** As a decimal string; below 0 for a correction. */
  @Column({ name: 'amount', ...amountColumn })
  readonly amount!: string;

  /** Whether it counts towards the reward of a referrer: the user had signed up with a code before. */
  @Column({ name: 'is_counted', type: 'boolean' })
  readonly isCounted!: boolean;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
