import type { Request, RequestHandler, Response } from 'express';
import { isAway, referralError } from '../errors';
import { safeDestination } from '../tracking/redirect';
import type { Tracking } from '../tracking/tracking';
import { createRoute } from './create-route';
import { queryParameter } from './middleware';

/** `GET /:code`, with or without a trailing slash, and `POST /`; anything else is the host's. */
export function linkRouter(tracking: Tracking): RequestHandler {
  const { settings, links } = tracking;
  const create = createRoute(tracking);
  // Express matches a mount in any case; below a path of baseUrl, the app itself may be mounted there.
  const whole = settings.baseUrl.pathname.replace(/\/$/, '') + settings.linkPath;
  const isMountedRight = (mount: string): boolean =>
    mount === settings.linkPath ||
    [settings.linkPath, whole].some((path) => path.toLowerCase() === mount.toLowerCase());

  async function follow(req: Request, res: Response, code: string): Promise<boolean> {
    const found = links.find(code);
    const link = found instanceof Promise ? await found : found;
    if (!link) return false;
    const wanted = settings.redirect.parameter && queryParameter(req.url, settings.redirect.parameter);
    const destination = (wanted && safeDestination(wanted, settings)) || link.destination;
    const visitor = tracking.visitor(req, res);
    await visitor.signIn();
    await visitor.click(link);
    // The head is written directly: res.redirect would negotiate a body that nobody reads.
    res.statusCode = 302;
    res.setHeader('Location', destination);
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
    if ((req.method !== 'GET' && req.method !== 'HEAD') || path === '') return next();
    follow(req, res, path).then((isDone) => {
      if (!isDone) next();
    }, fail);
  };
}

/** What stands between the first slash and the query, without a trailing slash. */
function pathOf(url: string): string {
  const query = url.indexOf('?');
  let end = query === -1 ? url.length : query;
  if (end > 1 && url[end - 1] === '/') end--;
  const path = url.slice(1, end);
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
