import type { ShownCommissionStatus } from '../../types/commissions';
import type { EarningMode } from '../../types/earn-outs';
import type { ErrorDetail, FieldErrors } from '../http-error';

type PromoType = 'percent_off' | 'value_off';

/** The discount of a code: its type, with the purchases that it applies to, and its value. Null without a discount. */
interface Promo {
  promo_type: `${'first_time' | 'always'}_${PromoType}` | null;
  promo_value: number | null;
}

/** One page of a list. */
export interface WirePage<T> {
  count: number;
  next: string | null;
  previous: string | null;
  results: T[];
}

/**
 * The JSON objects of the API, by their names in the OpenAPI document. The names and the formats of the fields are
 * those of Webshare's referral API. In JSON, a Date is an ISO 8601 string.
 *
 * The compiler compares this list with the functions of `wire.ts`, which make the objects, and with the schemas of
 * `openapi-schemas.ts`, which describe them. If one of the three lacks a field, the code does not compile.
 */
export interface Wire {
  Credit: {
    id: number;
    user_id: number | string;
    mode: EarningMode;
    amount: number;
    status: ShownCommissionStatus;
    referral_channel: number | null;
    referral_channel_code: string | null;
    created_at: Date;
    updated_at: Date;
    reverted_at: Date | null;
  };
  CreditPage: WirePage<Wire['Credit']>;
  EarnOut: {
    id: number;
    mode: EarningMode;
    paypal_payout_email: string | null;
    amount: number;
    status: 'processing' | 'completed' | 'failed';
    error_reason: string | null;
    created_at: Date;
    updated_at: Date;
  };
  EarnOutPage: WirePage<Wire['EarnOut']>;
  Config: Promo & {
    id: number;
    mode: EarningMode;
    paypal_payout_email: string | null;
    id_verification_required: boolean;
    credits_earned: number;
    payouts_earned: number;
    total_credits_earned: number;
    total_payouts_earned: number;
    number_of_users_referred: number;
    number_of_users_upgraded: number;
    earn_out_frequency: string;
    next_earn_out_date: Date;
    minimum_earn_out_amount: number;
    referral_code: string;
    referral_url: string;
    referral_maximum_credits: number | null;
    referral_credit_ratio: number;
    referral_payment_pending_days: string;
    initial_rate: number;
    ongoing_rate: number;
    initial_rate_period_days: number;
    max_earnings_per_referred: number | null;
    created_at: Date;
    updated_at: Date;
  };
  ConfigChanges: {
    mode?: EarningMode;
    paypal_payout_email?: string | null;
  };
  Channel: {
    id: number;
    code: string;
    description: string;
    promo_type: PromoType;
    promo_value: string;
    is_active: boolean;
    is_recurring: boolean;
    start_date: Date;
    end_date: Date | null;
    total_uses: number;
    total_commission: number;
    total_revenue: number;
    initial_rate: string;
    ongoing_rate: string;
    initial_rate_period_days: number;
    max_earnings_per_referred: string | null;
    created_at: Date;
  };
  Coupon: {
    code: string | null;
    promo_type: PromoType | null;
    promo_value: string | null;
    description: string | null;
    is_recurring: boolean | null;
  };
  CouponInput: {
    code: string;
  };
  CodeInfo: Promo & {
    referral_code: string;
  };
  Detail: ErrorDetail;
  FieldErrors: FieldErrors;
}
