import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/**
 * How often a visitor has clicked on a referral on a day, for the option `fraud.clicksOfVisitor`, and whether a click was
 * counted. All clicks before were.
 *
 * And whether a refund has given a coupon back, so that `undoRefund` takes it again. Of those that were given back before,
 * that is assumed where the purchase is refunded as a whole and its coupon is one that refunds give back.
 */
export class ReviewClicks1819000000000 implements MigrationInterface {
  readonly name = 'ReviewClicks1819000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_visitor_clicks')} (
        "referral_id" bigint NOT NULL,
        "visitor" uuid NOT NULL,
        "day" date NOT NULL,
        "clicks" bigint NOT NULL,
        CONSTRAINT "pk_referral_visitor_clicks" PRIMARY KEY ("referral_id", "visitor", "day")
      )`,
      `ALTER TABLE ${table('referral_responses')} ADD COLUMN "is_counted" boolean NOT NULL DEFAULT true`,
      `ALTER TABLE ${table('referral_redemptions')} ADD COLUMN "is_restored" boolean NOT NULL DEFAULT false`,
      `UPDATE ${table('referral_redemptions')} d SET "is_restored" = true
       FROM ${table('referral_purchases')} p, ${table('referral_channels')} c
       WHERE d."given_back_at" IS NOT NULL AND p."user_id" = d."user_id" AND p."reference" = d."reference"
         AND c."id" = d."channel_id" AND c."restore_on_refund"
         AND coalesce(p."original_refunded" >= p."original_amount", p."refunded" = p."amount")`,
    ]);
  }

  /** The daily counts stay as they are: clicks that they left out stay left out. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`ALTER TABLE ${table('referral_redemptions')} DROP COLUMN "is_restored"`);
    await queryRunner.query(`ALTER TABLE ${table('referral_responses')} DROP COLUMN "is_counted"`);
    await queryRunner.query(`DROP TABLE ${table('referral_visitor_clicks')}`);
  }
}
