import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/**
 * Lets staff hold, reject and adjust commissions, undo refunds, and approve payouts. A held commission is available at
 * `infinity`: every statement that compares the time then leaves it alone.
 */
export class GovernCommissions1811000000000 implements MigrationInterface {
  readonly name = 'GovernCommissions1811000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const commissions = table('referral_commissions');
    const entries = table('referral_commission_entries');
    const earnOuts = table('referral_earn_outs');
    await once(queryRunner, this.name, [
      `ALTER TABLE ${commissions} ADD COLUMN "held_for" text array NOT NULL DEFAULT '{}',
        ADD COLUMN "held_from" TIMESTAMP WITH TIME ZONE, ADD COLUMN "rejected_at" TIMESTAMP WITH TIME ZONE`,
      `ALTER TABLE ${commissions} ADD CONSTRAINT "ck_referral_commissions_held" CHECK (
        ("held_for" = '{}') = ("held_from" IS NULL) AND ("held_from" IS NOT NULL) = ("available_at" = 'infinity')
      )`,
      `ALTER TABLE ${commissions} ADD CONSTRAINT "ck_referral_commissions_rejected" CHECK (
        "rejected_at" IS NULL OR ("amount" = 0 AND "reverted_at" IS NOT NULL AND "held_from" IS NULL)
      )`,
      `CREATE INDEX "ix_referral_commissions_held" ON ${commissions} ("id") WHERE "available_at" = 'infinity'`,
      `ALTER TABLE ${entries} ADD COLUMN "kind" character varying(8) NOT NULL DEFAULT 'refund',
        ADD COLUMN "taken_back" numeric(28,4) NOT NULL DEFAULT 0`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_amount"`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_amount" CHECK (
        CASE WHEN "kind" IN ('refund', 'reject') THEN "amount" < 0 WHEN "kind" = 'undo' THEN "amount" > 0
          ELSE "amount" <> 0 END
      )`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_kind"
        CHECK ("kind" IN ('refund', 'undo', 'reject', 'move'))`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_taken_back"
        CHECK ("taken_back" BETWEEN 0 AND greatest(-"amount", 0))`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_finite"`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_finite"
        CHECK (abs("amount") < 'Infinity' AND abs("taken_back") < 'Infinity')`,
      `DROP INDEX ${table('uq_referral_commission_entries_refund')}`,
      `CREATE UNIQUE INDEX "uq_referral_commission_entries_refund" ON ${entries}
        ("user_id", "commission_id", "refund", "kind")`,
      `ALTER TABLE ${table('referral_refunds')} ADD COLUMN "undone_at" TIMESTAMP WITH TIME ZONE`,
      `CREATE TABLE ${table('referral_adjustments')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "reference" character varying(255) NOT NULL,
        "mode" character varying(8) NOT NULL,
        "amount" numeric(20,4) NOT NULL,
        "reason" character varying(500) NOT NULL,
        "earn_out_id" bigint,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_adjustments" PRIMARY KEY ("user_id", "id"),
        CONSTRAINT "ck_referral_adjustments_mode" CHECK ("mode" IN ('credits', 'payout')),
        CONSTRAINT "ck_referral_adjustments_amount" CHECK ("amount" <> 0),
        CONSTRAINT "ck_referral_adjustments_finite" CHECK (abs("amount") < 'Infinity')
      )`,
      `CREATE UNIQUE INDEX "uq_referral_adjustments_reference" ON ${table('referral_adjustments')} ("user_id", "reference")`,
      `CREATE INDEX "ix_referral_adjustments_id" ON ${table('referral_adjustments')} ("id")`,
      `CREATE INDEX "ix_referral_adjustments_unpaid" ON ${table('referral_adjustments')} ("user_id")
        WHERE "earn_out_id" IS NULL`,
      `CREATE INDEX "ix_referral_adjustments_earn_out" ON ${table('referral_adjustments')} ("earn_out_id", "user_id")
        WHERE "earn_out_id" IS NOT NULL`,
      `ALTER TABLE ${earnOuts} ADD COLUMN "awaits_approval" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${earnOuts} ADD CONSTRAINT "ck_referral_earn_outs_approval" CHECK (
        NOT "awaits_approval" OR ("mode" = 'payout' AND "status" = 'processing' AND "next_attempt_at" IS NULL
          AND "attempts" = 0 AND "claimed_by" IS NULL AND "submitted_at" IS NULL)
      )`,
      `CREATE INDEX "ix_referral_earn_outs_approval" ON ${earnOuts} ("id") WHERE "awaits_approval"`,
    ]);
  }

  /** What was held is available again. Entries and adjustments that the columns do not know are lost. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const commissions = table('referral_commissions');
    const entries = table('referral_commission_entries');
    const earnOuts = table('referral_earn_outs');
    for (const statement of [
      `DROP INDEX ${table('ix_referral_earn_outs_approval')}`,
      `ALTER TABLE ${earnOuts} DROP CONSTRAINT "ck_referral_earn_outs_approval"`,
      `UPDATE ${earnOuts} SET "next_attempt_at" = now() WHERE "awaits_approval"`,
      `ALTER TABLE ${earnOuts} DROP COLUMN "awaits_approval"`,
      `DROP TABLE ${table('referral_adjustments')}`,
      `ALTER TABLE ${table('referral_refunds')} DROP COLUMN "undone_at"`,
      `DELETE FROM ${entries} WHERE "kind" <> 'refund'`,
      `DROP INDEX ${table('uq_referral_commission_entries_refund')}`,
      `CREATE UNIQUE INDEX "uq_referral_commission_entries_refund" ON ${entries} ("user_id", "commission_id", "refund")`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_taken_back"`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_kind"`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_amount"`,
      `ALTER TABLE ${entries} DROP CONSTRAINT "ck_referral_commission_entries_finite"`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_finite" CHECK (abs("amount") < 'Infinity')`,
      `ALTER TABLE ${entries} DROP COLUMN "taken_back"`,
      `ALTER TABLE ${entries} DROP COLUMN "kind"`,
      `ALTER TABLE ${entries} ADD CONSTRAINT "ck_referral_commission_entries_amount" CHECK ("amount" < 0)`,
      `DROP INDEX ${table('ix_referral_commissions_held')}`,
      `ALTER TABLE ${commissions} DROP CONSTRAINT "ck_referral_commissions_rejected"`,
      `ALTER TABLE ${commissions} DROP CONSTRAINT "ck_referral_commissions_held"`,
      `UPDATE ${commissions} SET "available_at" = "held_from" WHERE "held_from" IS NOT NULL`,
      `ALTER TABLE ${commissions} DROP COLUMN "rejected_at"`,
      `ALTER TABLE ${commissions} DROP COLUMN "held_from"`,
      `ALTER TABLE ${commissions} DROP COLUMN "held_for"`,
    ])
      await queryRunner.query(statement);
  }
}
