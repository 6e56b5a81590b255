import { Check, Column, Entity, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import { amountColumn, finite } from './columns';

/**
 * What a referrer has earned in a period under terms with a limit for it. Its row is locked by what is earned there, so that the
 * limit is exact. The CHECK constraint on `earned` refuses a commission for which other buyers have left no room.
 */
@Entity({ name: 'referral_referrer_periods' })
@Check('ck_referral_referrer_periods_earned', '"earned" >= 0')
@Check('ck_referral_referrer_periods_finite', finite('earned'))
export class ReferralReferrerPeriod {
  /** The referrer. */
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: lengths.id,
    primaryKeyConstraintName: 'pk_referral_referrer_periods',
  })
  readonly userId!: string;

  /** The period in UTC: `2026-11`, `2026-Q4`, `2026` or `all`. */
  @PrimaryColumn({
    name: 'period',
    type: 'varchar',
    length: 8,
    primaryKeyConstraintName: 'pk_referral_referrer_periods',
  })
  readonly period!: string;

  /** The sum of the commissions that count there, net of refunds, as a decimal string. */
  @Column({ name: 'earned', ...amountColumn, precision: 28, default: 0 })
  readonly earned!: string;
}
