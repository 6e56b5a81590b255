import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';

/**
 * A code of a referral: the one that it has, and each that it once had. Rows are only ever added: so a code leads to one
 * referral for good, also after a change of the code, and nobody else can take it, also after the deletion of the
 * referral.
 */
@Entity({ name: 'referral_aliases' })
export class ReferralAlias {
  /** The code in lower case. */
  @PrimaryColumn({
    name: 'code',
    type: 'varchar',
    length: lengths.code,
    primaryKeyConstraintName: 'pk_referral_aliases',
  })
  readonly code!: string;

  /** The id of the referral. It has no foreign key, because the row outlives the referral. */
  @Column({ name: 'referral_id', type: 'bigint', transformer: bigintAsNumber })
  readonly referralId!: number;
}
