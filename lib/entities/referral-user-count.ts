import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';

/**
 * Counts those rows of a user that nothing else counts, so that `verify` notices if one is deleted. A user without such
 * rows has no counts.
 */
@Entity({ name: 'referral_user_counts' })
@Check('ck_referral_user_counts_finite', finite('granted', 'uncounted_usage'))
export class ReferralUserCount {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_user_counts',
  })
  readonly userId!: string;

  /** How many credits `credits.create` has given the user. */
  @Column({ name: 'grants', type: 'integer', default: 0 })
  readonly grants!: number;

  /** The sum of the opening balances of these credits, as a decimal string. */
  @Column({ name: 'granted', ...amountColumn, precision: 28, default: 0 })
  readonly granted!: string;

  /** How many spends and holds covered nothing, and so have no ledger entry. */
  @Column({ name: 'empty_spends', type: 'integer', default: 0 })
  readonly emptySpends!: number;

  /** How many usages count for no sign-up. */
  @Column({ name: 'uncounted_usages', type: 'integer', default: 0 })
  readonly uncountedUsages!: number;

  /** The sum of their amounts, as a decimal string. */
  @Column({ name: 'uncounted_usage', ...amountColumn, precision: 28, default: 0 })
  readonly uncountedUsage!: string;
}
