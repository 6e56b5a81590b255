import { parseCookie, stringifySetCookie } from 'cookie';
import type { Request, Response } from 'express';
import type { Clock } from '../database/clock';
import { referralError } from '../errors';
import { isCode } from '../input';
import type { Settings } from '../options';
import { type Visit, VisitorTokens } from './visitor-token';

/** Where a visitor's {@link Visit} is kept between requests. */
export interface VisitorStore {
  /** Whether there is anything to read: a glance that costs next to nothing. */
  carries(req: Request): boolean;
  /** The visit of this request, or null: also for one that is forged, damaged or too old. */
  read(req: Request): Visit | null;
  write(req: Request, res: Response, visit: Visit): void;
  clear(req: Request, res: Response): void;
}

export function visitorStore(settings: Settings, clock: Clock): VisitorStore {
  const isFresh = (visit: Visit): boolean =>
    clock.now().getTime() - visit.clickedAt.getTime() < settings.cookie.maxAgeMs;
  return settings.visitor === 'cookie' ? cookieStore(settings, isFresh) : sessionStore(isFresh);
}

function cookieStore({ cookie, secrets }: Settings, isFresh: (visit: Visit) => boolean): VisitorStore {
  const tokens = new VisitorTokens(secrets);
  const mark = `${cookie.name}=`;
  /** What follows the value: the same for every visitor, so written once. */
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
    // One answer sets our cookie once: of a click and the sign-in before it, the later one counts.
    const others = before === undefined ? [] : [before].flat().filter((other) => !String(other).startsWith(mark));
    res.setHeader('Set-Cookie', others.length === 0 ? line : [...(others as string[]), line]);
  };
  return {
    carries: (req) => req.headers.cookie?.includes(mark) === true,
    read(req) {
      const header = req.headers.cookie;
      if (!header?.includes(mark)) return null;
      const token = parseCookie(header)[cookie.name];
      const visit = token ? tokens.read(token) : null;
      return visit && isFresh(visit) ? visit : null;
    },
    write: (req, res, visit) => set(req, res, tokens.sign(visit), 'kept'),
    clear: (req, res) => set(req, res, '', 'cleared'),
  };
}

/** What `req.session.referral` holds: plain data, as session stores serialise it. */
interface StoredVisit {
  code: string;
  visitorId: string;
  clickedAt: number;
}

function sessionStore(isFresh: (visit: Visit) => boolean): VisitorStore {
  const session = (req: Request): { referral?: StoredVisit } => {
    const found = (req as { session?: { referral?: StoredVisit } }).session;
    if (!found) throw referralError('SESSION_MISSING');
    return found;
  };
  return {
    carries: (req) => session(req).referral !== undefined,
    read(req) {
      const stored = session(req).referral;
      if (!stored || !isCode(stored.code)) return null;
      const visit = { ...stored, clickedAt: new Date(stored.clickedAt) };
      return isFresh(visit) ? visit : null;
    },
    write(req, _res, { code, visitorId, clickedAt }) {
      session(req).referral = { code, visitorId, clickedAt: clickedAt.getTime() };
    },
    clear(req) {
      delete session(req).referral;
    },
  };
}
