import type { MigrationInterface, QueryRunner } from 'typeorm';
import { inSchemaOf, once } from './once';

/** The added columns, by table, with the condition on them. Amounts are in the added currency. */
const added = {
  referral_purchases: {
    columns: {
      currency: 'character varying(3)',
      original_amount: 'numeric(20,4)',
      original_refunded: 'numeric(20,4)',
      exchange_rate: 'numeric(38,20)',
    },
    check: `num_nulls("currency", "original_amount", "original_refunded", "exchange_rate") IN (0, 4)
  AND "original_refunded" BETWEEN 0 AND "original_amount" AND "exchange_rate" > 0`,
  },
  referral_refunds: {
    columns: { currency: 'character varying(3)', original_amount: 'numeric(20,4)' },
    check: `("currency" IS NULL) = ("original_amount" IS NULL) AND "original_amount" > 0`,
  },
  referral_usages: {
    columns: {
      currency: 'character varying(3)',
      original_amount: 'numeric(20,4)',
      exchange_rate: 'numeric(38,20)',
    },
    check: `num_nulls("currency", "original_amount", "exchange_rate") IN (0, 3) AND "exchange_rate" > 0`,
  },
};

/** The columns whose constraint is replaced: those of before, then those that are added. */
const finite = {
  referral_purchases: [
    ['amount', 'refunded', 'rate', 'room'],
    ['original_amount', 'original_refunded', 'exchange_rate'],
  ],
  referral_refunds: [['amount'], ['original_amount']],
  referral_usages: [['amount'], ['original_amount', 'exchange_rate']],
} as const;

const isFinite = (columns: readonly string[]): string =>
  columns.map((column) => `abs("${column}") < 'Infinity'`).join(' AND ');

/** Keeps the original amount, its currency and the rate of what was paid in another currency than the program's. */
export class Currency1812000000000 implements MigrationInterface {
  readonly name = 'Currency1812000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    await once(queryRunner, this.name, [
      ...Object.entries(added).flatMap(([name, { columns, check }]) => [
        `ALTER TABLE ${table(name)} ${Object.entries(columns)
          .map(([column, type]) => `ADD COLUMN "${column}" ${type}`)
          .join(', ')}`,
        `ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_currency" CHECK (${check})`,
      ]),
      ...Object.entries(finite).flatMap(([name, [before, after]]) => [
        `ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_finite"`,
        `ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_finite" CHECK (${isFinite([...before, ...after])})`,
      ]),
      // A part of a purchase can be less than half a cent in the program's currency.
      `ALTER TABLE ${table('referral_refunds')} DROP CONSTRAINT "ck_referral_refunds_amount"`,
      `ALTER TABLE ${table('referral_refunds')} ADD CONSTRAINT "ck_referral_refunds_amount"
        CHECK ("amount" > 0 OR ("amount" = 0 AND "currency" IS NOT NULL))`,
    ]);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const table = inSchemaOf(queryRunner);
    for (const [name, [before]] of Object.entries(finite)) {
      await queryRunner.query(`ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_finite"`);
      await queryRunner.query(
        `ALTER TABLE ${table(name)} ADD CONSTRAINT "ck_${name}_finite" CHECK (${isFinite(before)})`,
      );
    }
    await queryRunner.query(`ALTER TABLE ${table('referral_refunds')} DROP CONSTRAINT "ck_referral_refunds_amount"`);
    // What was less than half a cent did not change anything.
    await queryRunner.query(
      `UPDATE ${table('referral_purchases')} p SET "refund_count" = p."refund_count" - r.count FROM (
          SELECT "user_id", "purchase", count(*)::integer FROM ${table('referral_refunds')} WHERE "amount" = 0 GROUP BY 1, 2
        ) r WHERE r."user_id" = p."user_id" AND r."purchase" = p."reference"`,
    );
    await queryRunner.query(`DELETE FROM ${table('referral_refunds')} WHERE "amount" = 0`);
    await queryRunner.query(
      `ALTER TABLE ${table('referral_refunds')} ADD CONSTRAINT "ck_referral_refunds_amount" CHECK ("amount" > 0)`,
    );
    for (const [name, { columns }] of Object.entries(added)) {
      await queryRunner.query(`ALTER TABLE ${table(name)} DROP CONSTRAINT "ck_${name}_currency"`);
      for (const column of Object.keys(columns))
        await queryRunner.query(`ALTER TABLE ${table(name)} DROP COLUMN "${column}"`);
    }
  }
}
