import type { Request, Response } from 'express';
import { ReferralError } from '../../errors';
import { isEmail, typedCode } from '../../input';
import { commissionOrders } from '../../rewards/commissions/commission-pages';
import type { CouponRefusal } from '../../rewards/commissions/coupons';
import type { Rewards } from '../../rewards/rewards';
import type { Tracking } from '../../tracking/tracking';
import { bodyOf } from './body';
import { couponLimit } from './coupon-limit';
import { openApi } from './openapi';
import { badField, notFound, Problem } from './problem';
import { idOf, paged, pageOf, queryOf, wholeOf, wordOf } from './query';
import { channelOf, configOf, couponOf, creditOf, earnOutOf, promoOf } from './wire';

/** Who asks, and how. */
export interface Call {
  req: Request;
  res: Response;
  /** As text; empty where anybody may ask. */
  userId: string;
}

type Answer = (call: Call) => Promise<object | null>;

/** A path and what its methods answer; null is an answer without a body. */
export interface Endpoint {
  path: string;
  methods: Partial<Record<'GET' | 'POST' | 'PATCH' | 'DELETE', Answer>>;
  /** Whether anybody may ask. */
  isOpen?: boolean;
}

/** The codes of the wire for a coupon that is refused. */
const refusals: Record<CouponRefusal, string> = {
  COUPON_NOT_FOUND: 'not_found',
  COUPON_INACTIVE: 'code_inactive',
  COUPON_EXPIRED: 'code_expired',
  COUPON_OWN: 'self_referral',
  COUPON_REDEEMED: 'already_redeemed',
};

const maxCodeLength = 100;

/** Every path of the API. All that is a user's own is asked for with that user's id. */
export function endpoints({ settings }: Tracking, rewards: Rewards): Endpoint[] {
  const { baseUrl } = settings;
  const { accounts, channels, earnOuts } = rewards.managers;
  const limit = couponLimit(settings.rateLimitStore);

  const credits: Answer = async ({ req, userId }) => {
    const query = queryOf(req);
    const page = pageOf(query);
    const order = wordOf(query, 'ordering', commissionOrders) ?? '-created_at';
    const channel = query.get('referral_channel');
    const filter = {
      mode: wordOf(query, 'mode', ['credits', 'payout']),
      status: wordOf(query, 'status', ['pending', 'available', 'reverted']),
      channelId: channel === undefined ? undefined : channel === '' ? null : await ownChannel(userId, channel),
    };
    const count = await rewards.pages.count(userId, filter);
    return paged(req, baseUrl, page, count, async (take, skip) =>
      (await rewards.pages.page(userId, filter, order, take, skip)).map(creditOf),
    );
  };

  const ownChannel = async (userId: string, text: string): Promise<number> => {
    const id = wholeOf(text);
    const own = id === null ? 0 : await channels.count({ where: { id, userId } });
    if (own === 0) throw badField('referral_channel', 'The id of one of your channels, or empty.', 'invalid_choice');
    return id!;
  };

  const credit: Answer = async ({ req, userId }) => {
    const seen = await rewards.pages.one(userId, idOf(req.params['id']));
    if (!seen) throw notFound();
    return creditOf(seen);
  };

  const earnOutList: Answer = async ({ req, userId }) => {
    const page = pageOf(queryOf(req));
    const where = { userId };
    return paged(req, baseUrl, page, await earnOuts.count({ where }), async (take, skip) =>
      (await earnOuts.search({ where, order: { id: 'DESC' }, take, skip })).map(earnOutOf),
    );
  };

  const earnOut: Answer = async ({ req, userId }) => {
    const [found] = await earnOuts.search({ where: { id: idOf(req.params['id']), userId } });
    if (!found) throw notFound();
    return earnOutOf(found);
  };

  const config = async (userId: string): Promise<object> => {
    const account = await accounts.of(userId);
    const [totals, offer] = await Promise.all([
      accounts.totalsOf(account, undefined),
      rewards.codeOffers.offerOfReferral(account.referralId!),
    ]);
    return configOf(account, totals, offer!, settings);
  };

  const patchConfig: Answer = async ({ req, res, userId }) => {
    const known = ['mode', 'paypal_payout_email'];
    const { mode, paypal_payout_email: payoutEmail } = await bodyOf(req, res, known);
    if (mode !== undefined && mode !== 'credits' && mode !== 'payout')
      throw badField('mode', 'One of credits, payout.', 'invalid_choice');
    if (payoutEmail !== undefined && payoutEmail !== null && !isEmail(payoutEmail))
      throw badField('paypal_payout_email', 'An e-mail address, or null.');
    try {
      await accounts.update(await accounts.of(userId), { mode, payoutEmail });
    } catch (error) {
      const field = error instanceof ReferralError && error.code === 'INVALID_INPUT' ? error.field : undefined;
      if (field === 'payoutEmail')
        throw badField('paypal_payout_email', 'This field is required in the mode payout.', 'required');
      if (field === 'mode') throw badField('mode', 'This site pays nothing out.', 'invalid_choice');
      throw error;
    }
    return config(userId);
  };

  const applyCoupon: Answer = async ({ req, res, userId }) => {
    await limit(req, res, userId);
    const { code } = await bodyOf(req, res, ['code']);
    if (code === undefined) throw badField('code', 'This field is required.', 'required');
    if (typeof code !== 'string') throw badField('code', 'This field must be a string.');
    const typed = typedCode(code);
    if (typed === '') throw badField('code', 'This field may not be blank.', 'blank');
    if (typed.length > maxCodeLength) throw badField('code', `At most ${maxCodeLength} characters.`, 'max_length');
    try {
      return couponOf(await rewards.coupons.apply(userId, typed, { req }));
    } catch (error) {
      const refusal = error instanceof ReferralError ? refusals[error.code as CouponRefusal] : undefined;
      throw refusal === undefined
        ? error
        : new Problem(400, { detail: (error as ReferralError).message, code: refusal });
    }
  };

  const codeInfo: Answer = async ({ req }) => {
    const code = queryOf(req).get('referral_code');
    if (!code) throw badField('referral_code', 'This parameter is required.', 'required');
    const offer = await rewards.codeOffers.offerOfCode(typedCode(code));
    if (!offer) throw notFound();
    return { referral_code: offer.code, ...promoOf(offer) };
  };

  return [
    { path: '/credit/', methods: { GET: credits } },
    { path: '/credit/:id/', methods: { GET: credit } },
    { path: '/earnout/', methods: { GET: earnOutList } },
    { path: '/earnout/:id/', methods: { GET: earnOut } },
    { path: '/config/', methods: { GET: ({ userId }) => config(userId), PATCH: patchConfig } },
    { path: '/channel/', methods: { GET: async ({ userId }) => (await channels.ofUser(userId)).map(channelOf) } },
    {
      path: '/coupon-code/',
      methods: {
        GET: async ({ userId }) => couponOf(await rewards.coupons.of(userId)),
        POST: applyCoupon,
        DELETE: async ({ userId }) => {
          await rewards.coupons.remove(userId);
          return null;
        },
      },
    },
    { path: '/code/info/', methods: { GET: codeInfo }, isOpen: true },
    { path: '/openapi.json', methods: { GET: ({ req }) => Promise.resolve(openApi(req, baseUrl)) }, isOpen: true },
  ];
}
