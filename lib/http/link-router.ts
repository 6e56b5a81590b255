import type { RequestHandler } from 'express';
import { isAway } from '../database/unavailable';
import { referralError } from '../errors';
import type { Tracking } from '../tracking/tracking';
import { sendScript } from './create-link-script';
import { createRoute } from './create-route';
import { codeOf, isForScript, type LinkFollower, pathOf } from './link-follower';

/**
 * `GET /:code` follows a link. What comes after the code and can't be a part of it, such as a slash or a full stop, is
 * ignored. `GET /create-link.js` is the script of `createForm`, and `POST /` creates a link. Every other request goes on to the host's next handler.
 */
export function linkRouter(tracking: Tracking, follower: LinkFollower): RequestHandler {
  const { settings, visitors } = tracking;
  const create = createRoute(tracking);
  // Express matches mount paths without regard to case. If `baseUrl` has a path, the host's app may itself be mounted
  // at that path.
  const wholePath = settings.sitePath + settings.linkPath;
  const isMountedRight = (mount: string): boolean =>
    mount === settings.linkPath ||
    [settings.linkPath, wholePath].some((path) => path.toLowerCase() === mount.toLowerCase());
  const visitorOf = visitors.visitor.bind(visitors);

  return function referralLinks(req, res, next) {
    if (!isMountedRight(req.baseUrl)) return next(referralError('ROUTER_MISPLACED', req.baseUrl, settings.linkPath));
    const path = pathOf(req.url);
    const fail = (error: unknown): void => {
      if (isAway(error)) res.setHeader('Retry-After', '5');
      next(error);
    };
    if (req.method === 'POST' && path === '') return void create(req, res).catch(fail);
    if (isForScript(req.method, path)) return sendScript(req, res);
    const code = codeOf(req.method, path);
    if (code === '') return next();
    follower.follow(req, res, code, req.url, visitorOf).then((isFollowed) => {
      if (!isFollowed) next();
    }, fail);
  };
}
