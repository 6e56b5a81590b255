import type { Database } from '../../database/database';
import { quotientInCents } from './quotient';

/**
 * SQL: what refunds of an amount take back of a commission, with the rounding of `refundStatement`. Null for a purchase of
 * 0, which earns nothing: an amount in another currency can be rounded to 0, and have refunds of 0.
 */
export function takenBackBy(earned: string, refunded: string, paid: string, { currency }: Database): string {
  return quotientInCents(`${earned} * (${refunded})`, `nullif(${paid}, 0)`, currency.digits);
}

/**
 * SQL: the refunds of a purchase that are not undone, as a subquery with the columns `reference`, and `back`: what each takes
 * back of a commission that is made after them.
 */
export function refundedShares(
  database: Database,
  { buyer, purchase, earned, paid }: Record<'buyer' | 'purchase' | 'earned' | 'paid', string>,
): string {
  const upTo = (refunded: string): string => takenBackBy(earned, refunded, paid, database);
  return `(
        SELECT r.reference, coalesce(${upTo('r.refunded')} - ${upTo('r.refunded - r.amount')}, 0) AS back
        FROM (
          SELECT r.reference, r.amount, sum(r.amount) OVER (ORDER BY r.created_at, r.reference) AS refunded
          FROM ${database.tables.refunds} r
          WHERE r.user_id = ${buyer} AND r.purchase = ${purchase} AND r.undone_at IS NULL
        ) AS r
      )`;
}
