import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralCommission } from './referral-commission';

/** A payment of a user's available commissions, as money or as credit. */
@Entity({ name: 'referral_earn_outs' })
@Index('ix_referral_earn_outs_id', ['id'])
@Index('uq_referral_earn_outs_processing', ['mode', 'userId'], {
  unique: true,
  where: "((status)::text = 'processing'::text)",
})
@Index('uq_referral_earn_outs_key', ['userId', 'idempotencyKey'], { unique: true })
@Check('ck_referral_earn_outs_mode', `"mode" IN ('credits', 'payout')`)
@Check('ck_referral_earn_outs_amount', '"amount" > 0')
@Check('ck_referral_earn_outs_status', `"status" IN ('processing', 'completed', 'failed')`)
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

  /** `processing` until it is paid (`completed`) or not (`failed`). */
  @Column({ name: 'status', type: 'varchar', length: 16, default: 'processing' })
  readonly status!: 'processing' | 'completed' | 'failed';

  /** Why it failed; null if it did not. The commissions of a failed earn-out go into the next one. */
  @Column({ name: 'error_reason', type: 'varchar', length: lengths.description, nullable: true })
  readonly errorReason!: string | null;

  /** The idempotency key for the payment provider. It is the same each time that this earn-out is tried. */
  @Column({ name: 'idempotency_key', type: 'varchar', length: 36 })
  readonly idempotencyKey!: string;

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz', default: () => 'now()' })
  readonly updatedAt!: Date;

  /** The commissions that it pays, oldest first; none if it failed. */
  async commissions(options: WithManager = {}): Promise<ReferralCommission[]> {
    return related(this, 'commissions', options, (records) =>
      records.find('commissions', { userId: this.userId, earnOutId: this.id }, options),
    );
  }
}
