import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Which commissions and coupons are of self-referrals, and purchases through the buyer's own link, which wait too. */
export class FlagSelfReferrals1799000000000 implements MigrationInterface {
  readonly name = 'FlagSelfReferrals1799000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${table('referral_buyers')}
        ADD COLUMN "is_own_channel" boolean NOT NULL DEFAULT false,
        ADD COLUMN "is_own_last_channel" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${table('referral_commissions')} ADD COLUMN "is_self_referral" boolean NOT NULL DEFAULT false`,
      // What was earned on a sign-up that was flagged. Coupons of one's own were refused, and what clicks on one's own
      // link have earned does not tell whether self-referrals were flagged or allowed.
      `UPDATE ${table('referral_commissions')} AS c SET "is_self_referral" = true
        FROM ${table('referral_signups')} s, (
          SELECT "user_id", "reference" AS "purchase", "source" FROM ${table('referral_purchases')}
          UNION ALL SELECT "user_id", "purchase", "source" FROM ${table('referral_late_attributions')}
        ) AS p
        WHERE s."is_self_referral" AND s."user_id" = c."referee_id" AND s."referrer_id" = c."user_id"
          AND p."user_id" = c."referee_id" AND p."purchase" = c."purchase" AND p."source" = 'sign-up'`,
      `DROP INDEX ${table('ix_referral_purchases_waiting')}`,
      // A refund changes no column of this index, so that it stays a HOT update.
      `CREATE INDEX "ix_referral_purchases_waiting" ON ${table('referral_purchases')} ("user_id", "purchased_at", "id")
        WHERE "no_commission" IN ('no-referrer', 'own-referral')`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`DROP INDEX ${table('ix_referral_purchases_waiting')}`);
    await queryRunner.query(
      `CREATE INDEX "ix_referral_purchases_waiting" ON ${table('referral_purchases')} ("user_id", "purchased_at", "id")
        WHERE "no_commission" = 'no-referrer'`,
    );
    await queryRunner.query(`ALTER TABLE ${table('referral_commissions')} DROP COLUMN "is_self_referral"`);
    for (const column of ['is_own_last_channel', 'is_own_channel'])
      await queryRunner.query(`ALTER TABLE ${table('referral_buyers')} DROP COLUMN "${column}"`);
  }
}
