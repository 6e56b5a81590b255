import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Lets staff change who referred a user, and merge two users. */
export class MoveAttribution1815000000000 implements MigrationInterface {
  readonly name = 'MoveAttribution1815000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${table('referral_signups')} ALTER COLUMN "referral_id" DROP NOT NULL`,
      `ALTER TABLE ${table('referral_signups')} ADD COLUMN "was_rewarded" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${table('referral_buyers')} ADD COLUMN "reassigned_at" TIMESTAMP WITH TIME ZONE`,
      `ALTER TABLE ${table('referral_referees')} ADD COLUMN "merged_at" TIMESTAMP WITH TIME ZONE`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`ALTER TABLE ${table('referral_referees')} DROP COLUMN "merged_at"`);
    await queryRunner.query(`ALTER TABLE ${table('referral_buyers')} DROP COLUMN "reassigned_at"`);
    await queryRunner.query(`ALTER TABLE ${table('referral_signups')} DROP COLUMN "was_rewarded"`);
    // Without a referral there was no sign-up.
    await queryRunner.query(`DELETE FROM ${table('referral_signups')} WHERE "referral_id" IS NULL`);
    await queryRunner.query(`ALTER TABLE ${table('referral_signups')} ALTER COLUMN "referral_id" SET NOT NULL`);
  }
}
