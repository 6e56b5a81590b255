import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/**
 * Makes codes unique without regard to the case of A to Z, whatever collation the database has. The index before used
 * the rules of the database: under Turkish ones, it let in both `SPRING` and `spring`.
 */
export class FoldCodesAsAscii1798000000000 implements MigrationInterface {
  readonly name = 'FoldCodesAsAscii1798000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const referrals = inSchemaOf(queryRunner)('referrals');
    await once(queryRunner, this.name, [
      // From here on the table is locked, so that no code comes in after the check.
      `DROP INDEX ${inSchemaOf(queryRunner)('uq_referrals_code')}`,
      refuseSameCodes(referrals),
      `CREATE UNIQUE INDEX "uq_referrals_code" ON ${referrals} (lower("code" COLLATE "C"))`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await queryRunner.query(`DROP INDEX ${table('uq_referrals_code')}`);
    await queryRunner.query(`CREATE UNIQUE INDEX "uq_referrals_code" ON ${table('referrals')} (lower("code"))`);
  }
}

/**
 * SQL: fails with a list of the codes that differ by the case of A to Z alone, and says what to do. Whose code stays is
 * for the host to decide: the links and coupons of both owners were in use.
 */
function refuseSameCodes(referrals: string): string {
  return `DO $check$
    DECLARE
      same text;
      rename constant text := $sql$UPDATE ${referrals} SET "code" = 'ANOTHER' WHERE "id" = 1$sql$;
    BEGIN
      SELECT string_agg(codes, '; ' ORDER BY first_id) INTO same FROM (
        SELECT min("id") AS first_id, string_agg(format('"%s" (id %s)', "code", "id"), ', ' ORDER BY "id") AS codes
        FROM ${referrals} GROUP BY lower("code" COLLATE "C") HAVING count(*) > 1 ORDER BY 1 LIMIT 20
      ) AS groups;
      IF same IS NOT NULL THEN
        RAISE EXCEPTION 'Some codes of referrals differ by the case of A to Z alone, which no longer makes them '
          'different: %. Nothing was changed. Rename all but one of each, as by %, and run the migrations again.',
          same, rename;
      END IF;
    END $check$`;
}
