/** A part of an OpenAPI 3.1 document: a JSON Schema, or what refers to one. */
export type Schema = Readonly<Record<string, unknown>>;

const string: Schema = { type: 'string' };
const boolean: Schema = { type: 'boolean' };
const number: Schema = { type: 'number' };
const time: Schema = { type: 'string', format: 'date-time' };
const id: Schema = { type: 'integer', minimum: 1 };
const count: Schema = { type: 'integer', minimum: 0 };
const amount: Schema = { type: 'number', minimum: 0 };
const rate: Schema = { type: 'number', minimum: 0, maximum: 1 };
const decimal: Schema = { type: 'string', pattern: '^\\d+\\.\\d{2,4}$' };
const duration: Schema = { type: 'string', pattern: '^(\\d+ )?\\d{2}:\\d{2}:\\d{2}$', examples: ['7 00:00:00'] };
const mode: Schema = { enum: ['credits', 'payout'] };
const email: Schema = { type: ['string', 'null'], maxLength: 254, description: 'An e-mail address.' };

export const modeSchema = mode;
export const emailSchema = email;
export const statusSchema: Schema = { enum: ['pending', 'available', 'reverted'] };

const orNull = ({ type, ...rest }: Schema): Schema => ({ type: [type, 'null'], ...rest });
const described = (schema: Schema, description: string): Schema => ({ ...schema, description });
/** An object with these fields, always all of them and no others. */
const object = (properties: Record<string, Schema>, description?: string): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...(description && { description }),
});
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const pageOf = (name: string): Schema =>
  object({
    count,
    next: { type: ['string', 'null'], format: 'uri' },
    previous: { type: ['string', 'null'], format: 'uri' },
    results: { type: 'array', items: ref(name) },
  });

/** What the API answers, by name. */
export const schemas: Record<string, Schema> = {
  Credit: object(
    {
      id,
      user_id: described({ type: ['integer', 'string'] }, 'The referred user who spent.'),
      mode: described(mode, 'The mode of the account when it was earned.'),
      amount: described(amount, 'What refunds have left of it.'),
      status: statusSchema,
      referral_channel: described(orNull(id), 'The channel whose code earned it; null for a link.'),
      referral_channel_code: orNull(string),
      created_at: time,
      updated_at: time,
      reverted_at: orNull(time),
    },
    'What was earned from a referred user’s spending.',
  ),
  CreditPage: pageOf('Credit'),
  EarnOut: object(
    {
      id,
      mode,
      paypal_payout_email: email,
      amount,
      status: { enum: ['processing', 'completed', 'failed'] },
      error_reason: orNull(string),
      created_at: time,
      updated_at: time,
    },
    'What was available is paid out, or turned into account credit.',
  ),
  EarnOutPage: pageOf('EarnOut'),
  Config: object(
    {
      id,
      mode,
      paypal_payout_email: email,
      id_verification_required: boolean,
      credits_earned: described(
        number,
        'Waits for the next earn-out; below 0 if more was refunded since the last one.',
      ),
      payouts_earned: described(
        number,
        'Waits for the next earn-out; below 0 if more was refunded since the last one.',
      ),
      total_credits_earned: amount,
      total_payouts_earned: amount,
      number_of_users_referred: count,
      number_of_users_upgraded: count,
      earn_out_frequency: duration,
      next_earn_out_date: time,
      minimum_earn_out_amount: amount,
      referral_code: string,
      referral_url: { type: 'string', format: 'uri' },
      referral_maximum_credits: described(
        orNull(amount),
        'The most that one referred user can earn; null for no limit.',
      ),
      referral_credit_ratio: rate,
      referral_payment_pending_days: duration,
      promo_type: {
        enum: [...['first_time_value_off', 'first_time_percent_off', 'always_value_off', 'always_percent_off'], null],
      },
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
  ConfigChanges: {
    type: 'object',
    properties: { mode, paypal_payout_email: described(email, 'An e-mail address; null in the mode credits only.') },
    additionalProperties: false,
  },
  Channel: object(
    {
      id,
      code: string,
      description: string,
      promo_type: { enum: ['percent_off', 'value_off'] },
      promo_value: described(decimal, 'Of percent_off, from 0 to 1.'),
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
  Coupon: object(
    {
      code: orNull(string),
      promo_type: { enum: ['percent_off', 'value_off', null] },
      promo_value: orNull(decimal),
      description: orNull(string),
      is_recurring: orNull(boolean),
    },
    'The coupon that the user has applied; all null if none is.',
  ),
  CouponInput: {
    type: 'object',
    properties: { code: described(string, 'In any case; up to 100 characters, not counting blanks around it.') },
    required: ['code'],
    additionalProperties: false,
  },
  CodeInfo: object({
    referral_code: string,
    promo_type: {
      enum: [...['first_time_value_off', 'first_time_percent_off', 'always_value_off', 'always_percent_off'], null],
    },
    promo_value: orNull(amount),
  }),
  Detail: {
    type: 'object',
    properties: { detail: string, code: string },
    required: ['detail'],
    additionalProperties: false,
  },
  FieldErrors: {
    type: 'object',
    minProperties: 1,
    additionalProperties: { type: 'array', minItems: 1, items: object({ message: string, code: string }) },
  },
};
