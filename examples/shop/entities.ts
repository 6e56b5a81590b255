import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('shop_users')
export class User {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' })
  id!: string;

  @Column('text')
  name!: string;

  /** Normalised, so that the unique constraint finds another spelling of the same address. */
  @Column('text')
  email!: string;

  /** Only loaded by a login, so that no view can show it. */
  @Column('text', { name: 'password_hash', select: false })
  passwordHash!: string;

  /** Whether the user works for the shop. No form sets it. */
  @Column('boolean', { name: 'is_staff', default: false })
  isStaff!: boolean;
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

/** A purchase. It stores the name and the price that the product had at that time. */
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

  /** The discount of the coupon. */
  @Column('int', { name: 'discount_cents', default: 0 })
  discountCents!: number;

  @Column('text', { name: 'coupon_code', nullable: true })
  couponCode!: string | null;

  /** The part of the price after the discount that was paid with credit. */
  @Column('int', { name: 'credit_cents', default: 0 })
  creditCents!: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'refunded_at', nullable: true })
  refundedAt!: Date | null;

  get toPayCents(): number {
    return this.priceCents - this.discountCents - this.creditCents;
  }

  /** The idempotency key of this order in all calls of express-referrals. */
  get reference(): string {
    return `order-${this.id}`;
  }
}
