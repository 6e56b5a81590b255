import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { AccountChanges, EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber } from './columns';
import { ReferralRecord } from './record';
import { Referral } from './referral';

/** A user's own referral settings, and what is counted of it for all time. */
@Entity({ name: 'referral_accounts' })
@Index('ix_referral_accounts_id', ['id'])
@Index('ix_referral_accounts_referral', ['referralId'])
@Check('ck_referral_accounts_mode', `"mode" = 'credits' OR ("mode" = 'payout' AND "payout_email" IS NOT NULL)`)
@Check('ck_referral_accounts_counts', '"users_upgraded" BETWEEN 0 AND "users_referred"')
export class ReferralAccount extends ReferralRecord<AccountChanges> {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_accounts',
  })
  readonly userId!: string;

  @Column({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** What commissions from now on become: `credits`, to spend, or `payout`. */
  @Column({ name: 'mode', type: 'varchar', length: 8, default: 'credits' })
  readonly mode!: EarningMode;

  /** Where payouts go; never null in the mode `payout`. */
  @Column({ name: 'payout_email', type: 'varchar', length: lengths.email, nullable: true })
  readonly payoutEmail!: string | null;

  /** The user's own referral; null until the account is first asked for. */
  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** How many users signed up or bought through the user. */
  @Column({ name: 'users_referred', type: 'integer', default: 0 })
  readonly usersReferred!: number;

  /** How many of those have paid. */
  @Column({ name: 'users_upgraded', type: 'integer', default: 0 })
  readonly usersUpgraded!: number;

  /** What earn-outs have turned into credit, or are about to, as a decimal string. */
  @Column({ name: 'credits_paid', ...amountColumn, precision: 28, default: 0 })
  readonly creditsPaid!: string;

  /** What earn-outs have paid out, or are about to, as a decimal string. */
  @Column({ name: 'payouts_paid', ...amountColumn, precision: 28, default: 0 })
  readonly payoutsPaid!: string;

  /** Earn-outs are due in steps of the option `earnOuts.every` from here. */
  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** When the settings were last changed. */
  @Column({ name: 'updated_at', type: 'timestamptz', default: () => 'now()' })
  readonly updatedAt!: Date;

  /** Only loaded where the host asks for the relation. */
  @ManyToOne(() => Referral)
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_accounts_referral' })
  readonly referral?: Referral | null;
}
