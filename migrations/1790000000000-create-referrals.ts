import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Referrals, the responses to them, and daily counts of clicks. */
export class CreateReferrals1790000000000 implements MigrationInterface {
  readonly name = 'CreateReferrals1790000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referrals')} (
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "user_id" character varying(128),
        "label" character varying(100) NOT NULL DEFAULT '',
        "code" character varying(100) NOT NULL,
        "redirect_to" character varying(2048) NOT NULL,
        "target_type" character varying(128),
        "target_id" character varying(128),
        "expired_at" TIMESTAMP WITH TIME ZONE,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referrals" PRIMARY KEY ("id")
      )`,
      `CREATE UNIQUE INDEX "uq_referrals_code" ON ${table('referrals')} (lower("code"))`,
      // The destination as a digest, because an index entry is limited to a third of a page, less than the longest URL.
      `CREATE UNIQUE INDEX "uq_referrals_identity" ON ${table('referrals')} (
        coalesce("user_id", ''), "label", coalesce("target_type", ''), coalesce("target_id", ''), md5("redirect_to")
      )`,
      `CREATE INDEX "ix_referrals_user" ON ${table('referrals')} ("user_id")`,

      `CREATE TABLE ${table('referral_responses')} (
        "referral_id" bigint NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "visitor_id" uuid,
        "user_id" character varying(128),
        "ip_address" character varying(45),
        "user_agent" character varying(1024),
        "http_referrer" character varying(1024),
        "action" character varying(128) NOT NULL,
        "target_type" character varying(128),
        "target_id" character varying(128),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        "touched_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_responses" PRIMARY KEY ("referral_id", "id"),
        CONSTRAINT "fk_referral_responses_referral" FOREIGN KEY ("referral_id")
          REFERENCES ${table('referrals')} ("id") ON DELETE CASCADE
      )`,
      // Only rows without a user are looked up by visitor. The condition keeps the index small, because random visitor
      // ids make it expensive to maintain.
      `CREATE INDEX "ix_referral_responses_visitor" ON ${table('referral_responses')} ("visitor_id")
        WHERE "user_id" IS NULL`,
      `CREATE INDEX "ix_referral_responses_user" ON ${table('referral_responses')} ("user_id", "touched_at", "id")
        WHERE "user_id" IS NOT NULL`,

      // The fill factor leaves room in each page, so that the frequent updates of a counter are HOT updates.
      `CREATE TABLE ${table('referral_daily_counts')} (
        "referral_id" bigint NOT NULL,
        "day" date NOT NULL,
        "clicks" bigint NOT NULL,
        CONSTRAINT "pk_referral_daily_counts" PRIMARY KEY ("referral_id", "day"),
        CONSTRAINT "fk_referral_daily_counts_referral" FOREIGN KEY ("referral_id")
          REFERENCES ${table('referrals')} ("id") ON DELETE CASCADE
      ) WITH (fillfactor = 50)`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const name of ['referral_daily_counts', 'referral_responses', 'referrals'])
      await queryRunner.query(`DROP TABLE ${table(name)}`);
  }
}
