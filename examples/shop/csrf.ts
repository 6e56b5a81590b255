import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { field } from './forms';
import { HttpError } from './http-error';

/** Shows a session's token to templates, and to `referrals.createForm`, which finds it as `res.locals.csrfToken`. */
export const showCsrfToken: RequestHandler = (req, res, next) => {
  res.locals['csrfToken'] = req.session.csrfToken;
  next();
};

/** For pages that show a form to anybody. Visitors who only look around get no session, so there is no token before. */
export function issueCsrfToken(req: Request, res: Response): void {
  req.session.csrfToken ??= randomBytes(24).toString('base64url');
  res.locals['csrfToken'] = req.session.csrfToken;
}

/** Guards the shop's own forms; the link router guards its own. */
export const checkCsrfToken: RequestHandler = (req, _res, next) => {
  if (req.method === 'GET' || req.method === 'HEAD') return next();
  const expected = Buffer.from(req.session.csrfToken ?? '');
  const given = Buffer.from(field(req, '_csrf'));
  if (expected.length > 0 && given.length === expected.length && timingSafeEqual(given, expected)) return next();
  next(new HttpError(403, 'This form has expired. Go back, reload the page and try again.'));
};
