import { parseCookie, stringifySetCookie } from 'cookie';
import type { Request, Response } from 'express';
import type { Clock } from '../database/clock';
import { referralError } from '../errors';
import { isCode } from '../input';
import type { Settings } from '../options';
import { type Touch, VisitorTokens } from './visitor-token';

/** Stores a visitor's {@link Touch} between requests: in the cookie or in the session. */
export interface VisitorStore {
  /** Whether the request may have a touch. It is cheap, because it does not verify the cookie. */
  carries(req: Request): boolean;
  /**
   * Returns the request's touch. Null if there is none, or if it is forged, damaged or older than `cookie.maxAgeDays`.
   */
  read(req: Request): Touch | null;
  write(req: Request, res: Response, touch: Touch): void;
  clear(req: Request, res: Response): void;
}

export function visitorStore(settings: Settings, clock: Clock): VisitorStore {
  const isFresh = (touch: Touch): boolean =>
    clock.now().getTime() - touch.clickedAt.getTime() < settings.cookie.maxAgeMs;
  return settings.visitor === 'cookie' ? cookieStore(settings, isFresh) : sessionStore(settings, isFresh);
}

function cookieStore({ cookie, secrets }: Settings, isFresh: (touch: Touch) => boolean): VisitorStore {
  const tokens = new VisitorTokens(secrets);
  const mark = `${cookie.name}=`;
  /** Returns the part of `Set-Cookie` after the value. It is the same for each visitor, so it is built once. */
  const attributes = (secure: boolean, maxAgeMs: number): string => {
    const maxAge = Math.floor(maxAgeMs / 1000);
    const { domain } = cookie;
    const empty = stringifySetCookie(cookie.name, '', {
      ...{ maxAge, domain, path: '/', httpOnly: true, sameSite: 'lax', secure },
    });
    return empty.slice(mark.length);
  };
  const [plain, secure] = [false, true].map((isSecure) => ({
    kept: attributes(isSecure, cookie.maxAgeMs),
    cleared: attributes(isSecure, 0),
  })) as [Record<'kept' | 'cleared', string>, Record<'kept' | 'cleared', string>];

  const set = (req: Request, res: Response, value: string, how: 'kept' | 'cleared'): void => {
    const isSecure = cookie.secure === 'auto' ? req.secure : cookie.secure;
    const line = mark + value + (isSecure ? secure : plain)[how];
    const before = res.getHeader('Set-Cookie');
    // A response sets the cookie once: a later write in the same request replaces an earlier one.
    const others = before === undefined ? [] : [before].flat().filter((other) => !String(other).startsWith(mark));
    res.setHeader('Set-Cookie', others.length === 0 ? line : [...(others as string[]), line]);
  };
  return {
    carries: (req) => req.headers.cookie?.includes(mark) === true,
    read(req) {
      const header = req.headers.cookie;
      if (!header?.includes(mark)) return null;
      const token = parseCookie(header)[cookie.name];
      const touch = token ? tokens.read(token) : null;
      return touch && isFresh(touch) ? touch : null;
    },
    write: (req, res, touch) => set(req, res, tokens.sign(touch), 'kept'),
    clear: (req, res) => set(req, res, '', 'cleared'),
  };
}

/** What `req.session.referral` holds: plain data, as session stores serialise it. */
interface StoredTouch {
  code: string;
  visitorId: string;
  /** The time of the touch, in milliseconds since 1970. */
  clickedAt: number;
}

/**
 * While its store is away, express-session leaves requests without a session. Then visitors have no touch, and pages go
 * on; it is reported once, until there is a session again.
 */
function sessionStore({ onError }: Settings, isFresh: (touch: Touch) => boolean): VisitorStore {
  let isMounted = false;
  let isReported = false;

  function session(req: Request): { referral?: StoredTouch } {
    const found = (req as { session?: { referral?: StoredTouch } | null }).session;
    if (found) {
      isMounted = true;
      isReported = false;
      return found;
    }
    const error = referralError('SESSION_MISSING');
    isMounted ||= hasSessionLayer(req);
    if (!isMounted) throw error;
    if (!isReported) onError(error);
    isReported = true;
    return {};
  }

  return {
    carries: (req) => session(req).referral !== undefined,
    read(req) {
      const stored = session(req).referral;
      if (!stored || !isCode(stored.code)) return null;
      const touch = { code: stored.code, visitorId: stored.visitorId, clickedAt: new Date(stored.clickedAt) };
      return isFresh(touch) ? touch : null;
    },
    write(req, _res, { code, visitorId, clickedAt }) {
      session(req).referral = { code, visitorId, clickedAt: clickedAt.getTime() };
    },
    clear(req) {
      delete session(req).referral;
    },
  };
}

interface Layers {
  readonly stack: readonly { readonly name: string }[];
}

/** Whether express-session, whose middleware is called `session`, is mounted in the app of a request or in one above. */
function hasSessionLayer({ app }: Request): boolean {
  for (let at = app as typeof app | undefined; at; at = (at as { parent?: typeof app }).parent) {
    // Express 4 has `_router`, and throws for `router`.
    const { stack } = (at as { _router?: Layers })._router ?? (at as unknown as { router: Layers }).router;
    if (stack.some(({ name }) => name === 'session')) return true;
  }
  return false;
}
