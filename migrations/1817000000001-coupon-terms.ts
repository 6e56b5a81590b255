import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** SQL: the amounts of a channel are finite. */
const finite = (columns: readonly string[]): string =>
  columns.map((column) => `abs("${column}") < 'Infinity'`).join(' AND ');
const amounts = [
  ...['promo_value', 'initial_rate', 'ongoing_rate', 'max_earnings_per_referred'],
  ...['commission_amount', 'commission_signup', 'commission_max_per_referrer'],
];

/** The conditions of coupons: minimum, first purchase, products, a limit of redemptions alone; and coupons given back. */
export class CouponTerms1817000000001 implements MigrationInterface {
  readonly name = 'CouponTerms1817000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const channels = table('referral_channels');
    await once(queryRunner, this.name, [
      `ALTER TABLE ${channels}
        ADD COLUMN "minimum_amount" numeric(20,4),
        ADD COLUMN "first_purchase_only" boolean NOT NULL DEFAULT false,
        ADD COLUMN "products" text array NOT NULL DEFAULT '{}',
        ADD COLUMN "restore_on_refund" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${channels} ADD CONSTRAINT "ck_referral_channels_minimum" CHECK ("minimum_amount" > 0)`,
      `ALTER TABLE ${channels} DROP CONSTRAINT "ck_referral_channels_finite"`,
      `ALTER TABLE ${channels} ADD CONSTRAINT "ck_referral_channels_finite" CHECK (${finite([...amounts, 'minimum_amount'])})`,
      `ALTER TABLE ${table('referrals')} ADD COLUMN "max_redemptions" integer`,
      `ALTER TABLE ${table('referral_redemptions')} ADD COLUMN "given_back_at" TIMESTAMP WITH TIME ZONE`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const channels = table('referral_channels');
    // Without the column, what was given back is redeemed again.
    const [redemptions, totals] = ['referral_redemptions', 'referral_account_totals'].map(table);
    await queryRunner.query(
      `UPDATE ${table('referrals')} r SET "redemptions" = r."redemptions" + d.count FROM (
        SELECT "channel_id", count(*) FROM ${redemptions} WHERE "given_back_at" IS NOT NULL GROUP BY 1
      ) d WHERE d."channel_id" = r."id"`,
    );
    await queryRunner.query(
      `UPDATE ${totals} t SET "redemptions" = t."redemptions" + d.count FROM (
        SELECT p."referrer_id", d."channel_id", p."mode", count(*)
        FROM ${redemptions} d JOIN ${table('referral_purchases')} p
          ON p."user_id" = d."user_id" AND p."reference" = d."reference"
        WHERE d."given_back_at" IS NOT NULL GROUP BY 1, 2, 3
      ) d WHERE d."referrer_id" = t."user_id" AND d."channel_id" = t."channel_id" AND d."mode" = t."mode"`,
    );
    await queryRunner.query(`ALTER TABLE ${redemptions} DROP COLUMN "given_back_at"`);
    await queryRunner.query(`ALTER TABLE ${table('referrals')} DROP COLUMN "max_redemptions"`);
    await queryRunner.query(`ALTER TABLE ${channels} DROP CONSTRAINT "ck_referral_channels_finite"`);
    await queryRunner.query(
      `ALTER TABLE ${channels} ADD CONSTRAINT "ck_referral_channels_finite" CHECK (${finite(amounts)})`,
    );
    await queryRunner.query(`ALTER TABLE ${channels} DROP CONSTRAINT "ck_referral_channels_minimum"`);
    for (const column of ['restore_on_refund', 'products', 'first_purchase_only', 'minimum_amount'])
      await queryRunner.query(`ALTER TABLE ${channels} DROP COLUMN "${column}"`);
  }
}
