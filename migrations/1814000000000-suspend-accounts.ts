import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The columns of type `numeric` of the accounts, before and after. */
const before = [
  ...['credits_paid', 'payouts_paid'],
  ...['commission_ratio', 'commission_max_per_referee'],
  ...['commission_amount', 'commission_signup', 'commission_max_per_referrer'],
];
const numeric = { before, after: [...before, 'minimum'] };

const isFinite = (columns: readonly string[]): string =>
  columns.map((column) => `abs("${column}") < 'Infinity'`).join(' AND ');

/**
 * Accounts that are suspended or banned, that have a minimum of their own, and whose payout address has changed. The
 * totals count how many commissions there were at the suspension, and a constraint refuses one more.
 */
export class SuspendAccounts1814000000000 implements MigrationInterface {
  readonly name = 'SuspendAccounts1814000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const [accounts, totals, earnOuts] = ['referral_accounts', 'referral_account_totals', 'referral_earn_outs'].map(
      table,
    );
    await once(queryRunner, this.name, [
      `ALTER TABLE ${accounts}
        ADD COLUMN "suspended_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "banned_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "suspensions" integer NOT NULL DEFAULT 0,
        ADD COLUMN "minimum" numeric(20,4),
        ADD COLUMN "payout_email_changed_at" TIMESTAMP WITH TIME ZONE`,
      `ALTER TABLE ${accounts} ADD CONSTRAINT "ck_referral_accounts_suspended"
        CHECK (("suspended_at" IS NULL OR "suspensions" > 0) AND ("banned_at" IS NULL OR "suspended_at" IS NOT NULL))`,
      `ALTER TABLE ${accounts} ADD CONSTRAINT "ck_referral_accounts_minimum" CHECK ("minimum" > 0)`,
      `ALTER TABLE ${accounts} DROP CONSTRAINT "ck_referral_accounts_finite"`,
      `ALTER TABLE ${accounts} ADD CONSTRAINT "ck_referral_accounts_finite" CHECK (${isFinite(numeric.after)})`,

      `ALTER TABLE ${totals} ADD COLUMN "most_commissions" integer`,
      `ALTER TABLE ${totals} ADD CONSTRAINT "ck_referral_account_totals_suspended"
        CHECK ("commissions" <= "most_commissions")`,

      `ALTER TABLE ${table('referral_signups')} ADD COLUMN "no_reward" character varying(16)`,

      // An earn-out that was changed since it was made may have been asked for: only then it goes on while its account is
      // suspended.
      `ALTER TABLE ${earnOuts} ADD COLUMN "asked_at" TIMESTAMP WITH TIME ZONE`,
      `UPDATE ${earnOuts} SET "asked_at" = "updated_at"
        WHERE "status" = 'processing' AND "mode" = 'payout' AND ("attempts" > 0 OR "updated_at" > "created_at")`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const accounts = table('referral_accounts');
    const statements = [
      `ALTER TABLE ${table('referral_earn_outs')} DROP COLUMN "asked_at"`,
      `ALTER TABLE ${table('referral_signups')} DROP COLUMN "no_reward"`,
      `ALTER TABLE ${table('referral_account_totals')} DROP CONSTRAINT "ck_referral_account_totals_suspended"`,
      `ALTER TABLE ${table('referral_account_totals')} DROP COLUMN "most_commissions"`,
      `ALTER TABLE ${accounts} DROP CONSTRAINT "ck_referral_accounts_finite"`,
      `ALTER TABLE ${accounts} ADD CONSTRAINT "ck_referral_accounts_finite" CHECK (${isFinite(numeric.before)})`,
      `ALTER TABLE ${accounts} DROP CONSTRAINT "ck_referral_accounts_minimum"`,
      `ALTER TABLE ${accounts} DROP CONSTRAINT "ck_referral_accounts_suspended"`,
      ...['payout_email_changed_at', 'minimum', 'suspensions', 'banned_at', 'suspended_at'].map(
        (column) => `ALTER TABLE ${accounts} DROP COLUMN "${column}"`,
      ),
    ];
    for (const statement of statements) await queryRunner.query(statement);
  }
}
