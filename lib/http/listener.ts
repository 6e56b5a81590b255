import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { isAway } from '../database/unavailable';
import { invalid, ReferralError, referralError } from '../errors';
import { objectOf } from '../input';
import { addressOfRequest } from '../option-defaults';
import type { Tracking } from '../tracking/tracking';
import { Visitor } from '../tracking/visitor';
import { codeOf, type LinkFollower, pathOf } from './link-follower';
import { addressOf, trustOf, trustOfApp, type TrustProxy } from './trust-proxy';

/** Options of `referrals.listener`. */
export interface ListenerOptions {
  /**
   * Which proxies in front of the app are trusted to say where a request comes from, for the address that is stored with
   * a click. It takes what Express' `trust proxy` takes. Default: the setting `trust proxy` of `app`, if that is an
   * Express app; otherwise none.
   */
  trustProxy?: TrustProxy;
}

type Handler<Req, Res> = (req: Req, res: Res) => unknown;

/**
 * Makes a handler for `http.createServer` of an app, which serves links itself and passes every other request on to the app.
 */
export interface Listener {
  (
    app: Handler<IncomingMessage, ServerResponse>,
    options?: ListenerOptions,
  ): (req: IncomingMessage, res: ServerResponse) => void;
  /** For an app that takes requests of HTTP/2. */
  (
    app: Handler<Http2ServerRequest, Http2ServerResponse>,
    options?: ListenerOptions,
  ): (req: Http2ServerRequest, res: Http2ServerResponse) => void;
}

/** The request and the response of HTTP/2 have what is used here of those of HTTP/1, so one implementation serves both. */
export function listenerOf(tracking: Tracking, follower: LinkFollower): Listener {
  return ((app: Handler<IncomingMessage, ServerResponse>, options?: ListenerOptions) =>
    listener(tracking, follower, app, options)) as Listener;
}

function listener(
  tracking: Tracking,
  follower: LinkFollower,
  app: Handler<IncomingMessage, ServerResponse>,
  options: ListenerOptions = {},
): (req: IncomingMessage, res: ServerResponse) => void {
  if (typeof app !== 'function')
    throw invalid('app', 'a function of a request and a response, such as an Express app', app);
  const { trustProxy } = objectOf<ListenerOptions>('referrals.listener', options, { trustProxy: true });
  const { settings } = tracking;
  if (settings.visitor === 'session') throw referralError('LISTENER_NEEDS_COOKIE');
  const given = trustProxy === undefined ? null : trustOf(trustProxy);
  const trust = given ? () => given : () => trustOfApp(app);
  const clientIp =
    settings.clientIp === addressOfRequest ? (req: IncomingMessage) => addressOf(req, trust) : settings.clientIp;
  const parts = { ...tracking, isBeforeApp: true, settings: { ...settings, clientIp, user: () => null } };
  const visitorOf = (req: IncomingMessage, res: ServerResponse): Visitor => new Visitor(parts, req, res, false);
  const mounts = [...new Set([settings.linkPath, settings.sitePath + settings.linkPath])].map((path) =>
    path.toLowerCase(),
  );

  /** Returns what follows the path of the links, from its slash on; an empty text for any other URL. */
  function restOf(url: string): string {
    for (const mount of mounts)
      if (url[mount.length] === '/' && url.slice(0, mount.length).toLowerCase() === mount)
        return url.slice(mount.length);
    return '';
  }

  return function referralLinks(req, res) {
    const rest = restOf(req.url!);
    const code = rest === '' ? '' : codeOf(req.method, pathOf(rest));
    if (code === '') return void app(req, res);
    follower.follow(req, res, code, rest, visitorOf).then(
      (isFollowed) => {
        if (!isFollowed) void app(req, res);
      },
      (error: unknown) => {
        settings.onError(error); // no caller can catch it
        refuse(res, error);
      },
    );
  };
}

/** Answers a link that can't be followed now: 503 while the database is away, like the error handler of an app. */
function refuse(res: ServerResponse, error: unknown): void {
  if (res.headersSent) return void res.destroy();
  const status = error instanceof ReferralError ? error.status : 500;
  res.statusCode = status;
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  if (isAway(error)) res.setHeader('Retry-After', '5');
  res.end(STATUS_CODES[status]);
}
