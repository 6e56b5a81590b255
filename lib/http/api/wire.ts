import type { ReferralAccount } from '../../entities/referral-account';
import type { ReferralChannel } from '../../entities/referral-channel';
import type { ReferralEarnOut } from '../../entities/referral-earn-out';
import { dayMs } from '../../limits';
import type { Settings } from '../../options';
import type { CodeOffer } from '../../rewards/commissions/code-offers';
import type { SeenCommission } from '../../rewards/commissions/commission-pages';
import type { Coupon } from '../../types/commissions';
import type { AccountTotals } from '../../types/earn-outs';
import type { Wire } from './wire-types';

/**
 * Returns the id of a user as a number if the text is that of a number, because hosts with numeric ids expect numbers.
 */
function wireUserId(id: string): number | string {
  const number = Number(id);
  return Number.isSafeInteger(number) && String(number) === id ? number : id;
}

/** Returns a duration in Django's format: `7 00:00:00` for 7 days, and only `HH:MM:SS` below one day. */
export function durationOf(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const part = (count: number): string => String(Math.floor(count)).padStart(2, '0');
  const time = [(seconds % 86_400) / 3600, (seconds % 3600) / 60, seconds % 60].map(part).join(':');
  const days = Math.floor(seconds / 86_400);
  return days === 0 ? time : `${days} ${time}`;
}

export function creditOf({ commission, status, channelCode }: SeenCommission): Wire['Credit'] {
  return {
    id: commission.id,
    user_id: wireUserId(commission.refereeId),
    mode: commission.mode,
    amount: Number(commission.amount),
    status,
    referral_channel: commission.channelId,
    referral_channel_code: channelCode,
    created_at: commission.createdAt,
    updated_at: commission.updatedAt,
    reverted_at: commission.revertedAt,
  };
}

export function earnOutOf(earnOut: ReferralEarnOut): Wire['EarnOut'] {
  return {
    id: earnOut.id,
    mode: earnOut.mode,
    paypal_payout_email: earnOut.payoutEmail,
    amount: Number(earnOut.amount),
    // The API has no word for money that came back: like a failed one, its amount is free again.
    status: earnOut.status === 'returned' ? 'failed' : earnOut.status,
    error_reason: earnOut.errorReason,
    created_at: earnOut.createdAt,
    updated_at: earnOut.updatedAt,
  };
}

/**
 * Returns the discount of a code. The API has a percentage as a number from 0 to 100, the channel as a share from 0 to
 * 1.
 */
function promoOf({ promo }: CodeOffer): Pick<Wire['CodeInfo'], 'promo_type' | 'promo_value'> {
  if (!promo) return { promo_type: null, promo_value: null };
  const { promoType, promoValue, isRecurring } = promo;
  // The exponent moves the decimal point exactly. A multiplication by 100 would turn 0.29 into 28.999…
  const value = promoType === 'percent_off' ? Number(`${promoValue}e2`) : Number(promoValue);
  return { promo_type: `${isRecurring ? 'always' : 'first_time'}_${promoType}`, promo_value: value };
}

export function configOf(
  account: ReferralAccount,
  totals: AccountTotals,
  offer: CodeOffer,
  { baseUrl, sitePath, codeParameter, linkPath, earnOuts, commission }: Settings,
): Wire['Config'] {
  const site = `${baseUrl.origin}${sitePath}`;
  const max = offer.maxPerReferee === null ? null : Number(offer.maxPerReferee);
  return {
    id: account.id,
    mode: account.mode,
    paypal_payout_email: account.payoutEmail,
    id_verification_required: false,
    credits_earned: Number(totals.creditsEarned),
    payouts_earned: Number(totals.payoutsEarned),
    total_credits_earned: Number(totals.totalCreditsEarned),
    total_payouts_earned: Number(totals.totalPayoutsEarned),
    number_of_users_referred: totals.usersReferred,
    number_of_users_upgraded: totals.usersUpgraded,
    earn_out_frequency: durationOf(earnOuts.everyMs),
    next_earn_out_date: totals.nextEarnOutAt,
    minimum_earn_out_amount: Number(account.minimum ?? earnOuts.minimum),
    referral_code: offer.code,
    referral_url:
      codeParameter === false ? `${site}${linkPath}/${offer.code}` : `${site}/?${codeParameter}=${offer.code}`,
    referral_maximum_credits: max,
    referral_credit_ratio: Number(offer.initialRate),
    referral_payment_pending_days: durationOf(commission.pendingDays * dayMs),
    ...promoOf(offer),
    initial_rate: Number(offer.initialRate),
    ongoing_rate: Number(offer.ongoingRate),
    initial_rate_period_days: offer.initialRatePeriodDays,
    max_earnings_per_referred: max,
    created_at: account.createdAt,
    updated_at: account.updatedAt,
  };
}

export function channelOf(channel: ReferralChannel): Wire['Channel'] {
  return {
    id: channel.id,
    code: channel.code,
    description: channel.description,
    promo_type: channel.promoType,
    promo_value: channel.promoValue,
    is_active: channel.isActive,
    is_recurring: channel.isRecurring,
    start_date: channel.startDate,
    end_date: channel.endDate,
    total_uses: channel.totalUses,
    total_commission: Number(channel.totalCommission),
    total_revenue: Number(channel.totalRevenue),
    initial_rate: channel.initialRate,
    ongoing_rate: channel.ongoingRate,
    initial_rate_period_days: channel.initialRatePeriodDays,
    max_earnings_per_referred: channel.maxEarningsPerReferred,
    created_at: channel.createdAt,
  };
}

/** Returns the coupon that a user has applied. Every field is null if there is none. */
export function couponOf(coupon: Coupon | null): Wire['Coupon'] {
  return {
    code: coupon?.code ?? null,
    promo_type: coupon?.promoType ?? null,
    promo_value: coupon?.promoValue ?? null,
    description: coupon?.description ?? null,
    is_recurring: coupon?.isRecurring ?? null,
  };
}

export function codeInfoOf(offer: CodeOffer): Wire['CodeInfo'] {
  return { referral_code: offer.code, ...promoOf(offer) };
}
