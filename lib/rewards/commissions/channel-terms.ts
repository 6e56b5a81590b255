/** SQL: whether the coupon of a channel `c` can be applied, and redeemed for the first time, at a time. */
export function isOpen(at: string): string {
  return `(c.is_active AND c.start_date <= ${at} AND (c.end_date > ${at}) IS NOT FALSE)`;
}

/** SQL: whether the coupon of a channel `c` has ended at a time. */
export function isExpired(at: string): string {
  return `coalesce(c.is_active AND c.end_date <= ${at}, false)`;
}

/** SQL: whether the coupon of a referral `r` has been redeemed as often as it may be. */
export const isUsedUp = `coalesce(r.redemptions >= coalesce(r.max_redemptions, nullif(r.allowed_uses, -1)), false)`;

/** SQL: the discount of a channel `c` on an amount, rounded half up to the minor unit, at most the amount. */
export function discount(amount: string, digits: number): string {
  const promo = `CASE c.promo_type WHEN 'percent_off' THEN ${amount} * c.promo_value ELSE c.promo_value END`;
  return `least(round(${promo}, ${digits}), ${amount})`;
}

/** SQL: whether the coupon of a channel `c` is for first purchases only, and the buyer `b` has bought before. */
export const isTooLate = '(c.first_purchase_only AND b.first_purchase_at IS NOT NULL)';

/** SQL: whether a buyer `b` who has applied the coupon of a channel `c`, a referral `r`, can use it at a time. */
export function isOn(at: string): string {
  return `CASE WHEN b.is_redeemed THEN c.is_recurring ELSE ${isOpen(at)} AND NOT ${isUsedUp} AND NOT ${isTooLate} END`;
}

/** SQL: whether the coupon of a channel `c` is for a product; one without a list of products is for everything. */
export function isForProduct(product: string): string {
  return `(cardinality(c.products) = 0 OR coalesce(${product}::text = ANY (c.products), false))`;
}

/** SQL: whether a price is high enough for the coupon of a channel `c`. */
export function isEnough(price: string): string {
  return `(c.minimum_amount <= ${price}) IS NOT FALSE`;
}

/**
 * SQL: the same for what was paid, where the price is not known: whether it is at least what a purchase of the minimum
 * costs with the discount.
 */
export function isEnoughPaid(paid: string, digits: number): string {
  return `(c.minimum_amount - ${discount('c.minimum_amount', digits)} <= ${paid}) IS NOT FALSE`;
}

/**
 * SQL: why a buyer `b` who has applied the coupon of a channel `c`, a referral `r`, gets no discount on a price: the code
 * of an error; null for a discount.
 */
export function refusal(at: string, price: string, product: string): string {
  return `CASE
    WHEN b.is_redeemed AND NOT c.is_recurring THEN 'COUPON_REDEEMED'
    WHEN NOT b.is_redeemed AND ${isExpired(at)} THEN 'COUPON_EXPIRED'
    WHEN NOT b.is_redeemed AND NOT ${isOpen(at)} THEN 'COUPON_INACTIVE'
    WHEN NOT b.is_redeemed AND ${isUsedUp} THEN 'COUPON_USED_UP'
    WHEN NOT b.is_redeemed AND ${isTooLate} THEN 'COUPON_FIRST_PURCHASE_ONLY'
    WHEN NOT ${isForProduct(product)} THEN 'COUPON_OTHER_PRODUCT'
    WHEN NOT ${isEnough(price)} THEN 'COUPON_BELOW_MINIMUM'
  END`;
}
