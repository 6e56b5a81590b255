import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

const tables = [
  'referral_commission_entries',
  'referral_commissions',
  'referral_earn_outs',
  'referral_refunds',
  'referral_purchases',
  'referral_redemptions',
  'referral_buyers',
  'referral_account_totals',
  'referral_referees',
  'referral_accounts',
  'referral_channels',
];

const isCommission = `("commission_ratio" IS NULL) <= ("commission_max_per_referee" IS NULL)
          AND "commission_ratio" BETWEEN 0 AND 1 AND "commission_max_per_referee" > 0`;

/** Accounts, channels, purchases and their refunds, commissions and their ledger, earn-outs. */
export class CreateCommissions1792000000000 implements MigrationInterface {
  readonly name = 'CreateCommissions1792000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `ALTER TABLE ${table('referral_programs')}
        ADD COLUMN "commission_ratio" numeric(20,4),
        ADD COLUMN "commission_max_per_referee" numeric(20,4)`,
      `ALTER TABLE ${table('referral_programs')} ADD CONSTRAINT "ck_referral_programs_commission"
        CHECK (${isCommission})`,
      `ALTER TABLE ${table('referral_signups')}
        ADD COLUMN "commission_ratio" numeric(20,4),
        ADD COLUMN "commission_max_per_referee" numeric(20,4)`,

      // A channel extends a referral and has the same id.
      `CREATE TABLE ${table('referral_channels')} (
        "id" bigint NOT NULL,
        "description" character varying(500) NOT NULL DEFAULT '',
        "promo_type" character varying(16) NOT NULL,
        "promo_value" numeric(20,4) NOT NULL,
        "is_active" boolean NOT NULL DEFAULT true,
        "is_recurring" boolean NOT NULL DEFAULT false,
        "start_date" TIMESTAMP WITH TIME ZONE NOT NULL,
        "end_date" TIMESTAMP WITH TIME ZONE,
        "initial_rate" numeric(20,4) NOT NULL,
        "ongoing_rate" numeric(20,4) NOT NULL,
        "initial_rate_period_days" integer NOT NULL,
        "max_earnings_per_referred" numeric(20,4),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_channels" PRIMARY KEY ("id"),
        CONSTRAINT "fk_referral_channels_referral" FOREIGN KEY ("id") REFERENCES ${table('referrals')} ("id"),
        CONSTRAINT "ck_referral_channels_promo" CHECK ("promo_value" >= 0 AND ("promo_type" <> 'percent_off' OR "promo_value" <= 1)),
        CONSTRAINT "ck_referral_channels_dates" CHECK ("end_date" > "start_date"),
        CONSTRAINT "ck_referral_channels_rates" CHECK (
          "initial_rate" BETWEEN 0 AND 1 AND "ongoing_rate" BETWEEN 0 AND 1 AND "initial_rate_period_days" >= 0
          AND "max_earnings_per_referred" > 0
        )
      )`,

      // Updates of the counters and sums here, and of the totals below, are HOT updates: the fill factor leaves room.
      `CREATE TABLE ${table('referral_accounts')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "mode" character varying(8) NOT NULL DEFAULT 'credits',
        "payout_email" character varying(254),
        "referral_id" bigint,
        "users_referred" integer NOT NULL DEFAULT 0,
        "users_upgraded" integer NOT NULL DEFAULT 0,
        "credits_paid" numeric(28,4) NOT NULL DEFAULT 0,
        "payouts_paid" numeric(28,4) NOT NULL DEFAULT 0,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        "updated_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_accounts" PRIMARY KEY ("user_id"),
        CONSTRAINT "fk_referral_accounts_referral" FOREIGN KEY ("referral_id") REFERENCES ${table('referrals')} ("id"),
        CONSTRAINT "ck_referral_accounts_mode" CHECK ("mode" = 'credits' OR ("mode" = 'payout' AND "payout_email" IS NOT NULL)),
        CONSTRAINT "ck_referral_accounts_counts" CHECK ("users_upgraded" BETWEEN 0 AND "users_referred")
      ) WITH (fillfactor = 70)`,
      `CREATE INDEX "ix_referral_accounts_id" ON ${table('referral_accounts')} ("id")`,
      `CREATE INDEX "ix_referral_accounts_referral" ON ${table('referral_accounts')} ("referral_id")`,

      `CREATE TABLE ${table('referral_referees')} (
        "user_id" character varying(128) NOT NULL,
        "referee_id" character varying(128) NOT NULL,
        "met_by" character varying(8) NOT NULL DEFAULT 'sign-up',
        "earned" numeric(28,4) NOT NULL DEFAULT 0,
        "upgraded_at" TIMESTAMP WITH TIME ZONE,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_referees" PRIMARY KEY ("user_id", "referee_id"),
        CONSTRAINT "ck_referral_referees_earned" CHECK ("earned" >= 0)
      ) WITH (fillfactor = 80)`,

      // Channel 0 means none, because a column of a primary key can't be null.
      `CREATE TABLE ${table('referral_account_totals')} (
        "user_id" character varying(128) NOT NULL,
        "channel_id" bigint NOT NULL,
        "mode" character varying(8) NOT NULL,
        "commissions" integer NOT NULL DEFAULT 0,
        "reverted" integer NOT NULL DEFAULT 0,
        "amount" numeric(28,4) NOT NULL DEFAULT 0,
        "matured" integer NOT NULL DEFAULT 0,
        "matured_amount" numeric(28,4) NOT NULL DEFAULT 0,
        "matured_until" TIMESTAMP WITH TIME ZONE NOT NULL,
        "redemptions" integer NOT NULL DEFAULT 0,
        "revenue" numeric(28,4) NOT NULL DEFAULT 0,
        CONSTRAINT "pk_referral_account_totals" PRIMARY KEY ("user_id", "channel_id", "mode")
      ) WITH (fillfactor = 50)`,

      `CREATE TABLE ${table('referral_buyers')} (
        "user_id" character varying(128) NOT NULL,
        "first_purchase_at" TIMESTAMP WITH TIME ZONE,
        "channel_id" bigint,
        "is_redeemed" boolean NOT NULL DEFAULT false,
        "version" integer NOT NULL DEFAULT 0,
        "applied_at" TIMESTAMP WITH TIME ZONE,
        "last_channel_id" bigint,
        CONSTRAINT "pk_referral_buyers" PRIMARY KEY ("user_id"),
        CONSTRAINT "fk_referral_buyers_channel" FOREIGN KEY ("channel_id")
          REFERENCES ${table('referral_channels')} ("id") ON DELETE SET NULL
      ) WITH (fillfactor = 80)`,
      `CREATE INDEX "ix_referral_buyers_channel" ON ${table('referral_buyers')} ("channel_id") WHERE "channel_id" IS NOT NULL`,

      `CREATE TABLE ${table('referral_redemptions')} (
        "user_id" character varying(128) NOT NULL,
        "channel_id" bigint NOT NULL,
        "reference" character varying(255) NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_redemptions" PRIMARY KEY ("user_id", "channel_id"),
        CONSTRAINT "fk_referral_redemptions_channel" FOREIGN KEY ("channel_id") REFERENCES ${table('referral_channels')} ("id")
      )`,
      `CREATE INDEX "ix_referral_redemptions_channel" ON ${table('referral_redemptions')} ("channel_id")`,

      `CREATE TABLE ${table('referral_purchases')} (
        "user_id" character varying(128) NOT NULL,
        "reference" character varying(255) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "amount" numeric(20,4) NOT NULL,
        "refunded" numeric(20,4) NOT NULL DEFAULT 0,
        "purchased_at" TIMESTAMP WITH TIME ZONE NOT NULL,
        "source" character varying(16),
        "referral_id" bigint,
        "channel_id" bigint,
        "referrer_id" character varying(128),
        "mode" character varying(8),
        "is_revenue" boolean NOT NULL DEFAULT false,
        "no_commission" character varying(16),
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_purchases" PRIMARY KEY ("user_id", "reference"),
        CONSTRAINT "ck_referral_purchases_amounts" CHECK ("amount" >= 0 AND "refunded" BETWEEN 0 AND "amount")
      ) WITH (fillfactor = 90)`,
      `CREATE INDEX "ix_referral_purchases_id" ON ${table('referral_purchases')} ("id")`,

      `CREATE TABLE ${table('referral_refunds')} (
        "user_id" character varying(128) NOT NULL,
        "reference" character varying(255) NOT NULL,
        "purchase" character varying(255) NOT NULL,
        "amount" numeric(20,4) NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_refunds" PRIMARY KEY ("user_id", "reference"),
        CONSTRAINT "fk_referral_refunds_purchase" FOREIGN KEY ("user_id", "purchase")
          REFERENCES ${table('referral_purchases')} ("user_id", "reference"),
        CONSTRAINT "ck_referral_refunds_amount" CHECK ("amount" > 0)
      )`,
      `CREATE INDEX "ix_referral_refunds_purchase" ON ${table('referral_refunds')} ("user_id", "purchase")`,

      `CREATE TABLE ${table('referral_earn_outs')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "mode" character varying(8) NOT NULL,
        "payout_email" character varying(254),
        "amount" numeric(28,4) NOT NULL,
        "commissions" integer NOT NULL,
        "status" character varying(16) NOT NULL DEFAULT 'processing',
        "error_reason" character varying(500),
        "idempotency_key" character varying(36) NOT NULL,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        "updated_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_earn_outs" PRIMARY KEY ("user_id", "id"),
        CONSTRAINT "ck_referral_earn_outs_amount" CHECK ("amount" > 0),
        CONSTRAINT "ck_referral_earn_outs_status" CHECK ("status" IN ('processing', 'completed', 'failed')),
        CONSTRAINT "ck_referral_earn_outs_mode" CHECK ("mode" IN ('credits', 'payout'))
      ) WITH (fillfactor = 90)`,
      `CREATE INDEX "ix_referral_earn_outs_id" ON ${table('referral_earn_outs')} ("id")`,
      `CREATE UNIQUE INDEX "uq_referral_earn_outs_key" ON ${table('referral_earn_outs')} ("user_id", "idempotency_key")`,
      // An account has one earn-out in progress for each mode. The index also finds those that a dead process has left.
      `CREATE UNIQUE INDEX "uq_referral_earn_outs_processing" ON ${table('referral_earn_outs')} ("mode", "user_id")
        WHERE "status" = 'processing'`,

      `CREATE TABLE ${table('referral_commissions')} (
        "user_id" character varying(128) NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "referee_id" character varying(128) NOT NULL,
        "purchase" character varying(255) NOT NULL,
        "referral_id" bigint NOT NULL,
        "channel_id" bigint,
        "mode" character varying(8) NOT NULL,
        "rate" numeric(20,4) NOT NULL,
        "max_per_referee" numeric(20,4),
        "earned" numeric(28,4) NOT NULL,
        "amount" numeric(28,4) NOT NULL,
        "available_at" TIMESTAMP WITH TIME ZONE NOT NULL,
        "reverted_at" TIMESTAMP WITH TIME ZONE,
        "earn_out_id" bigint,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        "updated_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_commissions" PRIMARY KEY ("user_id", "id"),
        CONSTRAINT "fk_referral_commissions_referral" FOREIGN KEY ("referral_id") REFERENCES ${table('referrals')} ("id"),
        CONSTRAINT "ck_referral_commissions_amounts" CHECK ("earned" > 0 AND "amount" BETWEEN 0 AND "earned"),
        CONSTRAINT "ck_referral_commissions_mode" CHECK ("mode" IN ('credits', 'payout'))
      ) WITH (fillfactor = 80)`,
      `CREATE INDEX "ix_referral_commissions_id" ON ${table('referral_commissions')} ("id")`,
      `CREATE INDEX "ix_referral_commissions_referral" ON ${table('referral_commissions')} ("referral_id")`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase" ON ${table('referral_commissions')} ("user_id", "referee_id", "purchase")`,
      // For pages of the API that are ordered by amount or by time, with index-only scans up to the end of the page.
      `CREATE INDEX "ix_referral_commissions_amount" ON ${table('referral_commissions')} ("user_id", "amount" DESC, "id")
        INCLUDE ("available_at", "reverted_at", "mode", "channel_id")`,
      `CREATE INDEX "ix_referral_commissions_created" ON ${table('referral_commissions')} ("user_id", "created_at" DESC, "id")
        INCLUDE ("available_at", "reverted_at", "mode", "channel_id")`,
      // Includes channel_id: for an index-only scan of the expression, PostgreSQL needs the column itself.
      `CREATE INDEX "ix_referral_commissions_available"
        ON ${table('referral_commissions')} ("user_id", coalesce("channel_id", 0::bigint), "mode", "available_at")
        INCLUDE ("amount", "reverted_at", "channel_id")`,
      `CREATE INDEX "ix_referral_commissions_unpaid" ON ${table('referral_commissions')} ("user_id", "mode", "available_at")
        WHERE "earn_out_id" IS NULL`,
      `CREATE INDEX "ix_referral_commissions_earn_out" ON ${table('referral_commissions')} ("user_id", "earn_out_id")
        WHERE "earn_out_id" IS NOT NULL`,

      `CREATE TABLE ${table('referral_commission_entries')} (
        "user_id" character varying(128) NOT NULL,
        "commission_id" bigint NOT NULL,
        "id" bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
        "amount" numeric(28,4) NOT NULL,
        "refund" character varying(255) NOT NULL,
        "earn_out_id" bigint,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        CONSTRAINT "pk_referral_commission_entries" PRIMARY KEY ("user_id", "commission_id", "id"),
        CONSTRAINT "fk_referral_commission_entries_commission" FOREIGN KEY ("user_id", "commission_id")
          REFERENCES ${table('referral_commissions')} ("user_id", "id"),
        CONSTRAINT "ck_referral_commission_entries_amount" CHECK ("amount" < 0)
      )`,
      `CREATE UNIQUE INDEX "uq_referral_commission_entries_refund"
        ON ${table('referral_commission_entries')} ("user_id", "commission_id", "refund")`,
      `CREATE INDEX "ix_referral_commission_entries_unpaid" ON ${table('referral_commission_entries')} ("user_id", "commission_id")
        WHERE "earn_out_id" IS NULL`,
      `CREATE INDEX "ix_referral_commission_entries_earn_out" ON ${table('referral_commission_entries')} ("user_id", "earn_out_id")
        WHERE "earn_out_id" IS NOT NULL`,

      // From now on every referrer has an account: creates those of the existing sign-ups.
      `INSERT INTO ${table('referral_referees')} ("user_id", "referee_id", "created_at")
        SELECT "referrer_id", "user_id", "created_at" FROM ${table('referral_signups')} WHERE "referrer_id" IS NOT NULL`,
      `INSERT INTO ${table('referral_accounts')} ("user_id", "users_referred")
        SELECT "user_id", count(*) FROM ${table('referral_referees')} GROUP BY "user_id"`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const name of tables) await queryRunner.query(`DROP TABLE ${table(name)}`);
    for (const name of ['referral_signups', 'referral_programs'])
      for (const column of ['commission_ratio', 'commission_max_per_referee'])
        await queryRunner.query(`ALTER TABLE ${table(name)} DROP COLUMN "${column}"`);
  }
}
