import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The shop's own tables; those of express-referrals come with the package. */
export class CreateShop1790000001000 implements MigrationInterface {
  readonly name = 'CreateShop1790000001000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE shop_users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        email text NOT NULL CONSTRAINT uq_shop_users_email UNIQUE,
        password_hash text NOT NULL
      )`);
    await queryRunner.query(`
      CREATE TABLE shop_products (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        description text NOT NULL,
        price_cents integer NOT NULL CHECK (price_cents >= 0)
      )`);
    await queryRunner.query(`
      CREATE TABLE shop_orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES shop_users (id),
        product_id integer NOT NULL REFERENCES shop_products (id),
        product_name text NOT NULL,
        price_cents integer NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE shop_orders, shop_products, shop_users');
  }
}

/** Inserts the products. It is a migration, so that it runs once, even if several processes start at the same time. */
export class StockShop1790000002000 implements MigrationInterface {
  readonly name = 'StockShop1790000002000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      INSERT INTO shop_products (name, description, price_cents)
      SELECT * FROM (VALUES
        ('Ceramic mug', 'Thrown by hand, holds a generous 350 ml and survives the dishwasher.', 1800),
        ('Linen tote', 'Carries a week of groceries and gets softer with every wash.', 2400),
        ('Desk lamp', 'A warm light on a long arm, for late letters and early plans.', 6900),
        ('Field notebook', 'Stitched, dotted, 96 pages, and small enough for a coat pocket.', 950)
      ) AS stock
      WHERE NOT EXISTS (SELECT FROM shop_products)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DELETE FROM shop_products');
  }
}

/** Adds credit to orders. Existing orders were paid without credit. */
export class AddOrderCredit1791000001000 implements MigrationInterface {
  readonly name = 'AddOrderCredit1791000001000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE shop_orders
        ADD COLUMN credit_cents integer NOT NULL DEFAULT 0 CHECK (credit_cents BETWEEN 0 AND price_cents)`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE shop_orders DROP COLUMN credit_cents');
  }
}

/** Adds coupons, refunds and payouts. Existing orders have no discount and no refund. */
export class AddEarnings1792000001000 implements MigrationInterface {
  readonly name = 'AddEarnings1792000001000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE shop_orders
        ADD COLUMN discount_cents integer NOT NULL DEFAULT 0 CHECK (discount_cents >= 0),
        ADD COLUMN coupon_code text,
        ADD COLUMN refunded_at timestamptz,
        ADD CHECK (discount_cents + credit_cents <= price_cents)`);
    await queryRunner.query(`
      CREATE TABLE shop_payouts (
        idempotency_key text PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES shop_users (id),
        email text NOT NULL,
        amount_cents integer NOT NULL CHECK (amount_cents > 0),
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    await queryRunner.query('CREATE INDEX ix_shop_payouts_user ON shop_payouts (user_id)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE shop_payouts');
    await queryRunner.query(
      'ALTER TABLE shop_orders DROP COLUMN discount_cents, DROP COLUMN coupon_code, DROP COLUMN refunded_at',
    );
  }
}

/** Drops the table of payouts: earn-outs have the address, the amount, the bank's reference and the time. */
export class DropPayouts1793000001000 implements MigrationInterface {
  readonly name = 'DropPayouts1793000001000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE shop_payouts');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE shop_payouts (
        idempotency_key text PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES shop_users (id),
        email text NOT NULL,
        amount_cents integer NOT NULL CHECK (amount_cents > 0),
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    await queryRunner.query('CREATE INDEX ix_shop_payouts_user ON shop_payouts (user_id)');
  }
}

/** Adds who works for the shop. Existing users are customers. */
export class AddStaff1797000001000 implements MigrationInterface {
  readonly name = 'AddStaff1797000001000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE shop_users ADD COLUMN is_staff boolean NOT NULL DEFAULT false');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE shop_users DROP COLUMN is_staff');
  }
}
