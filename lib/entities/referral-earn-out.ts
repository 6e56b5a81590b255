import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { EarningMode, EarnOutStatus } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralCommission } from './referral-commission';

/** A payment of a user's available commissions, as money or as credit. */
@Entity({ name: 'referral_earn_outs' })
@Index('ix_referral_earn_outs_id', ['id'])
@Index('uq_referral_earn_outs_processing', ['mode', 'userId'], {
  unique: true,
  where: "((status)::text = 'processing'::text)",
})
@Index('uq_referral_earn_outs_key', ['idempotencyKey'], { unique: true })
@Index('ix_referral_earn_outs_reference', ['reference'], { where: '(reference IS NOT NULL)' })
@Index('ix_referral_earn_outs_status', ['status', 'id'])
@Index('ix_referral_earn_outs_next_attempt', ['nextAttemptAt', 'userId', 'id'], {
  where: "(((status)::text = 'processing'::text) AND (next_attempt_at IS NOT NULL))",
})
@Index('ix_referral_earn_outs_refused', ['userId', 'mode', 'id'], { where: '(refused_at IS NOT NULL)' })
@Index('ix_referral_earn_outs_approval', ['id'], { where: 'awaits_approval' })
@Check(
  'ck_referral_earn_outs_approval',
  `NOT "awaits_approval" OR ("mode" = 'payout' AND "status" = 'processing' AND "next_attempt_at" IS NULL
    AND "attempts" = 0 AND "claimed_by" IS NULL AND "submitted_at" IS NULL)`,
)
@Check('ck_referral_earn_outs_mode', `"mode" IN ('credits', 'payout')`)
@Check('ck_referral_earn_outs_amount', '"amount" > 0')
@Check('ck_referral_earn_outs_status', `"status" IN ('processing', 'completed', 'failed', 'returned')`)
@Check('ck_referral_earn_outs_settled', `("status" = 'processing') = ("settled_at" IS NULL)`)
@Check('ck_referral_earn_outs_claim', '("claimed_by" IS NULL) = ("claimed_until" IS NULL)')
@Check('ck_referral_earn_outs_finite', finite('amount'))
export class ReferralEarnOut extends ReferralRecord {
  /** The referrer, who is paid. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_earn_outs',
  })
  readonly userId!: string;

  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_earn_outs',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** `credits`: as credit to spend. `payout`: as money, by the option `earnOuts.payout`. */
  @Column({ name: 'mode', type: 'varchar', length: 8 })
  readonly mode!: EarningMode;

  /** The e-mail address that the payout goes to; null in the mode `credits`. */
  @Column({ name: 'payout_email', type: 'varchar', length: lengths.email, nullable: true })
  readonly payoutEmail!: string | null;

  /** The sum of the commissions, net of refunds, as a decimal string. */
  @Column({ name: 'amount', ...amountColumn, precision: 28 })
  readonly amount!: string;

  /** How many commissions it includes. */
  @Column({ name: 'commissions', type: 'integer' })
  readonly commissionCount!: number;

  /**
   * `processing` until it is known whether the user was paid. Then `completed`: paid. `failed`: surely not paid.
   * `returned`: paid, and the money came back. The amount of a failed or returned earn-out goes into the next one.
   */
  @Column({ name: 'status', type: 'varchar', length: 16, default: 'processing' })
  readonly status!: EarnOutStatus;

  /** Why it failed or was returned; null if it was not. */
  @Column({ name: 'error_reason', type: 'varchar', length: lengths.description, nullable: true })
  readonly errorReason!: string | null;

  /**
   * The idempotency key for the payment provider: a UUID, derived from the user, the mode, the refused attempt before it,
   * and the purchases and refunds that it includes. So it is the same each time that this earn-out is tried, and also
   * for the same amounts after the database was restored from a backup.
   */
  @Column({ name: 'idempotency_key', type: 'varchar', length: lengths.idempotencyKey })
  readonly idempotencyKey!: string;

  /** The provider's reference of the payment; null if it is not known, and in the mode `credits`. */
  @Column({ name: 'reference', type: 'varchar', length: lengths.reference, nullable: true })
  readonly reference!: string | null;

  /** Whether it waits for `earnOuts.approve`: the option `earnOuts.payout` is not called for it until then. */
  @Column({ name: 'awaits_approval', type: 'boolean', default: false })
  readonly awaitsApproval!: boolean;

  /** How often the option `earnOuts.payout` was called for it since it was created, or since `earnOuts.retry`. */
  @Column({ name: 'attempts', type: 'integer', default: 0 })
  readonly attempts!: number;

  /** Which process is calling the option `earnOuts.payout`, as `host/process id/number`; null if none is. */
  @Column({ name: 'claimed_by', type: 'varchar', length: 128, nullable: true })
  readonly claimedBy!: string | null;

  /** Until then no other process calls it, unless the claim is given up before. */
  @Column({ name: 'claimed_until', type: 'timestamptz', nullable: true })
  readonly claimedUntil!: Date | null;

  /**
   * In progress: when the provider is asked again; null if it waits for `earnOuts.settle`, `earnOuts.retry` or `earnOuts.approve`. Failed or
   * returned: when the user is paid again at the earliest; null if that waits for `earnOuts.retry`. Otherwise null.
   */
  @Column({ name: 'next_attempt_at', type: 'timestamptz', nullable: true })
  readonly nextAttemptAt!: Date | null;

  /** When the provider accepted the payment without completing it; null if it did not. */
  @Column({ name: 'submitted_at', type: 'timestamptz', nullable: true })
  readonly submittedAt!: Date | null;

  /** When it was paid, failed or returned; null if it is in progress. */
  @Column({ name: 'settled_at', type: 'timestamptz', nullable: true })
  readonly settledAt!: Date | null;

  /**
   * When it was last refused or returned, or when `earnOuts.reconcile` booked it; otherwise null. Stays set if it was
   * paid after all.
   */
  @Column({ name: 'refused_at', type: 'timestamptz', nullable: true })
  readonly refusedAt!: Date | null;

  /**
   * Its number among the refused or returned earn-outs in a row, since one was completed, or since `earnOuts.retry` or a
   * new payout address ended the waiting; 0 if it was not refused.
   */
  @Column({ name: 'refusals', type: 'integer', default: 0 })
  readonly refusals!: number;

  /** How often it was completed: again, if it was paid after all. It proves that one in progress was not set back. */
  @Column({ name: 'completions', type: 'integer', default: 0, select: false })
  readonly completions!: number;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz', default: () => 'now()' })
  readonly updatedAt!: Date;

  /** The commissions that it pays, oldest first; none if it failed or was returned. */
  async commissions(options: WithManager = {}): Promise<ReferralCommission[]> {
    return related(this, 'commissions', options, (records) =>
      records.find('commissions', { userId: this.userId, earnOutId: this.id }, options),
    );
  }
}
