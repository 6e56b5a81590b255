import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { referralError } from '../errors';
import type { Settings } from '../options';
import { storedIp } from '../tracking/ip';
import { idOf, signedInUser } from '../tracking/signed-in-user';

/**
 * Counts a request under a key, for a minute.
 *
 * @throws ReferralError `TOO_MANY_ATTEMPTS` above the limit; the response has `Retry-After` then.
 */
export type Limit = (req: Request, res: Response, key: string) => Promise<void>;

/** The limits of an instance. All are counted in the store of the option `api.rateLimitStore`. */
export interface Limits {
  /** Attempts to apply a coupon: 5 for each user, or for each address if nobody is signed in. */
  couponTries: Limit;
  /** Look-ups of codes: 60 for each address. */
  codeLookUps: Limit;
}

export function limitsOf(settings: Settings): Limits {
  return {
    codeLookUps: limitOf('referral-code-info', 60, settings),
    couponTries: limitOf('referral-coupon', 5, settings),
  };
}

function limitOf(name: string, limit: number, { rateLimitStore: store }: Settings): Limit {
  const keys = new WeakMap<Request, string>();
  const limiter = rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: true, // express-rate-limit sets Retry-After only together with them
    legacyHeaders: false,
    keyGenerator: (req) => `${name}:${keys.get(req)}`,
    handler: (_req, _res, next) => next(referralError('TOO_MANY_ATTEMPTS')),
    validate: { unsharedStore: false }, // the host may give several instances the same store
    ...(store && { store }),
  });
  return (req, res, key) =>
    new Promise((resolve, reject) => {
      if (keys.has(req)) return resolve(); // the host has mounted the middleware before the API: one try
      keys.set(req, key);
      const next = ((error?: Error) => (error ? reject(error) : resolve())) as NextFunction;
      void Promise.resolve(limiter(req, res, next)).catch(reject);
    });
}

/** The middleware `referrals.limitCouponTries`, for a form of the host's own. */
export function limitCouponTries(settings: Settings, { couponTries }: Limits): RequestHandler {
  return function limitCouponTries(req, res, next) {
    const count = async (): Promise<void> => {
      const userId = idOf(await signedInUser(settings, req, settings.onError));
      await couponTries(req, res, userId ?? `address ${addressKeyOf(req, settings)}`);
    };
    count().then(() => next(), next);
  };
}

/**
 * Returns the address of a request as a key. An IPv6 network of 64 bits is one address, because one customer has all of
 * it.
 */
export function addressKeyOf(req: Request, { clientIp, onError }: Settings): string {
  let address: string | null = null;
  try {
    address = storedIp(clientIp(req), 'full');
  } catch (error) {
    onError(error);
  }
  address ??= storedIp(req.ip, 'full') ?? storedIp(req.socket.remoteAddress, 'full');
  return address === null ? 'unknown' : ipKeyGenerator(address, 64);
}
