import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The added indexes, each with its table, and its columns with its condition. */
const added = [
  ['ix_referral_responses_newest', 'referral_responses', `("referral_id", "created_at", "id")`],
  [
    'ix_referral_responses_user_newest',
    'referral_responses',
    `("user_id", "created_at", "id") WHERE "user_id" IS NOT NULL`,
  ],
  // Also finds the visitor's responses at sign-in.
  [
    'ix_referral_responses_visitor_newest',
    'referral_responses',
    `("visitor_id", "created_at", "id") WHERE "user_id" IS NULL`,
  ],
  // For the option `responsesFilter`. Clicks, which are almost all of the responses, are in neither of the two.
  [
    'ix_referral_responses_action',
    'referral_responses',
    `("referral_id", "action", "id") WHERE "action" <> 'RESPONDED'`,
  ],
  [
    'ix_referral_responses_target',
    'referral_responses',
    `("referral_id", "target_type", "target_id", "id") WHERE "target_type" IS NOT NULL`,
  ],
  ['ix_referral_purchases_reference', 'referral_purchases', `("reference")`],
  // Look-ups that give the user too give both columns.
  [
    'ix_referral_commissions_paid_by',
    'referral_commissions',
    `("earn_out_id", "user_id") WHERE "earn_out_id" IS NOT NULL`,
  ],
] as const;

/** The indexes that these replace. */
const replaced = [
  ['ix_referral_responses_visitor', 'referral_responses', `("visitor_id") WHERE "user_id" IS NULL`],
  [
    'ix_referral_commissions_earn_out',
    'referral_commissions',
    `("user_id", "earn_out_id") WHERE "earn_out_id" IS NOT NULL`,
  ],
] as const;

/**
 * Returns the names of the added indexes that `CREATE INDEX CONCURRENTLY` has not finished. They stay under their names and
 * answer nothing, and `IF NOT EXISTS` would take them for the indexes.
 */
async function unfinished(queryRunner: QueryRunner, table: (name: string) => string): Promise<string[]> {
  const tables = [...new Set(added.map(([, on]) => table(on)))];
  const rows = (await queryRunner.query(
    `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = ANY ($1::regclass[]) AND c.relname = ANY ($2) AND NOT i.indisvalid`,
    [tables, added.map(([name]) => name)],
  )) as { name: string }[];
  return rows.map(({ name }) => name);
}

/**
 * Adds the indexes that answer each list of responses without reading more than the list returns, and those of searches
 * for a purchase by its reference and for the commissions that an earn-out has paid.
 */
export class ListByIndex1800000000001 implements MigrationInterface {
  readonly name = 'ListByIndex1800000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      ...(await unfinished(queryRunner, table)).map((name) => `DROP INDEX IF EXISTS ${table(name)}`),
      // The host may have built them before, with CONCURRENTLY, so that no click waits.
      ...added.map(([name, on, columns]) => `CREATE INDEX IF NOT EXISTS "${name}" ON ${table(on)} ${columns}`),
      ...replaced.map(([name]) => `DROP INDEX IF EXISTS ${table(name)}`),
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const [name, on, columns] of replaced)
      await queryRunner.query(`CREATE INDEX "${name}" ON ${table(on)} ${columns}`);
    for (const [name] of added) await queryRunner.query(`DROP INDEX ${table(name)}`);
  }
}
