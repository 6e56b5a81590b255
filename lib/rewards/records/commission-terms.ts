import type { Currency } from '../../currency';
import type { RatedCommissionColumns } from '../../entities/commission-terms';
import type { ReferralRecord } from '../../entities/record';
import { invalid } from '../../errors';
import { amountOf, booleanOf, type FieldsOf, isNothing, objectOf, ratioOf, wholeOf } from '../../input';
import type { ChannelCommission, CommissionTerms, LimitPeriod, ReferrerLimit } from '../../types/commissions';
import type { Amount } from '../../types/common';

type Check = (field: string, value: unknown, currency: Currency) => unknown;
type Columns = Omit<RatedCommissionColumns, keyof ReferralRecord>;
/** Commission terms under the names of their columns, as codes take them. A field that is left out says nothing. */
export type FlatCommission = {
  -readonly [Name in keyof Columns]?: (Columns[Name] extends string | null ? Amount | null : Columns[Name]) | undefined;
};

export const limitPeriods: readonly LimitPeriod[] = ['month', 'quarter', 'year', 'all'];

const fields: FieldsOf<CommissionTerms> = {
  ...{ ratio: true, amount: true, months: true, purchases: true, maxPerReferee: true },
  ...{ signup: true, qualify: true, maxPerReferrer: true },
};
const channelFields: FieldsOf<ChannelCommission> = {
  ...{ amount: true, months: true, purchases: true, signup: true, qualify: true, maxPerReferrer: true },
};
const limitFields: FieldsOf<ReferrerLimit> = { amount: true, period: true };

/** How the value of each column is checked. */
const checks: { [Name in keyof Columns]: (field: string, value: never, currency: Currency) => unknown } = {
  commissionRatio: (field, value: Amount) => ratioOf(field, value),
  commissionAmount: (field, value: Amount, currency) => amountOf(field, value, 'positive', currency),
  commissionMonths: (field, value: number) => wholeOf(field, value, 1, 1200),
  commissionPurchases: (field, value: number) => wholeOf(field, value, 1, 2_147_483_647),
  commissionMaxPerReferee: (field, value: Amount, currency) => amountOf(field, value, 'positive', currency),
  commissionSignup: (field, value: Amount, currency) => amountOf(field, value, 'not negative', currency),
  commissionQualify: (field, value: boolean) => booleanOf(field, value),
  commissionMaxPerReferrer: (field, value: Amount, currency) => amountOf(field, value, 'positive', currency),
  commissionPeriod: (field, value: LimitPeriod) => {
    if (!limitPeriods.includes(value))
      throw invalid(field, limitPeriods.map((period) => `'${period}'`).join(' or '), value);
    return value;
  },
};

/** The list of the columns, for the list of what a call knows. */
export const commissionFields = Object.fromEntries(Object.keys(checks).map((name) => [name, true])) as Record<
  keyof Columns,
  true
>;

/** The field of {@link CommissionTerms} for each column. */
const fieldOf: Record<keyof Columns, string> = {
  ...{ commissionRatio: 'ratio', commissionAmount: 'amount', commissionMonths: 'months' },
  ...{ commissionPurchases: 'purchases', commissionMaxPerReferee: 'maxPerReferee', commissionSignup: 'signup' },
  ...{ commissionQualify: 'qualify', commissionMaxPerReferrer: 'maxPerReferrer.amount' },
  commissionPeriod: 'maxPerReferrer.period',
};
const nested = (column: keyof Columns): string => `commission.${fieldOf[column]}`;

/** What stands only together with others, of which one must be set. */
const needs: readonly [names: readonly (keyof Columns)[], others: readonly (keyof Columns)[]][] = [
  [
    ['commissionMonths', 'commissionPurchases', 'commissionMaxPerReferee'],
    ['commissionRatio', 'commissionAmount'],
  ],
  [['commissionQualify'], ['commissionSignup']],
  [['commissionPeriod'], ['commissionMaxPerReferrer']],
];

/**
 * Returns the checked values of the given columns. What belongs to a part that the change takes away becomes null.
 *
 * @param before the terms before the change; null for new ones.
 * @param nameOf returns the name of a column in errors.
 * @throws ReferralError `INVALID_INPUT` naming the field.
 */
export function checkedCommission(
  given: FlatCommission,
  before: Partial<Columns> | null,
  currency: Currency,
  nameOf: (column: keyof Columns) => string = (column) => column,
): Partial<Record<keyof Columns, unknown>> {
  const values: Partial<Record<keyof Columns, unknown>> = {};
  for (const [column, check] of Object.entries(checks) as [keyof Columns, Check][]) {
    const value = given[column];
    if (value !== undefined) values[column] = value === null ? null : check(nameOf(column), value, currency);
  }
  const isSet = (column: keyof Columns): boolean =>
    !isNothing(values[column] === undefined ? before?.[column] : values[column]);
  const name = (columns: readonly (keyof Columns)[]): string => columns.map(nameOf).join(' or ');
  if (isSet('commissionRatio') && isSet('commissionAmount')) {
    const [extra, other] = isNothing(given.commissionAmount)
      ? (['commissionRatio', 'commissionAmount'] as const)
      : (['commissionAmount', 'commissionRatio'] as const);
    throw invalid(nameOf(extra), `no value together with ${nameOf(other)}: set the one of them to null`, given[extra]);
  }
  for (const [columns, others] of needs) {
    if (others.some(isSet)) continue;
    for (const column of columns) {
      if (!isNothing(given[column]))
        throw invalid(nameOf(column), `a value together with ${name(others)} only`, given[column]);
      if (isSet(column)) values[column] = null;
    }
  }
  if (isSet('commissionMaxPerReferrer') && !isSet('commissionPeriod'))
    throw invalid(
      nameOf('commissionPeriod'),
      limitPeriods.map((period) => `'${period}'`).join(' or '),
      given.commissionPeriod,
    );
  return values;
}

/**
 * Returns all columns of terms, checked; with nulls for what is not set, because a change replaces terms as a whole. The
 * field of the call is `commission`.
 */
export function flatCommission(terms: CommissionTerms | null, currency: Currency): FlatCommission {
  return flat(terms === null ? {} : objectOf('commission', terms, fields), terms, currency);
}

/** The same for a channel, which has rates of its own. */
export function flatChannelCommission(terms: ChannelCommission | null, currency: Currency): FlatCommission {
  const {
    commissionRatio: _ratio,
    commissionMaxPerReferee: _max,
    ...values
  } = flat(terms === null ? {} : objectOf('commission', terms, channelFields), terms, currency, {
    commissionRatio: '0',
  });
  return values;
}

function flat(
  terms: CommissionTerms,
  given: object | null,
  currency: Currency,
  rates: Partial<Columns> | null = null,
): FlatCommission {
  const limit = isNothing(terms.maxPerReferrer)
    ? null
    : objectOf('commission.maxPerReferrer', terms.maxPerReferrer, limitFields);
  const columns: FlatCommission = {
    commissionRatio: terms.ratio ?? null,
    commissionAmount: terms.amount ?? null,
    commissionMonths: terms.months ?? null,
    commissionPurchases: terms.purchases ?? null,
    commissionMaxPerReferee: terms.maxPerReferee ?? null,
    commissionSignup: terms.signup ?? null,
    commissionQualify: terms.qualify ?? null,
    commissionMaxPerReferrer: limit?.amount ?? null,
    commissionPeriod: limit?.period ?? null,
  };
  if (limit && isNothing(limit.amount))
    amountOf(nested('commissionMaxPerReferrer'), limit.amount, 'positive', currency);
  // A ratio is what most terms consist of.
  if (given !== null && Object.values(columns).every(isNothing))
    throw invalid(
      nested(rates ? 'commissionAmount' : 'commissionRatio'),
      'a value, unless there are other terms',
      terms.ratio,
    );
  if (rates && isNothing(columns.commissionAmount)) columns.commissionRatio = rates.commissionRatio;
  return checkedCommission(columns, null, currency, nested) as FlatCommission;
}
