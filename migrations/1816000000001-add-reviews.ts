import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** What a fraud rule has flagged, and the holds of what it earns and grants. */
export class AddReviews1816000000001 implements MigrationInterface {
  readonly name = 'AddReviews1816000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const reviews = table('referral_reviews');
    await once(queryRunner, this.name, [
      `CREATE TABLE ${reviews} (
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "rule" character varying(32) NOT NULL,
        "subject" text NOT NULL,
        "user_id" character varying(128),
        "referee_id" character varying(128),
        "referral_id" bigint,
        "evidence" jsonb NOT NULL,
        "is_holding" boolean NOT NULL,
        "status" character varying(8) NOT NULL DEFAULT 'open',
        "decided_by" character varying(128),
        "decided_reason" character varying(500),
        "decided_at" TIMESTAMP WITH TIME ZONE,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_reviews" PRIMARY KEY ("id"),
        CONSTRAINT "ck_referral_reviews_status" CHECK ("status" IN ('open', 'allowed', 'refused')),
        CONSTRAINT "ck_referral_reviews_decided" CHECK (("status" = 'open') = ("decided_at" IS NULL))
      )`,
      `CREATE UNIQUE INDEX "uq_referral_reviews_subject" ON ${reviews} ("subject", "rule")`,
      `CREATE INDEX "ix_referral_reviews_open" ON ${reviews} ("id") WHERE "status" = 'open'`,
      `CREATE INDEX "ix_referral_reviews_user" ON ${reviews} ("user_id", "id") WHERE "user_id" IS NOT NULL`,
      `CREATE INDEX "ix_referral_reviews_referee" ON ${reviews} ("referee_id", "id") WHERE "referee_id" IS NOT NULL`,
      `ALTER TABLE ${table('referral_referees')} ADD COLUMN "held_for" text array NOT NULL DEFAULT '{}'`,
      `ALTER TABLE ${table('referral_accounts')} ADD COLUMN "held_for" text array NOT NULL DEFAULT '{}'`,
      `ALTER TABLE ${table('referral_signups')} ADD COLUMN "held_for" text array NOT NULL DEFAULT '{}',
        ADD COLUMN "ip_address" character varying(45), ADD COLUMN "user_agent" character varying(1024)`,
      `CREATE INDEX "ix_referral_signups_address" ON ${table('referral_signups')}
        ("referral_id", "ip_address", "created_at") WHERE "ip_address" IS NOT NULL`,
      `CREATE INDEX "ix_referral_accounts_payout_email" ON ${table('referral_accounts')}
        (lower("payout_email" COLLATE "C")) WHERE "payout_email" IS NOT NULL`,
    ]);
  }

  /** Ends all reviews. Credits that have waited for one stay ungranted. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(release(table));
    for (const name of ['ix_referral_accounts_payout_email', 'ix_referral_signups_address'])
      await queryRunner.query(`DROP INDEX ${table(name)}`);
    const columns = [
      ...['held_for', 'ip_address', 'user_agent'].map((column) => ['referral_signups', column] as const),
      ...(['referral_accounts', 'referral_referees'] as const).map((name) => [name, 'held_for'] as const),
    ];
    for (const [name, column] of columns) await queryRunner.query(`ALTER TABLE ${table(name)} DROP COLUMN "${column}"`);
    await queryRunner.query(`DROP TABLE ${table('referral_reviews')}`);
  }
}

/** SQL: ends the holds of reviews, as if all were allowed. What staff hold too stays held. */
const release = (table: ReturnType<typeof inSchemaOf>): string => `
  WITH "held" AS (
    SELECT "user_id", "id", ARRAY(
      SELECT "cause" FROM unnest("held_for") WITH ORDINALITY AS u ("cause", "position")
      WHERE "cause" NOT LIKE 'review:%' ORDER BY "position"
    ) AS "others"
    FROM ${table('referral_commissions')} WHERE "held_from" IS NOT NULL AND array_to_string("held_for", ' ') LIKE '%review:%'
  ), "released" AS (
    UPDATE ${table('referral_commissions')} c SET "held_for" = h."others",
      "available_at" = CASE WHEN h."others" = '{}' THEN c."held_from" ELSE c."available_at" END,
      "held_from" = CASE WHEN h."others" <> '{}' THEN c."held_from" END
    FROM "held" h WHERE c."user_id" = h."user_id" AND c."id" = h."id"
    RETURNING c.*
  ), "sums" AS (
    SELECT t."user_id", t."channel_id", t."mode", min(r."available_at") AS "available_at",
      count(*) FILTER (WHERE r."available_at" <= t."matured_until" AND r."reverted_at" IS NULL) AS "matured",
      coalesce(sum(r."amount") FILTER (WHERE r."available_at" <= t."matured_until"), 0) AS "matured_amount"
    FROM "released" r JOIN ${table('referral_account_totals')} t ON t."user_id" = r."user_id"
      AND t."channel_id" = coalesce(r."channel_id", 0) AND t."mode" = r."mode"
    WHERE r."held_from" IS NULL GROUP BY 1, 2, 3
  )
  UPDATE ${table('referral_account_totals')} t SET "matured" = t."matured" + s."matured",
    "matured_amount" = t."matured_amount" + s."matured_amount", "due_at" = least(t."due_at", s."available_at")
  FROM "sums" s WHERE t."user_id" = s."user_id" AND t."channel_id" = s."channel_id" AND t."mode" = s."mode"`;
