import { Check, Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { AccountChanges, EarningMode } from '../types/earn-outs';
import { amountColumn, bigintAsNumber, finite } from './columns';
import { isRatedCommission, RatedCommissionColumns, ratedAmounts } from './commission-terms';
import { Referral } from './referral';

/** A user's own referral settings and counters. */
@Entity({ name: 'referral_accounts' })
@Index('ix_referral_accounts_id', ['id'])
@Index('ix_referral_accounts_referral', ['referralId'])
@Index('ix_referral_accounts_suspended', ['id'], { where: '(suspended_at IS NOT NULL)' })
@Index('ix_referral_accounts_payout_email', { synchronize: false }) // on lower(payout_email COLLATE "C")
@Index('ix_referral_accounts_address', { synchronize: false }) // the same, of all accounts
@Check('ck_referral_accounts_mode', `"mode" = 'credits' OR ("mode" = 'payout' AND "payout_email" IS NOT NULL)`)
@Check('ck_referral_accounts_counts', '"users_upgraded" BETWEEN 0 AND "users_referred"')
@Check('ck_referral_accounts_commission', isRatedCommission)
@Check(
  'ck_referral_accounts_suspended',
  '("suspended_at" IS NULL OR "suspensions" > 0) AND ("banned_at" IS NULL OR "suspended_at" IS NOT NULL)',
)
@Check('ck_referral_accounts_minimum', '"minimum" > 0')
@Check('ck_referral_accounts_finite', finite('credits_paid', 'payouts_paid', 'minimum', ...ratedAmounts))
export class ReferralAccount extends RatedCommissionColumns<AccountChanges> {
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

  /** What later commissions become: `credits` is credit to spend, `payout` is money that is paid out. */
  @Column({ name: 'mode', type: 'varchar', length: 8, default: 'credits' })
  readonly mode!: EarningMode;

  /** The e-mail address that payouts go to; never null in the mode `payout`. */
  @Column({ name: 'payout_email', type: 'varchar', length: lengths.email, nullable: true })
  readonly payoutEmail!: string | null;

  /** When another address took the place of an earlier one, or the address was removed; null if that never happened. */
  @Column({ name: 'payout_email_changed_at', type: 'timestamptz', nullable: true })
  readonly payoutEmailChangedAt!: Date | null;

  /** The least amount that is paid to this account, as a decimal string; null for the option `earnOuts.minimum`. */
  @Column({ name: 'minimum', ...amountColumn, nullable: true })
  readonly minimum!: string | null;

  /** Since when the account is suspended, or banned; null if it is neither. */
  @Column({ name: 'suspended_at', type: 'timestamptz', nullable: true })
  readonly suspendedAt!: Date | null;

  /** Since when the account is banned; null if it is not. */
  @Column({ name: 'banned_at', type: 'timestamptz', nullable: true })
  readonly bannedAt!: Date | null;

  /** How often the account was suspended so far, for `verify`. Not loaded. */
  @Column({ name: 'suspensions', type: 'integer', default: 0, select: false })
  readonly suspensions?: number;

  /**
   * The user's own referral, the first one to `baseUrl` that is neither expired nor a channel; null until `accounts.of` or
   * `accounts.create` is called for the user.
   */
  @Column({ name: 'referral_id', type: 'bigint', nullable: true, transformer: bigintAsNumber })
  readonly referralId!: number | null;

  /** Why payouts are held: `review:<id>` for each review. Not loaded. */
  @Column({ name: 'held_for', type: 'text', array: true, default: () => "'{}'", select: false })
  readonly heldFor?: readonly string[];

  /** How many users signed up or bought through this user. */
  @Column({ name: 'users_referred', type: 'integer', default: 0 })
  readonly usersReferred!: number;

  /** How many of those users have a purchase that was credited to this user. A refund does not lower it. */
  @Column({ name: 'users_upgraded', type: 'integer', default: 0 })
  readonly usersUpgraded!: number;

  /**
   * What earn-outs have paid of commissions of the mode `credits`, net of refunds, as a decimal string. Includes
   * earn-outs in progress.
   */
  @Column({ name: 'credits_paid', ...amountColumn, precision: 28, default: 0 })
  readonly creditsPaid!: string;

  /** The same for commissions of the mode `payout`. */
  @Column({ name: 'payouts_paid', ...amountColumn, precision: 28, default: 0 })
  readonly payoutsPaid!: string;

  /** How many earn-outs the user has had, failed ones included. */
  @Column({ name: 'earn_outs', type: 'integer', default: 0 })
  readonly earnOutCount!: number;

  /** The start of the first earn-out period; each has the length of the option `earnOuts.every`. */
  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** When the settings were last changed. */
  @Column({ name: 'updated_at', type: 'timestamptz', default: () => 'now()' })
  readonly updatedAt!: Date;

  /** Only loaded if the host's query asks for the relation. */
  @ManyToOne(() => Referral)
  @JoinColumn({ name: 'referral_id', foreignKeyConstraintName: 'fk_referral_accounts_referral' })
  readonly referral?: Referral | null;
}
