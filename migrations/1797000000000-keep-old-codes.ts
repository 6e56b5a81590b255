import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Every code that a referral has or had, and the user that each visitor id belongs to. */
export class KeepOldCodes1797000000000 implements MigrationInterface {
  readonly name = 'KeepOldCodes1797000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_aliases')} (
        "code" character varying(100) NOT NULL,
        "referral_id" bigint NOT NULL,
        CONSTRAINT "pk_referral_aliases" PRIMARY KEY ("code")
      )`,
      // Codes are ASCII. The collation makes lower() change A–Z alone, whatever that of the database is. Where the index
      // of an older version has let two codes in that are equal so, the older referral keeps both names.
      `INSERT INTO ${table('referral_aliases')} ("code", "referral_id")
        SELECT lower("code" COLLATE "C"), min("id") FROM ${table('referrals')} GROUP BY 1`,

      `CREATE TABLE ${table('referral_visitors')} (
        "visitor_id" uuid NOT NULL,
        "user_id" character varying(128) NOT NULL,
        CONSTRAINT "pk_referral_visitors" PRIMARY KEY ("visitor_id")
      )`,
      // Of several users, the one with the oldest response.
      `INSERT INTO ${table('referral_visitors')} ("visitor_id", "user_id")
        SELECT DISTINCT ON ("visitor_id") "visitor_id", "user_id" FROM ${table('referral_responses')}
        WHERE "visitor_id" IS NOT NULL AND "user_id" IS NOT NULL ORDER BY "visitor_id", "id"`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const name of ['referral_visitors', 'referral_aliases']) await queryRunner.query(`DROP TABLE ${table(name)}`);
  }
}
