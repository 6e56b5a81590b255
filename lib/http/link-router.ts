import { unescape } from 'node:querystring';
import type { Request, RequestHandler, Response } from 'express';
import { isAway } from '../database/unavailable';
import { referralError } from '../errors';
import { cutCode } from '../input';
import { isPrefetch } from '../tracking/click-rules';
import { locationOf, safeDestination } from '../tracking/redirect';
import type { Tracking } from '../tracking/tracking';
import { scriptName, sendScript } from './create-link-script';
import { createRoute } from './create-route';
import { refusePrefetch } from './prefetch';
import { queryOf, queryParameter } from './query';

/**
 * `GET /:code` follows a link. What comes after the code and can't be a part of it, such as a slash or a full stop, is
 * ignored. `GET /create-link.js` is the script of `createForm`, and `POST /` creates a link. Every other request goes on to the host's next handler.
 */
export function linkRouter(tracking: Tracking): RequestHandler {
  const { settings, lookup, visitors } = tracking;
  const create = createRoute(tracking);
  // Express matches mount paths without regard to case. If `baseUrl` has a path, the host's app may itself be mounted
  // at that path.
  const wholePath = settings.sitePath + settings.linkPath;
  const isMountedRight = (mount: string): boolean =>
    mount === settings.linkPath ||
    [settings.linkPath, wholePath].some((path) => path.toLowerCase() === mount.toLowerCase());

  /** Records the click and redirects. Returns false if no referral has the code. */
  async function follow(req: Request, res: Response, code: string): Promise<boolean> {
    const found = lookup.find(code);
    const link = found instanceof Promise ? await found : found;
    if (!link) return false;
    if (isPrefetch(req)) {
      refusePrefetch(res, link.referral);
      return true;
    }
    const query = queryOf(req.url);
    const wanted = settings.redirect.parameter && queryParameter(query, settings.redirect.parameter);
    const destination = (wanted && safeDestination(wanted, settings)) || link.destination;
    const visitor = visitors.visitor(req, res);
    await visitor.signIn();
    await visitor.click(link);
    // Not res.redirect(), because that writes a body, which nobody reads.
    res.statusCode = 302;
    res.setHeader('Location', locationOf(destination, query, settings));
    res.setHeader('Cache-Control', 'no-store');
    res.end();
    return true;
  }

  return function referralLinks(req, res, next) {
    if (!isMountedRight(req.baseUrl)) return next(referralError('ROUTER_MISPLACED', req.baseUrl, settings.linkPath));
    const path = pathOf(req.url);
    const fail = (error: unknown): void => {
      if (isAway(error)) res.setHeader('Retry-After', '5');
      next(error);
    };
    if (req.method === 'POST' && path === '') return void create(req, res).catch(fail);
    const code = cutCode(path);
    if ((req.method !== 'GET' && req.method !== 'HEAD') || code === '') return next();
    if (path === scriptName) return sendScript(req, res);
    follow(req, res, code).then((isFollowed) => {
      if (!isFollowed) next();
    }, fail);
  };
}

/** Returns the part of the URL between the first slash and the query, decoded, without a trailing slash. */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  let end = query === -1 ? url.length : query;
  if (end > 1 && url[end - 1] === '/') end--;
  const path = url.slice(1, end);
  return path.includes('%') ? unescape(path) : path; // unlike decodeURIComponent, it leaves what is malformed
}
