import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import { isAway } from '../../database/unavailable';
import { ReferralError } from '../../errors';
import type { Rewards } from '../../rewards/rewards';
import { quoted } from '../../shown';
import { idOf, signedInUser } from '../../tracking/signed-in-user';
import type { Tracking } from '../../tracking/tracking';
import { HttpError, notFound } from '../http-error';
import type { Limits } from '../rate-limits';
import { isSameOrigin } from '../same-origin';
import type { Endpoint, Method } from './endpoint';
import { endpoints } from './endpoints';

const maxRequestIdLength = 200;

/**
 * The JSON API of the signed-in user's own earnings, for clients of Webshare's referral API. The host mounts it at
 * any path. Every response has a JSON body or none, and `Cache-Control: no-store`.
 */
export function api(tracking: Tracking, rewards: Rewards, limits: Limits): RequestHandler {
  const { settings } = tracking;

  async function respond(endpoint: Endpoint, req: Request, res: Response): Promise<void> {
    const { methods, isOpen = false } = endpoint;
    const allowed = Object.keys(methods).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const allow = [...allowed, 'OPTIONS'].join(', ');
    if (req.method === 'OPTIONS') return void res.status(204).set('Allow', allow).end();
    const handler = methods[(req.method === 'HEAD' ? 'GET' : req.method) as Method];
    if (!handler) {
      res.set('Allow', allow);
      throw new HttpError(405, { detail: `Method ${quoted(req.method)} not allowed.` });
    }
    const userId = isOpen ? '' : await someUser(req);
    refuseOtherSites(req);
    const body = await handler({ req, res, userId });
    if (res.headersSent) return; // the host has responded, for example after a time limit
    if (body === null) res.status(204).end();
    else res.json(body);
  }

  async function someUser(req: Request): Promise<string> {
    const userId = idOf(await signedInUser(settings, req, () => undefined)); // the response tells that nobody is signed in
    if (userId === null) throw new HttpError(401, { detail: 'Sign in, or send credentials.' });
    return userId;
  }

  /**
   * Refuses a change that a page of another site sends with the user's cookies. A client that sends credentials itself
   * needs no cookies.
   */
  function refuseOtherSites(req: Request): void {
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    if (isRead || req.headers.authorization !== undefined || isSameOrigin(req, settings.baseUrl.origin)) return;
    throw new HttpError(403, { detail: 'Send changes from pages of this site, or with an Authorization header.' });
  }

  /**
   * Sends the error response. An error that is not the client's goes to the option `onError`, and is not described in
   * the response.
   */
  function fail(error: unknown, res: Response): void {
    const { status, body } = responseTo(error);
    if (status >= 500) settings.onError(error);
    if (res.headersSent) return;
    if (status === 503) res.set('Retry-After', '5');
    res.status(status).json(body);
  }

  const router = Router();
  router.use((req, res, next) => {
    const requestId = req.get('X-Request-ID');
    if (requestId && requestId.length <= maxRequestIdLength) res.set('X-Request-ID', requestId);
    res.set('Cache-Control', 'no-store');
    next();
  });
  for (const endpoint of endpoints(tracking, rewards, limits))
    router.all(endpoint.path, (req, res) => {
      respond(endpoint, req, res).catch((error: unknown) => fail(error, res));
    });
  router.use((_req, res) => fail(notFound(), res));
  // Express throws a URIError for a path that it can't decode. No endpoint has such a path.
  const failToRoute: ErrorRequestHandler = (error, _req, res, _next) =>
    fail(error instanceof URIError ? notFound() : error, res);
  router.use(failToRoute);
  return router;
}

function responseTo(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof ReferralError && error.status === 429) return new HttpError(429, { detail: error.message });
  if (isAway(error)) return new HttpError(503, { detail: 'The service is unavailable. Try again later.' });
  return new HttpError(500, { detail: 'Something went wrong.' });
}
