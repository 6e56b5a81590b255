import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { bigintAsNumber } from './columns';

/** Which days of a referrer are closed: what was counted on them is summed, and does not change any more. */
@Entity({ name: 'referral_closed_days' })
export class ReferralClosedDays {
  /** The referrer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_closed_days',
  })
  readonly userId!: string;

  /** The UTC days before this one are closed; null if none are. What is summed of later days, or with null, is left over. */
  @Column({ name: 'until', type: 'date', nullable: true })
  readonly until!: string | null;

  /** Up to which day the next ones are to be closed, once all transactions with an id below `closingXid` have ended. */
  @Column({ name: 'closing_until', type: 'date', nullable: true })
  readonly closingUntil!: string | null;

  /** The id of the transaction that decided that. */
  @Column({ name: 'closing_xid', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly closingXid!: number | null;
}
