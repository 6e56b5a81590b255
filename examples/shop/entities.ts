import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

@Entity('shop_users')
export class User {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' })
  id!: string;

  @Column('text')
  name!: string;

  /** Normalised, so that the unique constraint sees one person once. */
  @Column('text')
  email!: string;

  /** Only loaded where a login asks for it, so that it never ends up in a view. */
  @Column('text', { name: 'password_hash', select: false })
  passwordHash!: string;
}

@Entity('shop_products')
export class Product {
  @PrimaryGeneratedColumn('identity', { type: 'int' })
  id!: number;

  @Column('text')
  name!: string;

  @Column('text')
  description!: string;

  @Column('int', { name: 'price_cents' })
  priceCents!: number;
}

/** Name and price are kept as they were when it was bought. */
@Entity('shop_orders')
export class Order {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' })
  id!: string;

  @Column('bigint', { name: 'user_id' })
  userId!: string;

  @Column('int', { name: 'product_id' })
  productId!: number;

  @Column('text', { name: 'product_name' })
  productName!: string;

  @Column('int', { name: 'price_cents' })
  priceCents!: number;

  /** What the coupon took off the price. */
  @Column('int', { name: 'discount_cents', default: 0 })
  discountCents!: number;

  @Column('text', { name: 'coupon_code', nullable: true })
  couponCode!: string | null;

  /** How much of what the discount left was covered by credit. */
  @Column('int', { name: 'credit_cents', default: 0 })
  creditCents!: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'refunded_at', nullable: true })
  refundedAt!: Date | null;

  get toPayCents(): number {
    return this.priceCents - this.discountCents - this.creditCents;
  }

  /** The word for this order in all calls of express-referrals. */
  get reference(): string {
    return `order-${this.id}`;
  }
}

/** Money sent to a referrer; in place of a provider of payments, who would know a key again as well. */
@Entity('shop_payouts')
export class Payout {
  @PrimaryColumn('text', { name: 'idempotency_key' })
  idempotencyKey!: string;

  @Column('bigint', { name: 'user_id' })
  userId!: string;

  @Column('text')
  email!: string;

  @Column('int', { name: 'amount_cents' })
  amountCents!: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;
}
