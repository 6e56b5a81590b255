import type { ShownCommissionStatus } from '../../types/commissions';
import type { EarningMode } from '../../types/earn-outs';
import type { FieldError } from '../http-error';
import { arrayOf, described, enumOf, object, optional, orNull, ref, type Schema } from './schema';
import type { Wire, WirePage } from './wire-types';

const string: Schema<string> = { type: 'string' };
const boolean: Schema<boolean> = { type: 'boolean' };
const number: Schema<number> = { type: 'number' };
const time: Schema<Date> = { type: 'string', format: 'date-time' };
const uri: Schema<string> = { type: 'string', format: 'uri' };
const id: Schema<number> = { type: 'integer', minimum: 1 };
const count: Schema<number> = { type: 'integer', minimum: 0 };
const amount: Schema<number> = { type: 'number', minimum: 0 };
const rate: Schema<number> = { type: 'number', minimum: 0, maximum: 1 };
const decimal: Schema<string> = { type: 'string', pattern: '^\\d+(\\.\\d{1,4})?$' };
const duration: Schema<string> = {
  ...{ type: 'string', pattern: '^(\\d+ )?\\d{2}:\\d{2}:\\d{2}$', examples: ['7 00:00:00'] },
};
const userId: Schema<number | string> = { type: ['integer', 'string'], description: 'The referred user who paid.' };
const email: Schema<string | null> = { type: ['string', 'null'], maxLength: 254, description: 'An e-mail address.' };
const earned = described(
  number,
  'What the next earn-out pays. Below 0 if more was refunded than earned since the last one.',
);
const promoType = enumOf(
  ...(['first_time_value_off', 'first_time_percent_off', 'always_value_off', 'always_percent_off', null] as const),
);

export const modeSchema: Schema<EarningMode> = enumOf('credits', 'payout');
export const statusSchema: Schema<ShownCommissionStatus> = enumOf('pending', 'available', 'reverted');

function page<T>(item: Schema<T>): Schema<WirePage<T>> {
  return object<WirePage<T>>({ count, next: orNull(uri), previous: orNull(uri), results: arrayOf(item) });
}

/** The objects of the API, by name. */
export const schemas: { readonly [Name in keyof Wire]: Schema<Wire[Name]> } = {
  Credit: object<Wire['Credit']>(
    {
      id,
      user_id: userId,
      mode: described(modeSchema, 'The mode of the account when it was earned.'),
      amount: described(amount, 'What refunds have left of it.'),
      status: statusSchema,
      referral_channel: described(orNull(id), 'The channel whose code earned it; null for a link.'),
      referral_channel_code: orNull(string),
      created_at: time,
      updated_at: time,
      reverted_at: orNull(time),
    },
    'What the user earned from the payment of a referred user.',
  ),
  CreditPage: page(ref('Credit')),
  EarnOut: object<Wire['EarnOut']>(
    {
      id,
      mode: modeSchema,
      paypal_payout_email: email,
      amount,
      status: described(
        enumOf('processing', 'completed', 'failed'),
        '`failed`: not paid, or paid and come back. The amount goes into a later earn-out.',
      ),
      error_reason: described(orNull(string), 'Why it failed; null if it did not.'),
      created_at: time,
      updated_at: time,
    },
    'Available earnings that are paid out, or turned into account credit.',
  ),
  EarnOutPage: page(ref('EarnOut')),
  Config: object<Wire['Config']>(
    {
      id,
      mode: modeSchema,
      paypal_payout_email: email,
      id_verification_required: boolean,
      credits_earned: earned,
      payouts_earned: earned,
      total_credits_earned: amount,
      total_payouts_earned: amount,
      number_of_users_referred: count,
      number_of_users_upgraded: count,
      earn_out_frequency: duration,
      next_earn_out_date: described(time, 'When the next one is due; in the past, if one is due already.'),
      minimum_earn_out_amount: described(amount, 'Of both modes together.'),
      referral_code: string,
      referral_url: uri,
      referral_maximum_credits: described(
        orNull(amount),
        'The most that one referred user can earn; null for no limit.',
      ),
      referral_credit_ratio: rate,
      referral_payment_pending_days: duration,
      promo_type: promoType,
      promo_value: orNull(amount),
      initial_rate: rate,
      ongoing_rate: rate,
      initial_rate_period_days: count,
      max_earnings_per_referred: orNull(amount),
      created_at: time,
      updated_at: time,
    },
    'The user’s own referral account.',
  ),
  ConfigChanges: object<Wire['ConfigChanges']>({
    mode: optional(modeSchema),
    paypal_payout_email: optional(described(email, 'An e-mail address; null in the mode credits only.')),
  }),
  Channel: object<Wire['Channel']>(
    {
      id,
      code: string,
      description: string,
      promo_type: enumOf('percent_off', 'value_off'),
      promo_value: described(decimal, 'For percent_off a share from 0 to 1, for value_off an amount.'),
      is_active: boolean,
      is_recurring: boolean,
      start_date: time,
      end_date: orNull(time),
      total_uses: count,
      total_commission: amount,
      total_revenue: amount,
      initial_rate: decimal,
      ongoing_rate: decimal,
      initial_rate_period_days: count,
      max_earnings_per_referred: orNull(decimal),
      created_at: time,
    },
    'A coupon code of the user’s.',
  ),
  Coupon: object<Wire['Coupon']>(
    {
      code: orNull(string),
      promo_type: enumOf('percent_off', 'value_off', null),
      promo_value: orNull(decimal),
      description: orNull(string),
      is_recurring: orNull(boolean),
    },
    'The coupon that the user has applied; every field is null if there is none.',
  ),
  CouponInput: object<Wire['CouponInput']>({
    code: described(string, 'In upper or lower case; up to 100 characters without the blanks around it.'),
  }),
  CodeInfo: object<Wire['CodeInfo']>({ referral_code: string, promo_type: promoType, promo_value: orNull(amount) }),
  Detail: object<Wire['Detail']>({ detail: string, code: optional(string) }),
  FieldErrors: {
    type: 'object',
    minProperties: 1,
    additionalProperties: {
      ...arrayOf(object<FieldError>({ message: string, code: string })),
      minItems: 1,
    },
  },
};
