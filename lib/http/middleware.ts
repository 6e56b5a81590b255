import type { Request, RequestHandler, Response } from 'express';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { templateHelpers } from './template-helpers';

/** `GET …/code/info/` of the JSON API asks what a code promises. Its parameter is no click. */
const asksForCode = /^[^?]*\/code\/info\/?\?/i;

/**
 * Attaches `req.referralForRequest()` and `res.locals.referrals`, links a visitor's responses once they are signed in, and counts
 * `?referral_code=CODE` on any page as a click. A visitor who was never referred passes without a promise and without a query. Each
 * property that is added to a request costs time, so such a request gets only these two.
 */
export function middleware(tracking: Tracking): RequestHandler {
  const { settings, lookup, store, visitors } = tracking;
  const { codeParameter } = settings;
  const helpers = templateHelpers(tracking);

  async function arrive(visitor: Visitor, code: string | null, res: Response): Promise<void> {
    await visitor.signIn();
    const link = code === null ? undefined : await lookup.find(code);
    if (!link) return;
    // The response may set a visitor's cookie, so no shared cache may store it.
    if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'private');
    await visitor.click(link);
  }

  return function referrals(req, res, next) {
    // Read once: a missing property is looked up through every prototype.
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const attached = req.referralForRequest as Request['referralForRequest'] | undefined;
    if (attached === undefined) req.referralForRequest = visitors.attached;
    else if (attached === visitors.attached)
      return next(); // mounted twice
    else visitors.meet(req, res); // another instance attached its own; this one is found when it is named
    res.locals['referrals'] = helpers(req, res);
    const mayBeClick = codeParameter !== false && !asksForCode.test(req.url);
    const code = mayBeClick ? queryParameter(req.url, codeParameter) : null;
    if (code === null && !store.carries(req)) return next();
    const visitor = visitors.meet(req, res);
    if (code === null && visitor.touch === null) return next();
    void arrive(visitor, code, res)
      .catch(settings.onError) // the page is shown even if its click fails
      .then(() => next());
  };
}

/** The first value of a query parameter, or null. Read from the URL, so that the host's query parser does not matter. */
export function queryParameter(url: string, name: string): string | null {
  const start = url.indexOf('?');
  if (start === -1 || !url.includes(name, start)) return null;
  return new URLSearchParams(url.slice(start)).get(name);
}
