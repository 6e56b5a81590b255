import type { Currency } from '../../currency';
import { violatedConstraint } from '../../database/driver-errors';
import type { ReferralChannel } from '../../entities/referral-channel';
import { invalid } from '../../errors';
import { amountOf, booleanOf, dateOf, type FieldsOf, isNothing, listOf, ratioOf, textOf, wholeOf } from '../../input';
import { lengths } from '../../limits';
import type { Settings } from '../../options';
import type { ChannelChanges, ChannelInput } from '../../types/commissions';
import type { FieldOf } from '../../types/records';
import { flatChannelCommission } from '../records/commission-terms';

/** The fields of a channel that `channels.create` and `channels.update` share. */
export const channelTerms: FieldsOf<Omit<ChannelChanges, 'code' | 'allowedUses' | 'maxRedemptions'>> = {
  description: true,
  promoType: true,
  promoValue: true,
  isActive: true,
  isRecurring: true,
  startDate: true,
  endDate: true,
  initialRate: true,
  ongoingRate: true,
  initialRatePeriodDays: true,
  maxEarningsPerReferred: true,
  commission: true,
  minimumAmount: true,
  firstPurchaseOnly: true,
  products: true,
  restoreOnRefund: true,
};

type ChannelValues = Partial<Record<FieldOf<ReferralChannel>, unknown>>;

/** Returns the checked values of the given fields, except the discount. @throws ReferralError `INVALID_INPUT`. */
export function checkedTerms(input: ChannelChanges, currency: Currency): ChannelValues {
  const { description, isActive, isRecurring, startDate, endDate, initialRate, ongoingRate } = input;
  const { initialRatePeriodDays, maxEarningsPerReferred, commission } = input;
  const { minimumAmount, firstPurchaseOnly, products, restoreOnRefund } = input;
  if (startDate === null) throw invalid('startDate', 'a Date', startDate);
  return {
    ...(description !== undefined && { description: textOf('description', description, lengths.description) }),
    ...(isActive !== undefined && { isActive: booleanOf('isActive', isActive) }),
    ...(isRecurring !== undefined && { isRecurring: booleanOf('isRecurring', isRecurring) }),
    ...(startDate !== undefined && { startDate: dateOf('startDate', startDate) }),
    ...(endDate !== undefined && { endDate: dateOf('endDate', endDate) }),
    ...(initialRate !== undefined && { initialRate: ratioOf('initialRate', initialRate) }),
    ...(ongoingRate !== undefined && { ongoingRate: ratioOf('ongoingRate', ongoingRate) }),
    ...(initialRatePeriodDays !== undefined && {
      initialRatePeriodDays: wholeOf('initialRatePeriodDays', initialRatePeriodDays, 0, 36_500),
    }),
    ...(maxEarningsPerReferred !== undefined && {
      maxEarningsPerReferred: isNothing(maxEarningsPerReferred)
        ? null
        : amountOf('maxEarningsPerReferred', maxEarningsPerReferred, 'positive', currency),
    }),
    ...(commission !== undefined && flatChannelCommission(commission, currency)),
    ...(minimumAmount !== undefined && {
      minimumAmount: isNothing(minimumAmount) ? null : amountOf('minimumAmount', minimumAmount, 'positive', currency),
    }),
    ...(firstPurchaseOnly !== undefined && { firstPurchaseOnly: booleanOf('firstPurchaseOnly', firstPurchaseOnly) }),
    ...(products !== undefined && { products: productsOf(products) }),
    ...(restoreOnRefund !== undefined && { restoreOnRefund: booleanOf('restoreOnRefund', restoreOnRefund) }),
  };
}

function productsOf(value: readonly string[]): string[] {
  return listOf('products', value).map((name, index) => textOf(`products[${index}]`, name, lengths.name, 1));
}

/** How many buyers may redeem a coupon; null for no limit of its own. */
export function maxRedemptionsOf(value: unknown): number | null {
  return isNothing(value) ? null : wholeOf('maxRedemptions', value, 0, 2_147_483_647);
}

/** Returns the checked values of a new channel. @throws ReferralError `INVALID_INPUT`. */
export function newValues(
  input: ChannelInput,
  now: Date,
  { ratio, amount, months, purchases, maxPerReferee }: Settings['commission'],
  currency: Currency,
): ChannelValues {
  for (const field of ['promoType', 'promoValue'] as const)
    if (input[field] === undefined) throw invalid(field, 'a value: it has no default', undefined);
  const initialRate = input.initialRate ?? ratio ?? 0;
  const isOptions = isNothing(input.initialRate) && isNothing(input.commission?.amount);
  const ofOption = [amount, months, purchases].every(isNothing) ? {} : { amount, months, purchases };
  const commission = isOptions ? { ...ofOption, ...input.commission } : input.commission;
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const terms = checkedTerms(
    {
      ...{ initialRate, ongoingRate: initialRate, initialRatePeriodDays: 365, maxEarningsPerReferred: maxPerReferee },
      ...given,
      ...{ startDate: input.startDate ?? now },
      commission: isNothing(commission) || Object.keys(commission).length === 0 ? input.commission : commission,
    },
    currency,
  );
  return { ...terms, ...checkedPromo(input.promoType, input.promoValue, currency) };
}

/** Returns the checked discount. Its type decides which values are valid. @throws ReferralError `INVALID_INPUT`. */
export function checkedPromo(
  promoType: unknown,
  promoValue: ChannelInput['promoValue'],
  currency: Currency,
): ChannelValues {
  if (promoType !== 'percent_off' && promoType !== 'value_off')
    throw invalid('promoType', "'percent_off' or 'value_off'", promoType);
  const isShare = promoType === 'percent_off';
  const value = isShare
    ? ratioOf('promoValue', promoValue)
    : amountOf('promoValue', promoValue, 'not negative', currency);
  return { promoType, promoValue: value };
}

/** Runs a write, and turns the violated constraint on the dates into `INVALID_INPUT` for the given field. */
export async function refusingDates<T>({ startDate, endDate }: ChannelChanges, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (violatedConstraint(error) !== 'ck_referral_channels_dates') throw error;
    if (isNothing(endDate)) throw invalid('startDate', 'a Date before the endDate', startDate);
    throw invalid('endDate', 'a Date after the startDate', endDate);
  }
}
