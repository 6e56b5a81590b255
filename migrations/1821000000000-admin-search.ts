import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The added indexes, each with its table, and what it is on. */
const indexes = [
  // What staff search by. `COLLATE "C"` is that of prefixes, whatever the locale of the database is.
  ['ix_referrals_label', 'referrals', `(lower("label" COLLATE "C"))`],
  // There is one of those with an address alone, whose statistics PostgreSQL does not use.
  ['ix_referral_accounts_address', 'referral_accounts', `(lower("payout_email" COLLATE "C"))`],
  ['ix_referral_signups_ip', 'referral_signups', `("ip_address", "id") WHERE "ip_address" IS NOT NULL`],
  ['ix_referral_credits_by_reference', 'referral_credits', `("reference") WHERE "reference" IS NOT NULL`],
  ['ix_referral_adjustments_reference', 'referral_adjustments', `("reference")`],
  ['ix_referral_refunds_reference', 'referral_refunds', `("reference")`],
  ['ix_referral_usages_reference', 'referral_usages', `("reference")`],
  // What lists are filtered by, and few rows have.
  ['ix_referral_commissions_rejected', 'referral_commissions', `("id") WHERE "rejected_at" IS NOT NULL`],
  ['ix_referral_commissions_reverted', 'referral_commissions', `("id") WHERE "reverted_at" IS NOT NULL`],
  ['ix_referral_accounts_suspended', 'referral_accounts', `("id") WHERE "suspended_at" IS NOT NULL`],
  ['ix_referral_reviews_referral', 'referral_reviews', `("referral_id", "id") WHERE "referral_id" IS NOT NULL`],
  ['ix_referral_audit_call', 'referral_audit', `("call", "id")`],
  // What happened in some days. Rows are added in the order of time, so an index of block ranges finds them; adding a row
  // costs next to nothing, where a B-tree would cost every click a write.
  ...[
    ['referral_responses', 'created_at'],
    ['referral_daily_counts', 'day'],
    ['referral_signups', 'created_at'],
    ['referral_purchases', 'created_at'],
    ['referral_commissions', 'created_at'],
  ].map(
    ([table, column]) =>
      [`ix_${table}_days`, table!, `USING brin ("${column}") WITH (pages_per_range = 32, autosummarize = on)`] as const,
  ),
] as const;

/** Indexes for the search and the lists of staff, where they would read a whole large table. */
export class AdminSearch1821000000000 implements MigrationInterface {
  readonly name = 'AdminSearch1821000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(
      queryRunner,
      this.name,
      indexes.map(([name, on, columns]) => `CREATE INDEX "${name}" ON ${table(on)} ${columns}`),
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const [name] of indexes) await queryRunner.query(`DROP INDEX ${table(name)}`);
  }
}
