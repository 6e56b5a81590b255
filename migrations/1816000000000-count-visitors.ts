import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/**
 * Counts the visitors of each referral and day beside the clicks. Visitors of clicks before are counted from the
 * responses, by the first click of each.
 *
 * The responses are counted into a temporary table before they are locked, so that clicks do not wait for that. `once` runs
 * the statements in a transaction, at whose end the temporary table goes.
 */
export class CountVisitors1816000000000 implements MigrationInterface {
  readonly name = 'CountVisitors1816000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const responses = table('referral_responses');
    const counted = 'pg_temp."referral_counted_visitors"';
    await once(queryRunner, this.name, [
      `CREATE TEMPORARY TABLE ${counted} ON COMMIT DROP AS
       SELECT "referral_id", "day", count(*) AS "visitors" FROM (
         SELECT "referral_id", (min("created_at") AT TIME ZONE 'UTC')::date AS "day" FROM ${responses}
         WHERE "action" = 'RESPONDED' GROUP BY "referral_id", coalesce('user ' || "user_id", "visitor_id"::text)
       ) AS "firsts" GROUP BY "referral_id", "day"`,
      `ALTER TABLE ${responses} ADD COLUMN "is_new_visitor" boolean NOT NULL DEFAULT false`,
      `ALTER TABLE ${table('referral_daily_counts')} ADD COLUMN "visitors" bigint NOT NULL DEFAULT 0`,
      `UPDATE ${table('referral_daily_counts')} AS c SET "visitors" = least(c."clicks", n."visitors")
       FROM ${counted} n WHERE c."referral_id" = n."referral_id" AND c."day" = n."day"`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`ALTER TABLE ${table('referral_daily_counts')} DROP COLUMN "visitors"`);
    await queryRunner.query(`ALTER TABLE ${table('referral_responses')} DROP COLUMN "is_new_visitor"`);
  }
}
