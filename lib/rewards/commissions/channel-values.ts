import type { Currency } from '../../currency';
import { violatedConstraint } from '../../database/driver-errors';
import type { ReferralChannel } from '../../entities/referral-channel';
import { invalid } from '../../errors';
import { amountOf, booleanOf, dateOf, type FieldsOf, isNothing, ratioOf, textOf, wholeOf } from '../../input';
import { lengths } from '../../limits';
import type { ChannelChanges, ChannelInput } from '../../types/commissions';
import type { FieldOf } from '../../types/records';
import { flatChannelCommission } from '../records/commission-terms';

/** The fields of a channel that `channels.create` and `channels.update` share. */
export const channelTerms: FieldsOf<Omit<ChannelChanges, 'code' | 'allowedUses'>> = {
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
};

type ChannelValues = Partial<Record<FieldOf<ReferralChannel>, unknown>>;

/** Returns the checked values of the given fields, except the discount. @throws ReferralError `INVALID_INPUT`. */
export function checkedTerms(input: ChannelChanges, currency: Currency): ChannelValues {
  const { description, isActive, isRecurring, startDate, endDate, initialRate, ongoingRate } = input;
  const { initialRatePeriodDays, maxEarningsPerReferred, commission } = input;
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
  };
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
