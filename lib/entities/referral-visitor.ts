import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';

/** The user that a visitor id belongs to: the first who signed in or signed up with it, for good. */
@Entity({ name: 'referral_visitors' })
export class ReferralVisitor {
  /** The visitor's random id, from the signed cookie. */
  @PrimaryColumn({ name: 'visitor_id', type: 'uuid', primaryKeyConstraintName: 'pk_referral_visitors' })
  readonly visitorId!: string;

  /** The user's id in the host, as text. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id })
  readonly userId!: string;
}
