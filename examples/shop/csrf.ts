import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { field } from './forms';
import { HttpError } from './http-error';

/** Passes a session's token to templates. `referrals.createForm` reads it from `res.locals.csrfToken`. */
export const showCsrfToken: RequestHandler = (req, res, next) => {
  res.locals['csrfToken'] = req.session.csrfToken;
  next();
};

/** Creates a token, for pages with a form for visitors. Other pages do not, because that would create a session. */
export function issueCsrfToken(req: Request, res: Response): void {
  req.session.csrfToken ??= randomBytes(24).toString('base64url');
  res.locals['csrfToken'] = req.session.csrfToken;
}

/** Checks the token of the shop's own forms. The link router protects its form itself. */
export const checkCsrfToken: RequestHandler = (req, _res, next) => {
  if (req.method === 'GET' || req.method === 'HEAD') return next();
  const expected = Buffer.from(req.session.csrfToken ?? '');
  const given = Buffer.from(field(req, '_csrf'));
  if (expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected)) return next();
  next(new HttpError(403, 'This form has expired. Go back, reload the page and try again.'));
};
