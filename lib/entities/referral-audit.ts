import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { Actor } from '../types/audit';
import { bigintAsNumber } from './columns';
import { ReferralRecord } from './record';

/**
 * One change of terms, money, attribution or a payout address: what, by whom and why. Rows are inserted in the
 * transaction of the change, and are neither changed nor deleted.
 */
@Entity({ name: 'referral_audit' })
@Index('ix_referral_audit_subject', ['subject', 'subjectId', 'id'])
@Index('ix_referral_audit_user', ['userId', 'id'], { where: '(user_id IS NOT NULL)' })
@Index('ix_referral_audit_by', ['by', 'id'], { where: '(by IS NOT NULL)' })
@Index('ix_referral_audit_call', ['call', 'id'])
export class ReferralAudit extends ReferralRecord {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_audit',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The call that made the change, such as `programs.update`. */
  @Column({ name: 'call', type: 'varchar', length: lengths.name })
  readonly call!: string;

  /** What was changed, as error messages name it: `program`, `commission`, `account`, … */
  @Column({ name: 'subject', type: 'varchar', length: lengths.name })
  readonly subject!: string;

  /** Its id, as text. */
  @Column({ name: 'subject_id', type: 'varchar', length: lengths.id })
  readonly subjectId!: string;

  /** The user whose money, attribution or address it is; null if it is nobody's alone, such as a program. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly userId!: string | null;

  /** The changed fields before the change; null if the call has made something new. */
  @Column({ name: 'before', type: 'jsonb', nullable: true })
  readonly before!: Record<string, unknown> | null;

  /** The same fields after the change; null if the call has deleted it. */
  @Column({ name: 'after', type: 'jsonb', nullable: true })
  readonly after!: Record<string, unknown> | null;

  /** Who made the change: `staff`, the `user` (by the JSON API), or the `program` itself. */
  @Column({ name: 'actor', type: 'varchar', length: 8 })
  readonly actor!: Actor;

  /** The host's id of who did it; null if the call did not say, and for the program itself. */
  @Column({ name: 'by', type: 'varchar', length: lengths.id, nullable: true })
  readonly by!: string | null;

  /** Why; null if the call did not say. */
  @Column({ name: 'reason', type: 'varchar', length: lengths.description, nullable: true })
  readonly reason!: string | null;

  /** The host's id of the request that led to it; null if the call did not give one. */
  @Column({ name: 'request_id', type: 'varchar', length: lengths.reference, nullable: true })
  readonly requestId!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
