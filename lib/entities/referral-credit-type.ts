import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { lengths } from '../limits';
import type { WithManager } from '../types/common';
import type { CreditTypeInput } from '../types/credits';
import { bigintAsNumber } from './columns';
import { ReferralRecord, related } from './record';
import type { ReferralCredit } from './referral-credit';

/** Says what credits of this type can be spent on, and whether a refund gives them back. */
@Entity({ name: 'referral_credit_types' })
@Index('uq_referral_credit_types_name', ['name'], { unique: true })
@Check(
  'ck_referral_credit_types_scope',
  'cardinality("only_for_products") = 0 OR cardinality("only_for_product_categories") = 0',
)
export class ReferralCreditType extends ReferralRecord<Partial<CreditTypeInput>> {
  @PrimaryColumn({
    name: 'id',
    type: 'bigint',
    generated: 'identity',
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_referral_credit_types',
    transformer: bigintAsNumber,
  })
  readonly id!: number;

  /** Unique. */
  @Column({ name: 'name', type: 'varchar', length: lengths.name })
  readonly name!: string;

  /** The product under which the host bills the credit; null for none. */
  @Column({ name: 'product', type: 'varchar', length: lengths.name, nullable: true })
  readonly product!: string | null;

  /** Whether `credits.refund` gives back spent credit of this type. */
  @Column({ name: 'refundable', type: 'boolean', default: false })
  readonly refundable!: boolean;

  /** The only products that the credit can be spent on. If both lists are empty, there is no restriction. */
  @Column({ name: 'only_for_products', type: 'text', array: true, default: () => "'{}'" })
  readonly onlyForProducts!: string[];

  /** The only product categories that the credit can be spent on. If both lists are empty, there is no restriction. */
  @Column({ name: 'only_for_product_categories', type: 'text', array: true, default: () => "'{}'" })
  readonly onlyForProductCategories!: string[];

  @Column({ name: 'created_at', type: 'timestamptz', default: () => 'now()' })
  readonly createdAt!: Date;

  /** Whether it is refundable or was so before, for `verify`. Not loaded. */
  @Column({ name: 'was_refundable', type: 'boolean', default: false, select: false })
  readonly wasRefundable?: boolean;

  /** All credits of this type, oldest first. */
  async credits(options: WithManager = {}): Promise<ReferralCredit[]> {
    return related(this, 'credits', options, (records) => records.find('credits', { creditTypeId: this.id }, options));
  }
}
