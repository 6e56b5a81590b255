import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once, unfinishedIndexes } from './once';

/** The added indexes, each with its table, and its columns with its condition. */
const added = [
  [
    'ix_referral_signups_referrer_day',
    'referral_signups',
    `("referrer_id", "created_at") WHERE "referrer_id" IS NOT NULL`,
  ],
  ['ix_referral_referees_newest', 'referral_referees', `("user_id", "created_at")`],
  ['ix_referral_referees_upgraded', 'referral_referees', `("user_id", "upgraded_at") WHERE "upgraded_at" IS NOT NULL`],
  ['ix_referral_commission_entries_day', 'referral_commission_entries', `("user_id", "created_at")`],
  ['ix_referral_adjustments_day', 'referral_adjustments', `("user_id", "created_at")`],
  ['ix_referral_credits_reward_day', 'referral_credits', `("user_id", "created_at") WHERE "kind" = 'reward'`],
  ['ix_referrals_owner', 'referrals', `("user_id", "id")`],
] as const;

const user = `"user_id" character varying(128) NOT NULL`;
const clicks = `"clicks" bigint NOT NULL DEFAULT 0, "visitors" bigint NOT NULL DEFAULT 0`;

/**
 * What was counted for a referrer on each day that is over, for pages that show it. Nothing is filled in here: a page that has
 * to read much sums it up.
 */
export class UserDays1820000000000 implements MigrationInterface {
  readonly name = 'UserDays1820000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      `CREATE TABLE ${table('referral_user_days')} (
        ${user}, "day" date NOT NULL, ${clicks},
        "signups" integer NOT NULL DEFAULT 0,
        "customers" integer NOT NULL DEFAULT 0,
        "earned" numeric(28,4) NOT NULL DEFAULT 0,
        CONSTRAINT "pk_referral_user_days" PRIMARY KEY ("user_id", "day"),
        CONSTRAINT "ck_referral_user_days_finite" CHECK (abs("earned") < 'Infinity')
      )`,
      `CREATE TABLE ${table('referral_user_links')} (
        ${user}, "referral_id" bigint NOT NULL, "clicks" bigint NOT NULL, "visitors" bigint NOT NULL,
        CONSTRAINT "pk_referral_user_links" PRIMARY KEY ("user_id", "referral_id")
      )`,
      `CREATE TABLE ${table('referral_closed_days')} (
        ${user}, "until" date, "closing_until" date, "closing_xid" bigint,
        CONSTRAINT "pk_referral_closed_days" PRIMARY KEY ("user_id")
      )`,
      ...(await unfinishedIndexes(queryRunner, added)).map((name) => `DROP INDEX IF EXISTS ${table(name)}`),
      // The host may have built them before, with CONCURRENTLY, so that nothing waits.
      ...added.map(([name, on, what]) => `CREATE INDEX IF NOT EXISTS "${name}" ON ${table(on)} ${what}`),
      // What it found, the index on the owner and the id finds too.
      `DROP INDEX IF EXISTS ${table('ix_referrals_user')}`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`CREATE INDEX "ix_referrals_user" ON ${table('referrals')} ("user_id")`);
    for (const [name] of added) await queryRunner.query(`DROP INDEX ${table(name)}`);
    for (const name of ['closed_days', 'user_links', 'user_days'])
      await queryRunner.query(`DROP TABLE ${table(`referral_${name}`)}`);
  }
}
