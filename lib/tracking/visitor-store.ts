import { parseCookie, stringifySetCookie } from 'cookie';
import type { Request, Response } from 'express';
import { referralError } from '../errors';
import { isCode } from '../input';
import type { Settings } from '../options';
import type { Clock } from './clock';
import { type Visit, VisitorTokens } from './visitor-token';

/** Where a visitor's {@link Visit} is kept between requests. */
export interface VisitorStore {
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
  const set = (req: Request, res: Response, value: string, maxAgeMs: number): void => {
    const header = stringifySetCookie(cookie.name, value, {
      maxAge: Math.floor(maxAgeMs / 1000),
      domain: cookie.domain,
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: cookie.secure === 'auto' ? req.secure : cookie.secure,
    });
    const before = res.getHeader('Set-Cookie');
    // One answer sets our cookie once: of a click and the sign-in before it, the later one counts.
    const others = [before ?? []].flat().filter((line) => !String(line).startsWith(mark)) as string[];
    res.setHeader('Set-Cookie', others.length === 0 ? header : [...others, header]);
  };
  return {
    read(req) {
      const header = req.headers.cookie;
      if (!header?.includes(mark)) return null;
      const token = parseCookie(header)[cookie.name];
      const visit = token ? tokens.read(token) : null;
      return visit && isFresh(visit) ? visit : null;
    },
    write: (req, res, visit) => set(req, res, tokens.sign(visit), cookie.maxAgeMs),
    clear: (req, res) => set(req, res, '', 0),
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
