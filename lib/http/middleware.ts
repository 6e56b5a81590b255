import type { Request, RequestHandler } from 'express';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { templateHelpers } from './template-helpers';

/**
 * The path `…/code/info/` of the JSON API returns the offer of a code. The parameter of that request is not a click.
 */
const asksForCode = /^[^?]*\/code\/info\/?\?/i;

/**
 * Attaches `req.referralForRequest()` and `res.locals.referrals`, links a visitor's responses to the user once the
 * visitor is signed in, and counts `?referral_code=CODE` on any page as a click. The request of a visitor who was never
 * referred continues without a promise and without a query. It gets only these two properties, because each property
 * that is added to a request costs time.
 */
export function middleware(tracking: Tracking): RequestHandler {
  const { settings, lookup, store, visitors } = tracking;
  const { codeParameter } = settings;
  const helpers = templateHelpers(tracking);

  async function arrive(visitor: Visitor, code: string | null): Promise<void> {
    await visitor.signIn();
    const link = code === null ? undefined : await lookup.find(code);
    if (link) await visitor.click(link);
  }

  return function referrals(req, res, next) {
    // Read once, because the look-up of a missing property goes through every prototype.
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const attached = req.referralForRequest as Request['referralForRequest'] | undefined;
    if (attached === undefined) req.referralForRequest = visitors.attached;
    else if (attached === visitors.attached)
      return next(); // mounted twice
    else visitors.meet(req, res); // another instance attached its own: calls that name this instance find its visitor
    res.locals['referrals'] = helpers(req, res);
    const mayBeClick = codeParameter !== false && !asksForCode.test(req.url);
    const code = mayBeClick ? queryParameter(req.url, codeParameter) : null;
    if (code === null && !store.carries(req)) return next();
    const visitor = visitors.meet(req, res);
    if (code === null && visitor.touch === null) return next();
    void arrive(visitor, code)
      .catch(settings.onError) // the page is shown even if its click fails
      .then(() => next());
  };
}

/**
 * Returns the first value of a query parameter, or null. It reads the URL, because the host chooses the parser of
 * `req.query`.
 */
export function queryParameter(url: string, name: string): string | null {
  const start = url.indexOf('?');
  if (start === -1 || !url.includes(name, start)) return null;
  return new URLSearchParams(url.slice(start)).get(name);
}
