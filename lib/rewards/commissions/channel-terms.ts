/** SQL: whether the coupon of a channel `c` can be applied, and redeemed for the first time, at a time. */
export function isOpen(at: string): string {
  return `(c.is_active AND c.start_date <= ${at} AND (c.end_date > ${at}) IS NOT FALSE)`;
}

/** SQL: whether the coupon of a referral `r` has been redeemed as often as its code allows. */
export const isUsedUp = '(r.allowed_uses <> -1 AND r.redemptions >= r.allowed_uses)';

/** SQL: the discount of a channel `c` on an amount, rounded half up to the minor unit, at most the amount. */
export function discount(amount: string, digits: number): string {
  const promo = `CASE c.promo_type WHEN 'percent_off' THEN ${amount} * c.promo_value ELSE c.promo_value END`;
  return `least(round(${promo}, ${digits}), ${amount})`;
}

/** SQL: whether a buyer `b` who has applied the coupon of a channel `c`, a referral `r`, gets its discount at a time. */
export function isOn(at: string): string {
  return `CASE WHEN b.is_redeemed THEN c.is_recurring ELSE ${isOpen(at)} AND NOT ${isUsedUp} END`;
}
