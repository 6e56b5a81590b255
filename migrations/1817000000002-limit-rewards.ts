import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** How many rewards a referrer can get, in all or in a calendar period. */
export class LimitRewards1817000000002 implements MigrationInterface {
  readonly name = 'LimitRewards1817000000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    const statements: string[] = [];
    for (const name of ['programs', 'signups']) {
      const on = table(`referral_${name}`);
      statements.push(
        `ALTER TABLE ${on}
          ADD COLUMN "reward_limit_count" integer,
          ADD COLUMN "reward_limit_period" character varying(8)`,
        `ALTER TABLE ${on} ADD CONSTRAINT "ck_referral_${name}_reward_limit" CHECK (
          num_nonnulls("reward_limit_count", "reward_limit_period") IN (0, 2) AND "reward_limit_count" > 0
          AND "reward_limit_period" IN ('month', 'quarter', 'year', 'all'))`,
      );
    }
    await once(queryRunner, this.name, [
      ...statements,
      `CREATE TABLE ${table('referral_reward_counts')} (
        "user_id" character varying(128) NOT NULL,
        "program_id" bigint NOT NULL,
        "period" character varying(8) NOT NULL,
        "rewards" integer NOT NULL,
        CONSTRAINT "pk_referral_reward_counts" PRIMARY KEY ("user_id", "program_id", "period"),
        CONSTRAINT "fk_referral_reward_counts_program" FOREIGN KEY ("program_id")
          REFERENCES ${table('referral_programs')} ("id")
      )`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`DROP TABLE ${table('referral_reward_counts')}`);
    for (const name of ['signups', 'programs']) {
      const on = table(`referral_${name}`);
      await queryRunner.query(`ALTER TABLE ${on} DROP CONSTRAINT "ck_referral_${name}_reward_limit"`);
      for (const column of ['reward_limit_period', 'reward_limit_count'])
        await queryRunner.query(`ALTER TABLE ${on} DROP COLUMN "${column}"`);
    }
  }
}
