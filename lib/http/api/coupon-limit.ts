import type { NextFunction, Request, Response } from 'express';
import { rateLimit, type Store } from 'express-rate-limit';
import { Problem } from './problem';

/** Counts a user's attempts at coupons: codes are not to be guessed. @throws Problem 429 with `Retry-After`. */
export type CouponLimit = (req: Request, res: Response, userId: string) => Promise<void>;

export function couponLimit(store: Store | undefined): CouponLimit {
  const users = new WeakMap<Request, string>();
  const limiter = rateLimit({
    windowMs: 60_000,
    limit: 5,
    standardHeaders: true, // with them, and only then, Retry-After
    legacyHeaders: false,
    keyGenerator: (req) => `referral-coupon:${users.get(req)}`,
    handler: (_req, _res, next) => next(new Problem(429, { detail: 'Too many attempts. Try again in a minute.' })),
    validate: { unsharedStore: false }, // shared on purpose
    ...(store && { store }),
  });
  return (req, res, userId) =>
    new Promise((resolve, reject) => {
      users.set(req, userId);
      const next = ((error?: Error) => (error ? reject(error) : resolve())) as NextFunction;
      void Promise.resolve(limiter(req, res, next)).catch(reject);
    });
}
