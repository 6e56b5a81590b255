import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The tables of clicks, each with its foreign key to `referrals`. */
const foreignKeys = [
  ['referral_responses', 'fk_referral_responses_referral'],
  ['referral_daily_counts', 'fk_referral_daily_counts_referral'],
] as const;

/**
 * Drops the foreign keys of responses and daily counts. PostgreSQL tested them row by row; the statement that records
 * clicks locks each link once instead, and what deletes a link deletes its clicks.
 */
export class ClicksWithoutForeignKey1800000000000 implements MigrationInterface {
  readonly name = 'ClicksWithoutForeignKey1800000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    // Where these tables are distributed (Citus), the host has dropped the foreign keys before.
    await once(
      queryRunner,
      this.name,
      foreignKeys.map(([name, key]) => `ALTER TABLE ${table(name)} DROP CONSTRAINT IF EXISTS "${key}"`),
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const [name, key] of foreignKeys) {
      // What the host has left over by deleting rows of `referrals` on its own.
      await queryRunner.query(
        `DELETE FROM ${table(name)} AS c WHERE NOT EXISTS (SELECT FROM ${table('referrals')} r WHERE r."id" = c."referral_id")`,
      );
      await queryRunner.query(
        `ALTER TABLE ${table(name)} ADD CONSTRAINT "${key}" FOREIGN KEY ("referral_id")
          REFERENCES ${table('referrals')} ("id") ON DELETE CASCADE`,
      );
    }
  }
}
