import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { ReviewRule, ReviewStatus } from '../types/reviews';
import { bigintAsNumber } from './columns';
import { ReferralRecord } from './record';

/** What a rule of the option `fraud` has flagged, once for each subject and rule, and what staff decided. */
@Entity({ name: 'referral_reviews' })
@Index('uq_referral_reviews_subject', ['subject', 'rule'], { unique: true })
@Index('ix_referral_reviews_open', ['id'], { where: "((status)::text = 'open'::text)" })
@Index('ix_referral_reviews_user', ['userId', 'id'], { where: '(user_id IS NOT NULL)' })
@Index('ix_referral_reviews_referee', ['refereeId', 'id'], { where: '(referee_id IS NOT NULL)' })
@Index('ix_referral_reviews_referral', ['referralId', 'id'], { where: '(referral_id IS NOT NULL)' })
@Check('ck_referral_reviews_status', `"status" IN ('open', 'allowed', 'refused')`)
@Check('ck_referral_reviews_decided', `("status" = 'open') = ("decided_at" IS NULL)`)
export class ReferralReview extends ReferralRecord {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_reviews',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** The rule of the option `fraud`. */
  @Column({ name: 'rule', type: 'varchar', length: 32 })
  readonly rule!: ReviewRule;

  /** What it is about, as a key: an account, or a pair of referrer and referee. */
  @Column({ name: 'subject', type: 'text', select: false })
  readonly subject!: string;

  /** The referrer, or the owner of the account; null for a referral of the site itself. */
  @Column({ name: 'user_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly userId!: string | null;

  /** The referee; null if it is about an account. */
  @Column({ name: 'referee_id', type: 'varchar', length: lengths.id, nullable: true })
  readonly refereeId!: string | null;

  /** The referral of the sign-up; null if it is not about one. No foreign key: a review outlives it. */
  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** What the rule found: counts, times, masked addresses and user agents, the sentence of the host's rule. */
  @Column({ name: 'evidence', type: 'jsonb' })
  readonly evidence!: Readonly<Record<string, unknown>>;

  /** Whether what the subject earns and is granted is held, while the review is open and after a refusal. */
  @Column({ name: 'is_holding', type: 'boolean' })
  readonly isHolding!: boolean;

  @Column({ name: 'status', type: 'varchar', length: 8, default: 'open' })
  readonly status!: ReviewStatus;

  /** The host's id of who decided; null if the call did not say. */
  @Column({ name: 'decided_by', type: 'varchar', length: lengths.id, nullable: true })
  readonly decidedBy!: string | null;

  @Column({ name: 'decided_reason', type: 'varchar', length: lengths.description, nullable: true })
  readonly decidedReason!: string | null;

  /** Null while it is open. */
  @Column({ name: 'decided_at', type: 'timestamptz', nullable: true })
  readonly decidedAt!: Date | null;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;
}
