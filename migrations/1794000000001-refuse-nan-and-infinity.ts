import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The columns of a program's terms, of which a sign-up stores a copy. */
const terms = [
  'referral_credit_amount',
  'before_reward_usage_threshold',
  'reward_credit_amount',
  'commission_ratio',
  'commission_max_per_referee',
];

/** All columns of type `numeric`, by table. */
const numeric = {
  referral_account_totals: ['amount', 'matured_amount', 'revenue'],
  referral_accounts: ['credits_paid', 'payouts_paid'],
  referral_buyers: ['purchased'],
  referral_channels: ['promo_value', 'initial_rate', 'ongoing_rate', 'max_earnings_per_referred'],
  referral_commission_entries: ['amount'],
  referral_commissions: ['rate', 'max_per_referee', 'room', 'earned', 'amount'],
  referral_credit_spends: ['amount', 'covered', 'captured', 'refunded'],
  referral_credit_transactions: ['value'],
  referral_credits: ['initial_balance', 'current_balance'],
  referral_earn_outs: ['amount'],
  referral_programs: terms,
  referral_purchases: ['amount', 'refunded', 'rate', 'room'],
  referral_referees: ['earned'],
  referral_refunds: ['amount'],
  referral_signups: [...terms, 'recorded_usage'],
  referral_usages: ['amount'],
};

/**
 * Refuses NaN and infinity in every column of type `numeric`. A scale such as `numeric(20,4)` refuses infinity only, and
 * a CHECK such as `amount >= 0` neither, because NaN is greater than all numbers.
 */
export class RefuseNanAndInfinity1794000000001 implements MigrationInterface {
  readonly name = 'RefuseNanAndInfinity1794000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const constraints = Object.entries(numeric).map(([name, columns]) => {
      const isFinite = columns.map((column) => `abs("${column}") < 'Infinity'`).join(' AND ');
      return `ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_finite" CHECK (${isFinite})`;
    });
    await once(queryRunner, this.name, constraints);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const name of Object.keys(numeric))
      await queryRunner.query(`ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_finite"`);
  }
}
