import { minorUnitOf } from '../../currency';

/**
 * SQL: `dividend / divisor`, rounded half up to cents once; for a dividend from 0 and a divisor above 0. A cent is the
 * minor unit of the currency, which has `digits` decimals.
 *
 * The operator `/` of `numeric` rounds its result to some digits. To round that result again can give another cent than
 * the exact quotient: 0.00499…9 becomes 0.0050 and then 0.01. `div` computes the whole quotient exactly, and a half is
 * added before: n / d in cents, rounded half up, is the whole part of (200 n + d) / 2 d.
 */
export function quotientInCents(dividend: string, divisor: string, digits: number): string {
  const twoUnits = `2${'0'.repeat(digits)}`;
  return `(div(${twoUnits} * (${dividend}) + (${divisor}), 2 * (${divisor})) * ${minorUnitOf(digits)})`;
}
