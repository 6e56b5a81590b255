import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/**
 * Makes the opening balance of each credit a ledger entry, and counts the history of credits and usage, so that a row
 * that is deleted is missed. Finds the spendable credits of a user, sign-ups by referrer, credits by name and by
 * referee, and open holds by an index.
 */
export class CompleteCreditLedger1795000000000 implements MigrationInterface {
  readonly name = 'CompleteCreditLedger1795000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const [credits, entries, spends] = [
      table('referral_credits'),
      table('referral_credit_transactions'),
      table('referral_credit_spends'),
    ];
    const [types, signups, usages] = ['referral_credit_types', 'referral_signups', 'referral_usages'].map(table);
    const counts = table('referral_user_counts');
    await once(queryRunner, this.name, [
      // Whether a balance is 0, for an index without used-up credits. An index on the balance itself would prevent HOT
      // updates. This column changes only when a credit is used up, or gets balance back.
      `ALTER TABLE ${credits} ADD COLUMN "is_used_up" boolean NOT NULL DEFAULT false`,
      `UPDATE ${credits} SET "is_used_up" = true WHERE "current_balance" = 0`,
      `ALTER TABLE ${credits} ADD CONSTRAINT "ck_referral_credits_used_up"
        CHECK ("is_used_up" = ("current_balance" = 0))`,
      `DROP INDEX ${table('ix_referral_credits_expiry')}`,
      `CREATE INDEX "ix_referral_credits_spendable" ON ${credits} ("user_id", "expiry_date", "id") WHERE NOT "is_used_up"`,
      `CREATE INDEX "ix_referral_credits_name" ON ${credits} ("name", "id")`,
      // The referee first: for the credits of a sign-up.
      `DROP INDEX ${table('uq_referral_credits_side')}`,
      `CREATE UNIQUE INDEX "uq_referral_credits_side" ON ${credits} ("referee_id", "kind", "user_id")
        WHERE "referee_id" IS NOT NULL`,
      `CREATE INDEX "ix_referral_credit_spends_open" ON ${spends} ("user_id", "created_at") WHERE "captured" IS NULL`,
      `CREATE INDEX "ix_referral_signups_referrer" ON ${signups} ("referrer_id", "id") WHERE "referrer_id" IS NOT NULL`,

      // Every entry has a kind and a reference; that of an opening balance is the reference of its credit.
      `INSERT INTO ${entries} ("user_id", "credit_id", "kind", "value", "reference", "created_at")
        SELECT "user_id", "id", 'grant', "initial_balance", "reference", "created_at" FROM ${credits} ORDER BY "id"`,
      `ALTER TABLE ${credits} ADD COLUMN "entries" integer NOT NULL DEFAULT 1`,
      `UPDATE ${credits} c SET "entries" = e.count FROM (
          SELECT "user_id", "credit_id", count(*) FROM ${entries} GROUP BY 1, 2 HAVING count(*) > 1
        ) e WHERE e."user_id" = c."user_id" AND e."credit_id" = c."id"`,
      // Most opening balances have no reference.
      `DROP INDEX ${table('ix_referral_credit_transactions_reference')}`,
      `CREATE INDEX "ix_referral_credit_transactions_reference" ON ${entries} ("user_id", "reference")
        WHERE "reference" IS NOT NULL`,

      // When a spend was settled: that of older ones is known from their entries, if they have any.
      `ALTER TABLE ${spends}
        ADD COLUMN "is_partial" boolean NOT NULL DEFAULT false,
        ADD COLUMN "captured_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "refunded_at" TIMESTAMP WITH TIME ZONE`,
      `UPDATE ${spends} s SET "is_partial" = "covered" < "amount",
          "captured_at" = CASE WHEN "captured" IS NOT NULL THEN coalesce((SELECT max(e."created_at") FROM ${entries} e
            WHERE e."user_id" = s."user_id" AND e."reference" = s."reference" AND e."kind" = 'release'), "created_at") END,
          "refunded_at" = CASE WHEN "refunded" IS NOT NULL THEN coalesce((SELECT max(e."created_at") FROM ${entries} e
            WHERE e."user_id" = s."user_id" AND e."reference" = s."reference" AND e."kind" = 'refund'), "created_at") END`,

      // Types that were refundable before are known by the refunds of their credits.
      `ALTER TABLE ${types} ADD COLUMN "was_refundable" boolean NOT NULL DEFAULT false`,
      `UPDATE ${types} t SET "was_refundable" = true WHERE "refundable" OR "id" IN (
          SELECT c."type_id" FROM ${entries} e JOIN ${credits} c ON c."user_id" = e."user_id" AND c."id" = e."credit_id"
          WHERE e."kind" = 'refund'
        )`,

      `ALTER TABLE ${signups} ADD COLUMN "usages" integer NOT NULL DEFAULT 0`,
      `UPDATE ${signups} s SET "usages" = u.count FROM (
          SELECT "user_id", count(*) FROM ${usages} WHERE "is_counted" GROUP BY 1
        ) u WHERE u."user_id" = s."user_id"`,

      `CREATE TABLE ${counts} (
        "user_id" character varying(128) NOT NULL,
        "grants" integer NOT NULL DEFAULT 0,
        "granted" numeric(28,4) NOT NULL DEFAULT 0,
        "empty_spends" integer NOT NULL DEFAULT 0,
        "uncounted_usages" integer NOT NULL DEFAULT 0,
        "uncounted_usage" numeric(28,4) NOT NULL DEFAULT 0,
        CONSTRAINT "pk_referral_user_counts" PRIMARY KEY ("user_id"),
        CONSTRAINT "ck_referral_user_counts_finite" CHECK (abs("granted") < 'Infinity' AND abs("uncounted_usage") < 'Infinity')
      ) WITH (fillfactor = 80)`,
      `INSERT INTO ${counts}
        SELECT "user_id", sum("grants"), sum("granted"), sum("empty"), sum("usages"), sum("usage") FROM (
          SELECT "user_id", 1 AS "grants", "initial_balance" AS "granted", 0 AS "empty", 0 AS "usages", 0 AS "usage"
          FROM ${credits} WHERE "kind" = 'grant'
          UNION ALL SELECT "user_id", 0, 0, 1, 0, 0 FROM ${spends} WHERE "covered" = 0
          UNION ALL SELECT "user_id", 0, 0, 0, 1, "amount" FROM ${usages} WHERE NOT "is_counted"
        ) AS "kept" GROUP BY "user_id"`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const [credits, entries] = ['referral_credits', 'referral_credit_transactions'].map(table);
    const statements = [
      `DROP TABLE ${table('referral_user_counts')}`,
      `ALTER TABLE ${table('referral_signups')} DROP COLUMN "usages"`,
      `ALTER TABLE ${table('referral_credit_types')} DROP COLUMN "was_refundable"`,
      ...['refunded_at', 'captured_at', 'is_partial'].map(
        (column) => `ALTER TABLE ${table('referral_credit_spends')} DROP COLUMN "${column}"`,
      ),
      `DROP INDEX ${table('ix_referral_credit_transactions_reference')}`,
      `CREATE INDEX "ix_referral_credit_transactions_reference" ON ${entries} ("user_id", "reference")`,
      `ALTER TABLE ${credits} DROP COLUMN "entries"`,
      `DELETE FROM ${entries} WHERE "kind" = 'grant'`,
      `DROP INDEX ${table('ix_referral_signups_referrer')}`,
      `DROP INDEX ${table('ix_referral_credit_spends_open')}`,
      `DROP INDEX ${table('uq_referral_credits_side')}`,
      `CREATE UNIQUE INDEX "uq_referral_credits_side" ON ${credits} ("user_id", "kind", "referee_id")
        WHERE "referee_id" IS NOT NULL`,
      `DROP INDEX ${table('ix_referral_credits_name')}`,
      `DROP INDEX ${table('ix_referral_credits_spendable')}`,
      `CREATE INDEX "ix_referral_credits_expiry" ON ${credits} ("user_id", "expiry_date", "id")`,
      `ALTER TABLE ${credits} DROP CONSTRAINT "ck_referral_credits_used_up"`,
      `ALTER TABLE ${credits} DROP COLUMN "is_used_up"`,
    ];
    for (const statement of statements) await queryRunner.query(statement);
  }
}
