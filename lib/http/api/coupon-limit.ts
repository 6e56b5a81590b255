import type { NextFunction, Request, Response } from 'express';
import { rateLimit, type Store } from 'express-rate-limit';
import { HttpError } from '../http-error';

/**
 * Counts an attempt of a user to apply a coupon: at most 5 a minute, so that codes can't be guessed.
 *
 * @throws HttpError 429 with `Retry-After`.
 */
export type CouponLimit = (req: Request, res: Response, userId: string) => Promise<void>;

export function couponLimit(store: Store | undefined): CouponLimit {
  const users = new WeakMap<Request, string>();
  const limiter = rateLimit({
    windowMs: 60_000,
    limit: 5,
    standardHeaders: true, // express-rate-limit sets Retry-After only together with them
    legacyHeaders: false,
    keyGenerator: (req) => `referral-coupon:${users.get(req)}`,
    handler: (_req, _res, next) => next(new HttpError(429, { detail: 'Too many attempts. Try again in a minute.' })),
    validate: { unsharedStore: false }, // the host may give several instances the same store
    ...(store && { store }),
  });
  return (req, res, userId) =>
    new Promise((resolve, reject) => {
      users.set(req, userId);
      const next = ((error?: Error) => (error ? reject(error) : resolve())) as NextFunction;
      void Promise.resolve(limiter(req, res, next)).catch(reject);
    });
}
