import { ReferralError } from '../../errors';
import { typedCode } from '../../input';
import type { Settings } from '../../options';
import type { Rewards } from '../../rewards/rewards';
import type { CouponRefusal } from '../../types/commissions';
import { jsonBody } from '../body';
import { badField, HttpError, notFound } from '../http-error';
import { addressKeyOf, type Limits } from '../rate-limits';
import type { Endpoint, Handler } from './endpoint';
import { queryOf } from './query';
import { codeInfoOf, couponOf } from './wire';
import type { Wire } from './wire-types';

/** The response to each refusal of a coupon, in words for the customer. */
const refusals: Record<CouponRefusal, { code: string; detail: string }> = {
  COUPON_NOT_FOUND: { code: 'not_found', detail: 'There is no coupon with this code. Check the spelling.' },
  COUPON_INACTIVE: { code: 'code_inactive', detail: 'This coupon is not active now.' },
  COUPON_EXPIRED: { code: 'code_expired', detail: 'This coupon has expired.' },
  COUPON_OWN: { code: 'self_referral', detail: 'This coupon is your own. Only other customers can use it.' },
  COUPON_REDEEMED: { code: 'already_redeemed', detail: 'You have used this coupon already.' },
  COUPON_USED_UP: { code: 'code_used_up', detail: 'This coupon is used up.' },
  COUPON_FIRST_PURCHASE_ONLY: { code: 'first_purchase_only', detail: 'This coupon is for the first purchase only.' },
  COUPON_BELOW_MINIMUM: { code: 'below_minimum', detail: 'The price is below the minimum of this coupon.' },
  COUPON_OTHER_PRODUCT: { code: 'other_product', detail: 'This coupon is for other products.' },
};

const maxCodeLength = 100;

/**
 * The coupon that a user has applied: `/coupon-code/`; and the offer of any code: `/code/info/`, which needs no
 * signed-in user.
 */
export function couponEndpoints(settings: Settings, { coupons, codeOffers }: Rewards, limits: Limits): Endpoint[] {
  const applyCoupon: Handler = async ({ req, res, userId }) => {
    await limits.couponTries(req, res, userId);
    const { code } = await jsonBody<Wire['CouponInput']>(req, res, { code: true });
    try {
      return couponOf(await coupons.apply(userId, couponCodeOf(code), { req }));
    } catch (error) {
      throw asRefusal(error);
    }
  };

  const removeCoupon: Handler = async ({ userId }) => {
    await coupons.remove(userId);
    return null;
  };

  const getCodeInfo: Handler = async ({ req, res }) => {
    await limits.codeLookUps(req, res, addressKeyOf(req, settings));
    const code = queryOf(req).get('referral_code');
    if (!code) throw badField('referral_code', 'This parameter is required.', 'required');
    const offer = await codeOffers.offerOfCode(typedCode(code));
    if (!offer) throw notFound();
    return codeInfoOf(offer);
  };

  return [
    {
      path: '/coupon-code/',
      methods: {
        GET: async ({ userId }) => couponOf(await coupons.of(userId)),
        POST: applyCoupon,
        DELETE: removeCoupon,
      },
    },
    { path: '/code/info/', methods: { GET: getCodeInfo }, isOpen: true },
  ];
}

/** Returns the field `code` without the blanks around it. @throws HttpError 400 */
function couponCodeOf(code: unknown): string {
  if (code === undefined) throw badField('code', 'This field is required.', 'required');
  if (typeof code !== 'string') throw badField('code', 'This field must be a string.');
  const typed = typedCode(code);
  if (typed === '') throw badField('code', 'This field may not be blank.', 'blank');
  if (typed.length > maxCodeLength) throw badField('code', `At most ${maxCodeLength} characters.`, 'max_length');
  return typed;
}

/** Turns a refusal of the coupon into a 400. Returns every other error unchanged. */
function asRefusal(error: unknown): unknown {
  const refusal = error instanceof ReferralError ? refusals[error.code as CouponRefusal] : undefined;
  return refusal === undefined ? error : new HttpError(400, refusal);
}
