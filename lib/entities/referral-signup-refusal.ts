import { Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { SignupRefusal, Weighed } from '../types/signups';

/** Why the newest `Referral.recordSignup` of a user made no sign-up. At most one row for each user. */
@Entity({ name: 'referral_signup_refusals' })
export class ReferralSignupRefusal {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_signup_refusals',
  })
  readonly userId!: string;

  @Column({ name: 'reason', type: 'varchar', length: 32 })
  readonly reason!: Exclude<SignupRefusal, 'already-signed-up'>;

  /** The referrals that were considered, and the rule. */
  @Column({ name: 'weighed', type: 'jsonb' })
  readonly weighed!: Weighed;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
