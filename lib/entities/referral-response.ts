import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import { bigintAsNumber } from './columns';
import { registry } from './instance';
import { Referral } from './referral';

/** The action of a click. Every other action is the host's word. */
export const RESPONDED = 'RESPONDED';

/** Something a visitor did through a referral; a click has the action `RESPONDED`. A row changes only to get its user. */
@Entity({ name: 'referral_responses' })
@Index('ix_referral_responses_visitor', ['visitorId'], { where: '(user_id IS NULL)' })
@Index('ix_referral_responses_user', ['userId', 'touchedAt', 'id'], { where: '(user_id IS NOT NULL)' })
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

  /** Only loaded where the host asks for the relation. */
  @ManyToOne(() => Referral, { nullable: false, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_responses_referral' })
  readonly referral?: Referral;

  /** The visitor: a random id that we made, from the signed cookie; null for a user who was signed in already. */
  @Column({ name: 'visitor_id', type: 'uuid', nullable: true })
  visitorId!: string | null;

  /** The visitor's user id in the host, once known, as text. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id, nullable: true })
  userId!: string | null;

  /** The visitor's address, masked by default (option `ip`). */
  @Column({ name: 'ip_address', type: 'varchar', length: 45, nullable: true })
  ipAddress!: string | null;

  /** The `User-Agent` header, cut to 1,024 characters. */
  @Column({ name: 'user_agent', type: 'varchar', length: lengths.header, nullable: true })
  userAgent!: string | null;

  /** The `Referer` header, cut to 1,024 characters. */
  @Column({ name: 'http_referrer', type: 'varchar', length: lengths.header, nullable: true })
  httpReferrer!: string | null;

  /** `RESPONDED` for a click, else the host's word. */
  @Column({ name: 'action', type: 'varchar', length: lengths.action })
  action!: string;

  /** What kind of thing the action was about. */
  @Column({ name: 'target_type', type: 'varchar', length: lengths.targetType, nullable: true })
  targetType!: string | null;

  /** The id of what the action was about, as text. */
  @Column({ name: 'target_id', type: 'varchar', length: lengths.id, nullable: true })
  targetId!: string | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /**
   * The touch that this response is attributed by: for a click, or a response recorded by `referral.respond`, its own
   * time; for one recorded by `Referral.recordResponse`, the time of the click before it. Attribution windows count
   * from here, so that a visitor's own actions never prolong them.
   */
  @Column({ name: 'touched_at', type: 'timestamptz', default: () => 'now()' })
  readonly touchedAt!: Date;

  /** The row that the action was about; null when there is no target, it is gone, or its type is no entity. */
  async loadTarget<T extends object = object>(options: WithManager = {}): Promise<T | null> {
    return registry
      .instanceOf(this, 'response.loadTarget', options)
      .referrals.loadTarget(this, options) as Promise<T | null>;
  }
}
