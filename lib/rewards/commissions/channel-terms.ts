/** The condition that a channel `c` can be applied and redeemed at a time. */
export function isOpen(at: string): string {
  return `(c.is_active AND c.start_date <= ${at} AND (c.end_date > ${at}) IS NOT FALSE)`;
}

/** The discount of a channel `c` on an amount: rounded half up to cents, never more than the amount. */
export function discount(amount: string): string {
  return `least(round(CASE c.promo_type WHEN 'percent_off' THEN ${amount} * c.promo_value ELSE c.promo_value END, 2), ${amount})`;
}
