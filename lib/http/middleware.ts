import type { Request, RequestHandler, Response } from 'express';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { templateHelpers } from './template-helpers';

/** The question of the JSON API what a code promises, which is no visit through it. */
const asksForCode = /^[^?]*\/code\/info\/?\?/i;

/**
 * Attaches `req.referralForRequest()` and `res.locals.referrals`, links a visitor's responses once they are signed in, and
 * counts `?referral_code=CODE` on any page. A visitor who was never referred passes through without a promise or a query;
 * each property that is added to a request is felt, so these get no more than the two that hosts use.
 */
export function middleware(tracking: Tracking): RequestHandler {
  const { codeParameter } = tracking.settings;
  const helpers = templateHelpers(tracking);

  async function arrive(visitor: Visitor, code: string | null, res: Response): Promise<void> {
    await visitor.signIn();
    const link = code === null ? undefined : await tracking.links.find(code);
    if (!link) return;
    // The page may now set a visitor's cookie: no shared cache may hand it to others.
    if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'private');
    await visitor.click(link);
  }

  return function referrals(req, res, next) {
    // Compared, never called. Looked at once: a property that is not there is looked for in every prototype.
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const attached = req.referralForRequest as Request['referralForRequest'] | undefined;
    if (attached === undefined) req.referralForRequest = tracking.attached;
    else if (attached === tracking.attached)
      return next(); // mounted twice
    else tracking.meet(req, res); // another instance has attached its own; ours answers when named
    res.locals['referrals'] = helpers(req, res);
    const isVisit = codeParameter !== false && !asksForCode.test(req.url);
    const code = isVisit ? queryParameter(req.url, codeParameter) : null;
    if (code === null && !tracking.store.carries(req)) return next();
    const visitor = tracking.meet(req, res);
    if (code === null && visitor.visit === null) return next();
    void arrive(visitor, code, res)
      .catch(tracking.settings.onError) // a page is shown whatever becomes of its click
      .then(() => next());
  };
}

/** The first value of a query parameter, or null; read from the URL, whatever query parser the host uses. */
export function queryParameter(url: string, name: string): string | null {
  const start = url.indexOf('?');
  if (start === -1 || !url.includes(name, start)) return null;
  return new URLSearchParams(url.slice(start)).get(name);
}
