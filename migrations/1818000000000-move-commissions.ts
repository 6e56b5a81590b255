import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

const whoDecides = ['source', 'referral_id', 'referrer_id', 'mode'];

/** Lets staff move past commissions of a sign-up to another referrer, and counts rewards whose sign-ups have left. */
export class MoveCommissions1818000000000 implements MigrationInterface {
  readonly name = 'MoveCommissions1818000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const commissions = table('referral_commissions');
    const decisions = table('referral_late_attributions');
    const counts = table('referral_reward_counts');
    await once(queryRunner, this.name, [
      `ALTER TABLE ${commissions} ADD COLUMN "moved_at" TIMESTAMP WITH TIME ZONE, ADD COLUMN "moved_from" bigint,
        ADD COLUMN "slot" bigint NOT NULL DEFAULT 0`,
      `ALTER TABLE ${commissions} ADD CONSTRAINT "ck_referral_commissions_moved" CHECK (
        "slot" = CASE WHEN "moved_at" IS NULL THEN 0 ELSE "id" END AND ("moved_at" IS NULL
          OR ("amount" = 0 AND "reverted_at" IS NOT NULL AND "held_from" IS NULL AND "rejected_at" IS NULL))
      )`,
      `DROP INDEX ${table('uq_referral_commissions_purchase')}`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase" ON ${commissions}
        ("referee_id", "user_id", "purchase", "kind", "signup_id", "slot")`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_moved_from" ON ${commissions} ("moved_from")
        WHERE "moved_from" IS NOT NULL`,
      ...whoDecides.map((column) => `ALTER TABLE ${decisions} ALTER COLUMN "${column}" DROP NOT NULL`),
      `ALTER TABLE ${decisions} ADD COLUMN "is_moved" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${counts} ADD COLUMN "departed" integer NOT NULL DEFAULT 0`,
      // Until now, the count alone knew of them.
      `UPDATE ${counts} n SET "departed" = n."rewards" - (
        SELECT count(*) FROM ${table('referral_signups')} s
        WHERE s."referrer_id" = n."user_id" AND s."program_id" = n."program_id" AND s."reward_limit_count" IS NOT NULL
          AND s."reward_credit_amount" IS NOT NULL AND s."no_reward" IS NULL AND n."period" = CASE s."reward_limit_period"
            WHEN 'month' THEN to_char(s."threshold_reached_at" AT TIME ZONE 'UTC', 'YYYY-MM')
            WHEN 'quarter' THEN to_char(s."threshold_reached_at" AT TIME ZONE 'UTC', 'YYYY-"Q"Q')
            WHEN 'year' THEN to_char(s."threshold_reached_at" AT TIME ZONE 'UTC', 'YYYY')
            ELSE CASE WHEN s."threshold_reached_at" IS NOT NULL THEN 'all' END END
      )`,
    ]);
  }

  /** What was moved away is lost, and what it became is the purchase's. The times of the moves stay. */
  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const commissions = table('referral_commissions');
    const entries = table('referral_commission_entries');
    const decisions = table('referral_late_attributions');
    const copied = [
      ...whoDecides,
      'channel_id',
      'is_revenue',
      'no_commission',
      'rate',
      'room',
      'flat_amount',
      'terms_from',
    ];
    const set = [...copied, 'referrer_room', 'purchases_left', 'term_until'].map((name) => `"${name}" = l."${name}"`);
    for (const statement of [
      `ALTER TABLE ${table('referral_reward_counts')} DROP COLUMN "departed"`,
      `UPDATE ${table('referral_purchases')} p SET ${set.join(', ')} FROM ${decisions} l
        WHERE l."user_id" = p."user_id" AND l."purchase" = p."reference" AND l."is_moved"`,
      `DELETE FROM ${decisions} WHERE "is_moved"`,
      `ALTER TABLE ${decisions} DROP COLUMN "is_moved"`,
      ...whoDecides.map((column) => `ALTER TABLE ${decisions} ALTER COLUMN "${column}" SET NOT NULL`),
      `DELETE FROM ${entries} e USING ${commissions} c
        WHERE c."user_id" = e."user_id" AND c."id" = e."commission_id" AND c."moved_at" IS NOT NULL`,
      `UPDATE ${table('referral_account_totals')} t
        SET "commissions" = t."commissions" - m."count", "reverted" = t."reverted" - m."count"
        FROM (
          SELECT "user_id", coalesce("channel_id", 0) AS "channel_id", "mode", count(*) FROM ${commissions}
          WHERE "moved_at" IS NOT NULL GROUP BY 1, 2, 3
        ) m WHERE m."user_id" = t."user_id" AND m."channel_id" = t."channel_id" AND m."mode" = t."mode"`,
      // An earn-out can have them with their entries, which is a sum of 0.
      `UPDATE ${table('referral_earn_outs')} o SET "commissions" = o."commissions" - m."count"
        FROM (
          SELECT "user_id", "earn_out_id", count(*) FROM ${commissions}
          WHERE "moved_at" IS NOT NULL AND "earn_out_id" IS NOT NULL GROUP BY 1, 2
        ) m WHERE m."user_id" = o."user_id" AND m."earn_out_id" = o."id"`,
      `DELETE FROM ${commissions} WHERE "moved_at" IS NOT NULL`,
      `DROP INDEX ${table('uq_referral_commissions_moved_from')}`,
      `DROP INDEX ${table('uq_referral_commissions_purchase')}`,
      `CREATE UNIQUE INDEX "uq_referral_commissions_purchase" ON ${commissions}
        ("referee_id", "user_id", "purchase", "kind", "signup_id")`,
      `ALTER TABLE ${commissions} DROP CONSTRAINT "ck_referral_commissions_moved"`,
      ...['slot', 'moved_from', 'moved_at'].map((column) => `ALTER TABLE ${commissions} DROP COLUMN "${column}"`),
    ])
      await queryRunner.query(statement);
  }
}
