import { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import { isAway } from '../../errors';
import { userIdOf } from '../../input';
import type { Rewards } from '../../rewards/rewards';
import type { Tracking } from '../../tracking/tracking';
import { type Endpoint, endpoints } from './endpoints';
import { notFound, Problem } from './problem';

const maxRequestIdLength = 200;

/**
 * The JSON API of a signed-in user's own earnings, for clients of Webshare's referral API: wherever the host mounts it. All that it
 * answers is JSON, and no cache keeps it.
 */
export function api(tracking: Tracking, rewards: Rewards): RequestHandler {
  const { settings } = tracking;
  const router = Router();
  router.use((req, res, next) => {
    const requestId = req.get('X-Request-ID');
    if (requestId && requestId.length <= maxRequestIdLength) res.set('X-Request-ID', requestId);
    res.set('Cache-Control', 'no-store');
    next();
  });
  for (const endpoint of endpoints(tracking, rewards))
    router.all(
      endpoint.path,
      (req, res) => void answer(endpoint, req, res).catch((error: unknown) => fail(error, res)),
    );
  router.use((_req, res) => fail(notFound(), res));
  // Express itself refuses a path that it can't decode: nothing is there.
  const undecodable: ErrorRequestHandler = (error, _req, res, _next) =>
    fail(error instanceof URIError ? notFound() : error, res);
  router.use(undecodable);

  async function answer({ path: _, methods, isOpen = false }: Endpoint, req: Request, res: Response): Promise<void> {
    const allowed = Object.keys(methods).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    if (req.method === 'OPTIONS')
      return void res
        .status(204)
        .set('Allow', [...allowed, 'OPTIONS'].join(', '))
        .end();
    const handle = methods[(req.method === 'HEAD' ? 'GET' : req.method) as keyof typeof methods];
    if (!handle) {
      res.set('Allow', [...allowed, 'OPTIONS'].join(', '));
      throw new Problem(405, { detail: `Method "${req.method}" not allowed.` });
    }
    const user = isOpen ? null : await settings.user(req);
    const userId = user === '' ? null : userIdOf('user', user);
    if (!isOpen && userId === null) throw new Problem(401, { detail: 'Sign in, or send credentials.' });
    const body = await handle({ req, res, userId: userId ?? '' });
    if (res.headersSent) return; // by the host, that waits no longer
    if (body === null) res.status(204).end();
    else res.json(body);
  }

  /** What went wrong here is for the host to know, not for who asks. */
  function fail(error: unknown, res: Response): void {
    const { status, body } = problemOf(error);
    if (!(error instanceof Problem)) settings.onError(error);
    if (res.headersSent) return;
    if (status === 503) res.set('Retry-After', '5');
    res.status(status).json(body);
  }

  return router;
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isAway(error)) return new Problem(503, { detail: 'The service is unavailable. Try again later.' });
  return new Problem(500, { detail: 'Something went wrong.' });
}
