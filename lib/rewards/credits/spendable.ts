import { isNothing, textOf } from '../../input';
import { lengths } from '../../limits';
import type { Purpose } from '../../types/credits';

/**
 * SQL: whether a credit `c` has balance, and its dates allow to spend it at a time. `ix_referral_credits_spendable` finds
 * such credits of a user without reading those that are used up or expired.
 */
export function isSpendable(now: string): string {
  return `NOT c.is_used_up AND ${isInTime(now)}`;
}

/** SQL: whether the dates of a credit `c` allow to spend it at a time. */
export function isInTime(now: string): string {
  return `c.start_date <= ${now} AND c.expiry_date > ${now}`;
}

/** SQL: whether a credit's type `t` covers a product or its category. A type that lists neither covers everything. */
export function coversPurpose(product: string, category: string): string {
  return `(cardinality(t.only_for_products) + cardinality(t.only_for_product_categories) = 0
    OR ${product}::text = ANY(t.only_for_products) OR ${category}::text = ANY(t.only_for_product_categories))`;
}

/** Returns the checked product and category of a call. */
export function purposeOf({ product, productCategory }: Purpose): { product: string | null; category: string | null } {
  return { product: nameOf('product', product), category: nameOf('productCategory', productCategory) };
}

function nameOf(field: string, value: string | undefined): string | null {
  return isNothing(value) ? null : textOf(field, value, lengths.name, 1);
}
