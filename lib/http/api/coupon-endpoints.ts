import { ReferralError } from '../../errors';
import { typedCode } from '../../input';
import type { Settings } from '../../options';
import type { CouponRefusal } from '../../rewards/commissions/coupons';
import type { Rewards } from '../../rewards/rewards';
import { jsonBody } from '../body';
import { badField, HttpError, notFound } from '../http-error';
import { couponLimit } from './coupon-limit';
import type { Endpoint, Handler } from './endpoint';
import { queryOf } from './query';
import { codeInfoOf, couponOf } from './wire';
import type { Wire } from './wire-types';

/** The API's error code for each refusal of a coupon. */
const refusalCodes: Record<CouponRefusal, string> = {
  COUPON_NOT_FOUND: 'not_found',
  COUPON_INACTIVE: 'code_inactive',
  COUPON_EXPIRED: 'code_expired',
  COUPON_OWN: 'self_referral',
  COUPON_REDEEMED: 'already_redeemed',
  COUPON_USED_UP: 'code_used_up',
};

const maxCodeLength = 100;

/**
 * The coupon that a user has applied: `/coupon-code/`; and the offer of any code: `/code/info/`, which needs no
 * signed-in user.
 */
export function couponEndpoints({ rateLimitStore }: Settings, { coupons, codeOffers }: Rewards): Endpoint[] {
  const countAttempt = couponLimit(rateLimitStore);

  const applyCoupon: Handler = async ({ req, res, userId }) => {
    await countAttempt(req, res, userId);
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

  const getCodeInfo: Handler = async ({ req }) => {
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

/** Turns a refusal of the coupon into a 400 with the API's error code. Returns every other error unchanged. */
function asRefusal(error: unknown): unknown {
  const code = error instanceof ReferralError ? refusalCodes[error.code as CouponRefusal] : undefined;
  return code === undefined ? error : new HttpError(400, { detail: (error as ReferralError).message, code });
}
