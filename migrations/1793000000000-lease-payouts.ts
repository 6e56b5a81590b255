import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

const statusOf = (...statuses: string[]): string =>
  `"status" IN (${statuses.map((status) => `'${status}'`).join(', ')})`;

/**
 * Payouts that are claimed by a lease, and asked for again until their result is known. Amounts that were paid beyond
 * what was available. A time for each row of totals from which on an earn-out can be due.
 */
export class LeasePayouts1793000000000 implements MigrationInterface {
  readonly name = 'LeasePayouts1793000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const earnOuts = table('referral_earn_outs');
    await once(queryRunner, this.name, [
      `ALTER TABLE ${earnOuts}
        ADD COLUMN "reference" character varying(255),
        ADD COLUMN "attempts" integer NOT NULL DEFAULT 0,
        ADD COLUMN "claimed_by" character varying(128),
        ADD COLUMN "claimed_until" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "next_attempt_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "submitted_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "settled_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "refused_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "refusals" integer NOT NULL DEFAULT 0`,
      `UPDATE ${earnOuts} SET "settled_at" = "updated_at" WHERE "status" <> 'processing'`,
      // An earlier version tried the account again in the next run, without a wait.
      `UPDATE ${earnOuts} SET "refused_at" = "updated_at", "refusals" = 1, "next_attempt_at" = "updated_at"
        WHERE "status" = 'failed'`,
      `UPDATE ${earnOuts} SET "next_attempt_at" = "created_at" WHERE "status" = 'processing' AND "mode" = 'payout'`,
      `ALTER TABLE ${earnOuts} DROP CONSTRAINT "ck_referral_earn_outs_status"`,
      `ALTER TABLE ${earnOuts} ADD CONSTRAINT "ck_referral_earn_outs_status"
        CHECK (${statusOf('processing', 'completed', 'failed', 'returned')})`,
      `ALTER TABLE ${earnOuts} ADD CONSTRAINT "ck_referral_earn_outs_settled"
        CHECK (("status" = 'processing') = ("settled_at" IS NULL))`,
      `ALTER TABLE ${earnOuts} ADD CONSTRAINT "ck_referral_earn_outs_claim"
        CHECK (("claimed_by" IS NULL) = ("claimed_until" IS NULL))`,
      // The key is derived from the user, so it is unique without the user too, and a webhook knows only the key.
      `DROP INDEX ${table('uq_referral_earn_outs_key')}`,
      `CREATE UNIQUE INDEX "uq_referral_earn_outs_key" ON ${earnOuts} ("idempotency_key")`,
      `CREATE INDEX "ix_referral_earn_outs_reference" ON ${earnOuts} ("reference") WHERE "reference" IS NOT NULL`,
      `CREATE INDEX "ix_referral_earn_outs_status" ON ${earnOuts} ("status", "id")`,
      // The payouts that can be claimed, in the order in which they are claimed.
      `CREATE INDEX "ix_referral_earn_outs_next_attempt" ON ${earnOuts} ("next_attempt_at", "user_id", "id")
        WHERE "status" = 'processing' AND "next_attempt_at" IS NOT NULL`,
      `CREATE INDEX "ix_referral_earn_outs_refused" ON ${earnOuts} ("user_id", "mode", "id")
        WHERE "refused_at" IS NOT NULL`,

      `CREATE TABLE ${table('referral_earn_out_entries')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "payment_id" bigint NOT NULL,
        "amount" numeric(28,4) NOT NULL,
        "earn_out_id" bigint,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_earn_out_entries" PRIMARY KEY ("user_id", "id"),
        CONSTRAINT "fk_referral_earn_out_entries_payment" FOREIGN KEY ("user_id", "payment_id")
          REFERENCES ${earnOuts} ("user_id", "id"),
        CONSTRAINT "ck_referral_earn_out_entries_amount" CHECK ("amount" <> 0),
        CONSTRAINT "ck_referral_earn_out_entries_finite" CHECK (abs("amount") < 'Infinity')
      )`,
      `CREATE INDEX "ix_referral_earn_out_entries_payment" ON ${table('referral_earn_out_entries')} ("user_id", "payment_id")`,
      `CREATE INDEX "ix_referral_earn_out_entries_unpaid" ON ${table('referral_earn_out_entries')} ("user_id")
        WHERE "earn_out_id" IS NULL`,
      `CREATE INDEX "ix_referral_earn_out_entries_earn_out" ON ${table('referral_earn_out_entries')} ("user_id", "earn_out_id")
        WHERE "earn_out_id" IS NOT NULL`,

      `ALTER TABLE ${table('referral_accounts')} ADD COLUMN "earn_outs" integer NOT NULL DEFAULT 0`,
      `UPDATE ${table('referral_accounts')} a SET "earn_outs" = o.count
        FROM (SELECT "user_id", count(*) FROM ${earnOuts} GROUP BY "user_id") AS o WHERE o."user_id" = a."user_id"`,

      // The terms 0 make a row due that is there already: the next run finds out when it really is.
      `ALTER TABLE ${table('referral_account_totals')}
        ADD COLUMN "due_at" TIMESTAMP WITH TIME ZONE,
        ADD COLUMN "due_terms" integer NOT NULL DEFAULT 0`,
      `CREATE INDEX "ix_referral_account_totals_due" ON ${table('referral_account_totals')} ("due_terms", "due_at", "user_id")`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const earnOuts = table('referral_earn_outs');
    const statements = [
      `DROP INDEX ${table('ix_referral_account_totals_due')}`,
      `ALTER TABLE ${table('referral_account_totals')} DROP COLUMN "due_at"`,
      `ALTER TABLE ${table('referral_account_totals')} DROP COLUMN "due_terms"`,
      `ALTER TABLE ${table('referral_accounts')} DROP COLUMN "earn_outs"`,
      `DROP TABLE ${table('referral_earn_out_entries')}`,
      ...['refused', 'next_attempt', 'status', 'reference'].map(
        (name) => `DROP INDEX ${table(`ix_referral_earn_outs_${name}`)}`,
      ),
      `DROP INDEX ${table('uq_referral_earn_outs_key')}`,
      `CREATE UNIQUE INDEX "uq_referral_earn_outs_key" ON ${earnOuts} ("user_id", "idempotency_key")`,
      `ALTER TABLE ${earnOuts} DROP CONSTRAINT "ck_referral_earn_outs_claim"`,
      `ALTER TABLE ${earnOuts} DROP CONSTRAINT "ck_referral_earn_outs_settled"`,
      `ALTER TABLE ${earnOuts} DROP CONSTRAINT "ck_referral_earn_outs_status"`,
      `UPDATE ${earnOuts} SET "status" = 'failed' WHERE "status" = 'returned'`,
      `ALTER TABLE ${earnOuts} ADD CONSTRAINT "ck_referral_earn_outs_status"
        CHECK (${statusOf('processing', 'completed', 'failed')})`,
      ...[
        ...['reference', 'attempts', 'claimed_by', 'claimed_until', 'next_attempt_at'],
        ...['submitted_at', 'settled_at', 'refused_at', 'refusals'],
      ].map((name) => `ALTER TABLE ${earnOuts} DROP COLUMN "${name}"`),
    ];
    for (const statement of statements) await queryRunner.query(statement);
  }
}
