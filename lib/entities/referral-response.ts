import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { optionsOf } from '../input';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import { bigintAsNumber } from './columns';
import { registry } from './instance';
import { Referral } from './referral';

/** The action of a click. The host chooses the names of all other actions. */
export const RESPONDED = 'RESPONDED';

/** Something that a visitor did through a referral. A row changes only when its user becomes known. */
@Entity({ name: 'referral_responses' })
@Index('ix_referral_responses_newest', ['referralId', 'createdAt', 'id'])
@Index('ix_referral_responses_visitor_newest', ['visitorId', 'createdAt', 'id'], { where: '(user_id IS NULL)' })
@Index('ix_referral_responses_user_newest', ['userId', 'createdAt', 'id'], { where: '(user_id IS NOT NULL)' })
@Index('ix_referral_responses_user', ['userId', 'touchedAt', 'id'], { where: '(user_id IS NOT NULL)' })
@Index('ix_referral_responses_days', { synchronize: false }) // BRIN
@Index('ix_referral_responses_action', ['referralId', 'action', 'id'], {
  where: "((action)::text <> 'RESPONDED'::text)",
})
@Index('ix_referral_responses_target', ['referralId', 'targetType', 'targetId', 'id'], {
  where: '(target_type IS NOT NULL)',
})
export class ReferralResponse {
  @PrimaryColumn({
    name: 'referral_id',
    type: 'bigint',
    primaryKeyConstraintName: 'pk_referral_responses',
    transformer: bigintAsNumber,
  })
  readonly referralId!: number;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_responses',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** Only loaded if the host's query asks for the relation. No foreign key: the statement that inserts locks the referral. */
  @ManyToOne(() => Referral, { nullable: false, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'referral_id' })
  readonly referral?: Referral;

  /** The visitor's random id, from the signed cookie; null for a user who was signed in and carried no touch. */
  @Column({ name: 'visitor_id', type: 'uuid', nullable: true })
  visitorId!: string | null;

  /** The user's id in the host, as text; null until the visitor signs in. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id, nullable: true })
  userId!: string | null;

  /** The visitor's IP address, masked according to the option `ip`; null if it is not stored. */
  @Column({ name: 'ip_address', type: 'varchar', length: 45, nullable: true })
  ipAddress!: string | null;

  /** The `User-Agent` header, cut to 1,024 characters. */
  @Column({ name: 'user_agent', type: 'varchar', length: lengths.header, nullable: true })
  userAgent!: string | null;

  /** The `Referer` header, cut to 1,024 characters. */
  @Column({ name: 'http_referrer', type: 'varchar', length: lengths.header, nullable: true })
  httpReferrer!: string | null;

  /** `RESPONDED` for a click, otherwise the host's name of the action. */
  @Column({ name: 'action', type: 'varchar', length: lengths.action })
  action!: string;

  /** The type of what the action was about: an entity's name or the host's own word. Null with `targetId`. */
  @Column({ name: 'target_type', type: 'varchar', length: lengths.targetType, nullable: true })
  targetType!: string | null;

  /** The id of what the action was about, as text. Null with `targetType`. */
  @Column({ name: 'target_id', type: 'varchar', length: lengths.id, nullable: true })
  targetId!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /**
   * The time of the touch that this response counts under. For a click, and for a response by `referral.respond`, it is
   * the response's own time. For a response by `Referral.recordResponse`, it is the time of the touch that attributed
   * it. The attribution window starts here, so that later actions do not extend it.
   */
  @Column({ name: 'touched_at', type: 'timestamptz', default: () => 'now()' })
  readonly touchedAt!: Date;

  /** Whether it is the click by which its visitor was counted. */
  @Column({ name: 'is_new_visitor', type: 'boolean', default: false, select: false })
  readonly isNewVisitor!: boolean;

  /** Whether the daily counts include it, if it is a click. See the option `fraud.clicksOfVisitor`. */
  @Column({ name: 'is_counted', type: 'boolean', default: true, select: false })
  readonly isCounted!: boolean;

  /**
   * Loads the entity that the action was about. Null if there is no target, if the row is deleted, or if its type is no
   * entity.
   */
  async loadTarget<T extends object = object>(options: WithManager = {}): Promise<T | null> {
    const given = optionsOf('response.loadTarget', options);
    return registry
      .instanceOf(this, 'response.loadTarget', given)
      .referrals.loadTarget(this, given) as Promise<T | null>;
  }
}
