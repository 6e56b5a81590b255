import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** Who changed terms, money, attribution or a payout address, and why. */
export class AddAudit1810000000000 implements MigrationInterface {
  readonly name = 'AddAudit1810000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_audit')} (
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "call" character varying(100) NOT NULL,
        "subject" character varying(100) NOT NULL,
        "subject_id" character varying(128) NOT NULL,
        "user_id" character varying(128),
        "before" jsonb,
        "after" jsonb,
        "actor" character varying(8) NOT NULL,
        "by" character varying(128),
        "reason" character varying(500),
        "request_id" character varying(255),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_audit" PRIMARY KEY ("id")
      )`,
      `CREATE INDEX "ix_referral_audit_subject" ON ${table('referral_audit')} ("subject", "subject_id", "id")`,
      `CREATE INDEX "ix_referral_audit_user" ON ${table('referral_audit')} ("user_id", "id") WHERE "user_id" IS NOT NULL`,
      `CREATE INDEX "ix_referral_audit_by" ON ${table('referral_audit')} ("by", "id") WHERE "by" IS NOT NULL`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE ${inSchemaOf(queryRunner)('referral_audit')}`);
  }
}
