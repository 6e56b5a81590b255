import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** What a second look at purchases without a referrer decides, and the index that finds those purchases. */
export class AddLateAttribution1796000000000 implements MigrationInterface {
  readonly name = 'AddLateAttribution1796000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_late_attributions')} (
        "user_id" character varying(128) NOT NULL,
        "purchase" character varying(255) NOT NULL,
        "source" character varying(16) NOT NULL,
        "referral_id" bigint NOT NULL,
        "channel_id" bigint,
        "referrer_id" character varying(128) NOT NULL,
        "mode" character varying(8) NOT NULL,
        "rate" numeric(20,4) NOT NULL,
        "room" numeric(28,4),
        "is_revenue" boolean NOT NULL,
        "no_commission" character varying(16),
        "decided_at" TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT "ck_referral_late_attributions_finite" CHECK (abs("rate") < 'Infinity' AND abs("room") < 'Infinity'),
        CONSTRAINT "pk_referral_late_attributions" PRIMARY KEY ("user_id", "purchase"),
        CONSTRAINT "fk_referral_late_attributions_purchase" FOREIGN KEY ("user_id", "purchase")
          REFERENCES ${table('referral_purchases')} ("user_id", "reference")
      )`,
      // A refund changes no column of this index, so that it stays a HOT update.
      `CREATE INDEX "ix_referral_purchases_waiting" ON ${table('referral_purchases')} ("user_id", "purchased_at", "id")
        WHERE "no_commission" = 'no-referrer'`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`DROP INDEX ${table('ix_referral_purchases_waiting')}`);
    await queryRunner.query(`DROP TABLE ${table('referral_late_attributions')}`);
  }
}
