import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

const tables = [
  'referral_credit_transactions',
  'referral_credit_spends',
  'referral_credits',
  'referral_usages',
  'referral_signup_refusals',
  'referral_signups',
  'referral_programs',
  'referral_credit_types',
];

/** The columns of a program's terms, of which a sign-up stores a copy. */
const terms = `
        "referral_credit_amount" numeric(20,4),
        "referral_credit_duration" integer,
        "referral_credit_type_id" bigint,
        "before_reward_usage_threshold" numeric(20,4) NOT NULL DEFAULT 0,
        "reward_credit_amount" numeric(20,4),
        "reward_credit_duration" integer,
        "reward_credit_type_id" bigint`;

/**
 * Programs, sign-ups with their terms and usage, credits and their ledger. Adds programs and limited uses to referrals.
 */
export class CreateRewards1791000000000 implements MigrationInterface {
  readonly name = 'CreateRewards1791000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_credit_types')} (
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "name" character varying(100) NOT NULL,
        "product" character varying(100),
        "refundable" boolean NOT NULL DEFAULT false,
        "only_for_products" text[] NOT NULL DEFAULT '{}',
        "only_for_product_categories" text[] NOT NULL DEFAULT '{}',
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_credit_types" PRIMARY KEY ("id"),
        CONSTRAINT "ck_referral_credit_types_scope"
          CHECK (cardinality("only_for_products") = 0 OR cardinality("only_for_product_categories") = 0)
      )`,
      `CREATE UNIQUE INDEX "uq_referral_credit_types_name" ON ${table('referral_credit_types')} ("name")`,

      `CREATE TABLE ${table('referral_programs')} (
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "name" character varying(100) NOT NULL,${terms},
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_programs" PRIMARY KEY ("id"),
        CONSTRAINT "fk_referral_programs_referral_type" FOREIGN KEY ("referral_credit_type_id")
          REFERENCES ${table('referral_credit_types')} ("id"),
        CONSTRAINT "fk_referral_programs_reward_type" FOREIGN KEY ("reward_credit_type_id")
          REFERENCES ${table('referral_credit_types')} ("id"),
        CONSTRAINT "ck_referral_programs_threshold" CHECK ("before_reward_usage_threshold" >= 0),
        CONSTRAINT "ck_referral_programs_referral_credit" CHECK (
          num_nonnulls("referral_credit_amount", "referral_credit_duration", "referral_credit_type_id") IN (0, 3)
          AND "referral_credit_amount" > 0 AND "referral_credit_duration" > 0
        ),
        CONSTRAINT "ck_referral_programs_reward_credit" CHECK (
          num_nonnulls("reward_credit_amount", "reward_credit_duration", "reward_credit_type_id") IN (0, 3)
          AND "reward_credit_amount" > 0 AND "reward_credit_duration" > 0
        )
      )`,
      `CREATE UNIQUE INDEX "uq_referral_programs_name" ON ${table('referral_programs')} ("name")`,

      `ALTER TABLE ${table('referrals')}
        ADD COLUMN "program_id" bigint,
        ADD COLUMN "allowed_uses" integer NOT NULL DEFAULT -1,
        ADD COLUMN "uses" integer NOT NULL DEFAULT 0`,
      `ALTER TABLE ${table('referrals')} ADD CONSTRAINT "fk_referrals_program"
        FOREIGN KEY ("program_id") REFERENCES ${table('referral_programs')} ("id")`,
      `ALTER TABLE ${table('referrals')} ADD CONSTRAINT "ck_referrals_uses"
        CHECK ("uses" >= 0 AND ("allowed_uses" = -1 OR "uses" <= "allowed_uses"))`,
      `CREATE INDEX "ix_referrals_program" ON ${table('referrals')} ("program_id") WHERE "program_id" IS NOT NULL`,

      // The user alone is the primary key, because a user signs up once.
      `CREATE TABLE ${table('referral_signups')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "referral_id" bigint NOT NULL,
        "referrer_id" character varying(128),
        "program_id" bigint,${terms},
        "recorded_usage" numeric(28,4) NOT NULL DEFAULT 0,
        "threshold_reached_at" TIMESTAMP WITH TIME ZONE,
        "source" character varying(16) NOT NULL,
        "touched_at" TIMESTAMP WITH TIME ZONE,
        "is_self_referral" boolean NOT NULL DEFAULT false,
        "weighed" jsonb NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_signups" PRIMARY KEY ("user_id"),
        CONSTRAINT "fk_referral_signups_referral" FOREIGN KEY ("referral_id") REFERENCES ${table('referrals')} ("id"),
        CONSTRAINT "fk_referral_signups_program" FOREIGN KEY ("program_id") REFERENCES ${table('referral_programs')} ("id"),
        CONSTRAINT "fk_referral_signups_referral_type" FOREIGN KEY ("referral_credit_type_id")
          REFERENCES ${table('referral_credit_types')} ("id"),
        CONSTRAINT "fk_referral_signups_reward_type" FOREIGN KEY ("reward_credit_type_id")
          REFERENCES ${table('referral_credit_types')} ("id")
      ) WITH (fillfactor = 80)`,
      `CREATE INDEX "ix_referral_signups_id" ON ${table('referral_signups')} ("id")`,
      `CREATE INDEX "ix_referral_signups_referral" ON ${table('referral_signups')} ("referral_id", "id")`,

      `CREATE TABLE ${table('referral_signup_refusals')} (
        "user_id" character varying(128) NOT NULL,
        "reason" character varying(32) NOT NULL,
        "weighed" jsonb NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_signup_refusals" PRIMARY KEY ("user_id")
      )`,

      `CREATE TABLE ${table('referral_usages')} (
        "user_id" character varying(128) NOT NULL,
        "reference" character varying(255) NOT NULL,
        "amount" numeric(20,4) NOT NULL,
        "is_counted" boolean NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_usages" PRIMARY KEY ("user_id", "reference")
      )`,

      // Updates of balances are HOT updates: no index contains a balance, and the fill factor leaves room in each page.
      `CREATE TABLE ${table('referral_credits')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "kind" character varying(16) NOT NULL,
        "name" character varying(300) NOT NULL,
        "type_id" bigint NOT NULL,
        "initial_balance" numeric(20,4) NOT NULL,
        "current_balance" numeric(20,4) NOT NULL,
        "start_date" TIMESTAMP WITH TIME ZONE NOT NULL,
        "expiry_date" TIMESTAMP WITH TIME ZONE NOT NULL,
        "referee_id" character varying(128),
        "voucher_code" character varying(100),
        "reference" character varying(255),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_credits" PRIMARY KEY ("user_id", "id"),
        CONSTRAINT "fk_referral_credits_type" FOREIGN KEY ("type_id") REFERENCES ${table('referral_credit_types')} ("id"),
        CONSTRAINT "ck_referral_credits_balance" CHECK ("initial_balance" > 0 AND "current_balance" >= 0),
        CONSTRAINT "ck_referral_credits_dates" CHECK ("expiry_date" > "start_date")
      ) WITH (fillfactor = 70)`,
      `CREATE INDEX "ix_referral_credits_id" ON ${table('referral_credits')} ("id")`,
      `CREATE INDEX "ix_referral_credits_expiry" ON ${table('referral_credits')} ("user_id", "expiry_date", "id")`,
      // One credit for the referee and one for the referrer of a sign-up: user_id is the one who gets it.
      `CREATE UNIQUE INDEX "uq_referral_credits_side" ON ${table('referral_credits')} ("user_id", "kind", "referee_id")
        WHERE "referee_id" IS NOT NULL`,
      `CREATE UNIQUE INDEX "uq_referral_credits_reference" ON ${table('referral_credits')} ("user_id", "reference")
        WHERE "reference" IS NOT NULL`,

      `CREATE TABLE ${table('referral_credit_spends')} (
        "user_id" character varying(128) NOT NULL,
        "reference" character varying(255) NOT NULL,
        "kind" character varying(8) NOT NULL,
        "amount" numeric(20,4) NOT NULL,
        "covered" numeric(20,4) NOT NULL,
        "captured" numeric(20,4),
        "refunded" numeric(20,4),
        "description" character varying(500) NOT NULL DEFAULT '',
        "product" character varying(100),
        "product_category" character varying(100),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_credit_spends" PRIMARY KEY ("user_id", "reference"),
        CONSTRAINT "ck_referral_credit_spends_amounts" CHECK (
          "amount" > 0 AND "covered" BETWEEN 0 AND "amount" AND "captured" BETWEEN 0 AND "covered"
          AND "refunded" BETWEEN 0 AND "captured"
        )
      ) WITH (fillfactor = 90)`,
      `CREATE INDEX "ix_referral_credit_spends_reference" ON ${table('referral_credit_spends')} ("reference")`,

      `CREATE TABLE ${table('referral_credit_transactions')} (
        "user_id" character varying(128) NOT NULL,
        "credit_id" bigint NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "kind" character varying(16) NOT NULL,
        "value" numeric(20,4) NOT NULL,
        "description" character varying(500) NOT NULL DEFAULT '',
        "reference" character varying(255),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_credit_transactions" PRIMARY KEY ("user_id", "credit_id", "id"),
        CONSTRAINT "fk_referral_credit_transactions_credit" FOREIGN KEY ("user_id", "credit_id")
          REFERENCES ${table('referral_credits')} ("user_id", "id"),
        CONSTRAINT "ck_referral_credit_transactions_value" CHECK ("value" <> 0)
      )`,
      `CREATE INDEX "ix_referral_credit_transactions_id" ON ${table('referral_credit_transactions')} ("id")`,
      `CREATE INDEX "ix_referral_credit_transactions_reference"
        ON ${table('referral_credit_transactions')} ("user_id", "reference")`,
      `CREATE UNIQUE INDEX "uq_referral_credit_transactions_adjustment"
        ON ${table('referral_credit_transactions')} ("user_id", "credit_id", "reference") WHERE "kind" = 'adjustment'`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const column of ['program_id', 'allowed_uses', 'uses'])
      await queryRunner.query(`ALTER TABLE ${table('referrals')} DROP COLUMN "${column}"`);
    for (const name of tables) await queryRunner.query(`DROP TABLE ${table(name)}`);
  }
}
