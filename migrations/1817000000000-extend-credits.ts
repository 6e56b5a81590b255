import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Refunds of parts of a spend, and holds that end by themselves. */
export class ExtendCredits1817000000000 implements MigrationInterface {
  readonly name = 'ExtendCredits1817000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const [spends, refunds] = ['referral_credit_spends', 'referral_credit_refunds'].map(table);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${spends}
        ADD COLUMN "expires_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "refunds" integer NOT NULL DEFAULT 0`,
      `ALTER TABLE ${spends} ADD CONSTRAINT "ck_referral_credit_spends_expiry" CHECK ("expires_at" > "created_at")`,
      `CREATE INDEX "ix_referral_credit_spends_expiring" ON ${spends} ("user_id", "expires_at")
        WHERE "captured" IS NULL AND "expires_at" IS NOT NULL`,
      `CREATE TABLE ${refunds} (
        "user_id" character varying(128) NOT NULL,
        "reference" character varying(255) NOT NULL,
        "refund_reference" character varying(255) NOT NULL,
        "amount" numeric(20,4),
        "given" numeric(20,4) NOT NULL,
        "expired" numeric(20,4) NOT NULL DEFAULT 0,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_credit_refunds" PRIMARY KEY ("user_id", "reference", "refund_reference"),
        CONSTRAINT "fk_referral_credit_refunds_spend" FOREIGN KEY ("user_id", "reference")
          REFERENCES ${spends} ("user_id", "reference"),
        CONSTRAINT "ck_referral_credit_refunds_amounts"
          CHECK ("amount" > 0 AND "given" >= 0 AND "expired" BETWEEN 0 AND "given"),
        CONSTRAINT "ck_referral_credit_refunds_finite" CHECK (abs("amount") < 'Infinity' AND abs("given") < 'Infinity'
          AND abs("expired") < 'Infinity')
      )`,
      // So far, each refund was of the whole spend.
      `INSERT INTO ${refunds} ("user_id", "reference", "refund_reference", "given", "created_at")
        SELECT "user_id", "reference", 'all', "refunded", "refunded_at" FROM ${spends} WHERE "refunded" IS NOT NULL`,
      `UPDATE ${spends} SET "refunds" = 1 WHERE "refunded" IS NOT NULL`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const spends = table('referral_credit_spends');
    for (const statement of [
      `DROP TABLE ${table('referral_credit_refunds')}`,
      `DROP INDEX ${table('ix_referral_credit_spends_expiring')}`,
      `ALTER TABLE ${spends} DROP CONSTRAINT "ck_referral_credit_spends_expiry"`,
      `ALTER TABLE ${spends} DROP COLUMN "refunds"`,
      `ALTER TABLE ${spends} DROP COLUMN "expires_at"`,
    ])
      await queryRunner.query(statement);
  }
}
