import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** How often an earn-out was completed, so that one that is set back to be paid again is found. */
export class CountCompletions1796000000001 implements MigrationInterface {
  readonly name = 'CountCompletions1796000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const earnOuts = inSchemaOf(queryRunner)('referral_earn_outs');
    await once(queryRunner, this.name, [
      `ALTER TABLE ${earnOuts} ADD COLUMN "completions" integer NOT NULL DEFAULT 0`,
      `UPDATE ${earnOuts} SET "completions" = 1 WHERE "status" = 'completed'`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const earnOuts = inSchemaOf(queryRunner)('referral_earn_outs');
    await queryRunner.query(`ALTER TABLE ${earnOuts} DROP COLUMN "completions"`);
  }
}
