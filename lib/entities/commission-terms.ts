import { Column } from 'typeorm';
import type { LimitPeriod } from '../types/commissions';
import { amountColumn, ratioColumn } from './columns';
import { ReferralRecord } from './record';

/** The amounts of the terms that channels have too, by the names of their columns. */
export const commissionAmounts = ['commission_amount', 'commission_signup', 'commission_max_per_referrer'] as const;

/** The amounts and shares of all commission terms. */
export const ratedAmounts = ['commission_ratio', 'commission_max_per_referee', ...commissionAmounts] as const;

/** SQL of a CHECK constraint: what {@link CommissionColumns} hold are terms. */
export const isCommission = `"commission_amount" > 0 AND "commission_signup" >= 0 AND "commission_max_per_referrer" > 0
  AND "commission_months" BETWEEN 1 AND 1200 AND "commission_purchases" > 0
  AND ("commission_qualify" IS NULL OR "commission_signup" IS NOT NULL)
  AND ("commission_max_per_referrer" IS NULL) = ("commission_period" IS NULL)
  AND "commission_period" IN ('month', 'quarter', 'year', 'all')`;

/** The same of {@link RatedCommissionColumns}: what belongs to a ratio or an amount stands with one of them. */
export const isRatedCommission = `${isCommission}
  AND "commission_ratio" BETWEEN 0 AND 1 AND "commission_max_per_referee" > 0
  AND num_nonnulls("commission_ratio", "commission_amount") BETWEEN
    (num_nonnulls("commission_months", "commission_purchases", "commission_max_per_referee") > 0)::integer AND 1`;

/** The commission terms that programs, sign-ups, accounts and channels have. A null says nothing. */
export abstract class CommissionColumns<Changes extends object = object> extends ReferralRecord<Changes> {
  /** What each purchase above 0 earns the referrer, as a decimal string; null for a share of it. */
  @Column({ name: 'commission_amount', ...amountColumn, nullable: true })
  readonly commissionAmount!: string | null;

  /** For how many months from the referee's first purchase purchases earn; null for good. */
  @Column({ name: 'commission_months', type: 'integer', nullable: true })
  readonly commissionMonths!: number | null;

  /** For how many purchases of a referee; null for all. */
  @Column({ name: 'commission_purchases', type: 'integer', nullable: true })
  readonly commissionPurchases!: number | null;

  /** What a sign-up earns the referrer, as a decimal string; null for what a less particular place says. */
  @Column({ name: 'commission_signup', ...amountColumn, nullable: true })
  readonly commissionSignup!: string | null;

  /** Whether a sign-up earns only once `referrals.qualify` is called for the user; null where `commissionSignup` is. */
  @Column({ name: 'commission_qualify', type: 'boolean', nullable: true })
  readonly commissionQualify!: boolean | null;

  /** The most that the referrer can earn in a period, as a decimal string; null for what a less particular place says. */
  @Column({ name: 'commission_max_per_referrer', ...amountColumn, nullable: true })
  readonly commissionMaxPerReferrer!: string | null;

  /** The period of that limit. */
  @Column({ name: 'commission_period', type: 'varchar', length: 8, nullable: true })
  readonly commissionPeriod!: LimitPeriod | null;
}

/** All commission terms: those of a channel are its rates and its maximum instead of the two below. */
export abstract class RatedCommissionColumns<Changes extends object = object> extends CommissionColumns<Changes> {
  /** The share of referees' purchases that the referrer earns, from 0 to 1, as a decimal string; null without one. */
  @Column({ name: 'commission_ratio', ...ratioColumn, nullable: true })
  readonly commissionRatio!: string | null;

  /** The most that one referee can earn the referrer by that ratio or amount, as a decimal string; null for no limit. */
  @Column({ name: 'commission_max_per_referee', ...amountColumn, nullable: true })
  readonly commissionMaxPerReferee!: string | null;
}
