import type { Request, RequestHandler, Response } from 'express';
import { cutCode } from '../input';
import { isPrefetch } from '../tracking/click-rules';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { refusePrefetch } from './prefetch';
import { queryOf, queryParameter } from './query';
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

  /** Counts a page with a code. Returns whether it has answered the request. */
  async function arrive(visitor: Visitor, code: string, req: Request, res: Response): Promise<boolean> {
    await visitor.signIn();
    const link = await lookup.find(cutCode(code));
    if (!link) return false;
    if (isPrefetch(req)) {
      refusePrefetch(res, link.referral);
      return true;
    }
    await visitor.click(link);
    return false;
  }

  const links = [settings.linkPath, settings.sitePath + settings.linkPath].map((path) => `${path.toLowerCase()}/`);
  /** Returns the code in the parameter of a page; null if there is none. */
  function codeIn(url: string): string | null {
    const query = codeParameter === false ? '' : queryOf(url);
    const code = query === '' ? null : queryParameter(query, codeParameter as string);
    if (code === null || asksForCode.test(url)) return null;
    // A link is a click on the code in its path. One request is one click.
    const path = url.toLowerCase();
    return links.some((link) => path.startsWith(link)) ? null : code;
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
    const code = codeIn(req.url);
    if (code === null && !store.carries(req)) return next();
    const visitor = visitors.meet(req, res);
    if (code === null) {
      const signingIn = visitor.signIn();
      return signingIn ? void signingIn.then(() => next()) : next();
    }
    void arrive(visitor, code, req, res)
      .catch((error: unknown) => {
        settings.onError(error); // the page is shown even if its click fails
        return false;
      })
      .then((isAnswered) => {
        if (!isAnswered) next();
      });
  };
}
