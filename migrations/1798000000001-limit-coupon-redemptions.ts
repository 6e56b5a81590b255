import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Counts the redemptions of each coupon beside the `allowed_uses` of its code, which limit them. */
export class LimitCouponRedemptions1798000000001 implements MigrationInterface {
  readonly name = 'LimitCouponRedemptions1798000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${table('referrals')} ADD COLUMN "redemptions" integer NOT NULL DEFAULT 0`,
      `UPDATE ${table('referrals')} r SET "redemptions" = d.count FROM (
          SELECT "channel_id", count(*) FROM ${table('referral_redemptions')} GROUP BY 1
        ) d WHERE d."channel_id" = r."id"`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`ALTER TABLE ${inSchemaOf(queryRunner)('referrals')} DROP COLUMN "redemptions"`);
  }
}
