import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';

/** The clicks on a link on the days of its owner that are closed, like {@link ReferralUserDay} for all links together. */
@Entity({ name: 'referral_user_links' })
export class ReferralUserLink {
  /** The owner of the link. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_user_links',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'referral_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_user_links',
    transformer: bigintAsNumber,
  })
  readonly referralId!: number;

  @Column({ name: 'clicks', type: 'bigint', transformer: bigintAsNumber })
  readonly clicks!: number;

  @Column({ name: 'visitors', type: 'bigint', transformer: bigintAsNumber })
  readonly visitors!: number;
}
