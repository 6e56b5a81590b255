import type { Request, RequestHandler, Response } from 'express';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { templateHelpers } from './template-helpers';

/** The JSON API's `GET code/info/?referral_code=CODE`, which only asks about a code. */
const asksForCode = /^[^?]*\/code\/info\/?\?/i;

/**
 * Attaches `req.referralForRequest()` and `res.locals.referrals`, links a visitor's responses to the user once they
 * sign in, and counts `?referral_code=CODE` on any page as a click. The path of a visitor who was never referred is
 * kept short: no promise, no query, and no other property, because each one added to a request costs measurable time.
 */
export function middleware(tracking: Tracking): RequestHandler {
  const { codeParameter } = tracking.settings;
  const helpers = templateHelpers(tracking);

  async function arrive(visitor: Visitor, code: string | null, res: Response): Promise<void> {
    await visitor.signIn();
    const link = code === null ? undefined : await tracking.links.find(code);
    if (!link) return;
    // The response can now set the visitor's cookie, which a shared cache must not hand to others.
    if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'private');
    await visitor.click(link);
  }

  return function referrals(req, res, next) {
    // Only compared, never called. Read once, because a missing property is searched in every prototype.
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const attached = req.referralForRequest as Request['referralForRequest'] | undefined;
    if (attached === undefined) req.referralForRequest = tracking.attached;
    else if (attached === tracking.attached)
      return next(); // mounted twice
    else tracking.meet(req, res); // the property is another instance's: ours knows the visitor when a call names it
    res.locals['referrals'] = helpers(req, res);
    const isVisit = codeParameter !== false && !asksForCode.test(req.url);
    const code = isVisit ? queryParameter(req.url, codeParameter) : null;
    if (code === null && !tracking.store.carries(req)) return next();
    const visitor = tracking.meet(req, res);
    if (code === null && visitor.visit === null) return next();
    void arrive(visitor, code, res)
      .catch(tracking.settings.onError) // the page is shown even if its click can't be recorded
      .then(() => next());
  };
}

/**
 * The first value of a query parameter, or null. It is read from the URL, because the host chooses the parser of
 * `req.query`.
 */
export function queryParameter(url: string, name: string): string | null {
  const start = url.indexOf('?');
  if (start === -1 || !url.includes(name, start)) return null;
  return new URLSearchParams(url.slice(start)).get(name);
}
