import type { IncomingMessage, ServerResponse } from 'node:http';
import { stringifySetCookie } from 'cookie';
import type { Request } from 'express';
import type { VisitorClock } from '../database/clock';
import { referralError } from '../errors';
import { isCode } from '../input';
import type { Settings } from '../options';
import { keepPrivate } from './private-response';
import { type IdTouch, type Touch, VisitorTokens } from './visitor-token';

/** Stores a visitor's {@link Touch} between requests: in the cookie or in the session. */
export interface VisitorStore {
  /** Whether the request may have a touch. It is cheap, because it does not verify the cookie. */
  carries(req: IncomingMessage): boolean;
  /**
   * Returns the request's touch. Null if there is none, or if it is forged, damaged or older than `cookie.maxAgeDays`.
   */
  read(req: IncomingMessage): Touch | null;
  /** @param isShared whether later handlers set headers of the response: it is then kept private when it is sent. */
  write(req: IncomingMessage, res: ServerResponse, touch: IdTouch, isShared: boolean): void;
  clear(req: IncomingMessage, res: ServerResponse, isShared: boolean): void;
}

export function visitorStore(settings: Settings, clock: VisitorClock): VisitorStore {
  const isFresh = (touch: Touch): boolean =>
    clock.now().getTime() - touch.clickedAt.getTime() < settings.cookie.maxAgeMs;
  return settings.visitor === 'cookie' ? cookieStore(settings, isFresh) : sessionStore(settings, isFresh);
}

function cookieStore(settings: Settings, isFresh: (touch: Touch) => boolean): VisitorStore {
  const { names, maxAgeMs, domain, isSecure: secure, sameSite, audiences } = settings.cookie;
  const [{ name: written }] = names;
  const marks = names.map(({ name }) => `${name}=`);
  const mark = `${written}=`;
  const tokens = new VisitorTokens(settings.secrets, audiences);
  /** Returns a line of `Set-Cookie` with an empty value. */
  const line = (name: string, maxAge: number, of: string | undefined): string =>
    stringifySetCookie(name, '', { maxAge, domain: of, path: '/', httpOnly: true, sameSite, secure });
  // They are the same for each visitor, so they are built once.
  const attributes = line(written, Math.floor(maxAgeMs / 1000), domain).slice(mark.length);
  const [current, ...former] = names.map(({ name, domains }) => ({
    name,
    cleared: domains.map((of) => line(name, 0, of)),
  }));
  const clearsFormer = new Set(former.flatMap(({ cleared }) => cleared));
  const isOurs = (header: string): boolean => header.startsWith(mark) || clearsFormer.has(header);

  /** Sets the lines, and clears the cookies of former names that the request has. */
  const set = (req: IncomingMessage, res: ServerResponse, lines: readonly string[], isShared: boolean): void => {
    const header = req.headers.cookie ?? '';
    const outdated = former.flatMap(({ name, cleared }) => (valuesOf(header, name).length > 0 ? cleared : []));
    const before = cookiesIn(res);
    // A response sets the cookie once: a later write in the same request replaces an earlier one.
    const others = before.filter((one) => !isOurs(one));
    if (isShared && others.length === before.length) keepPrivate(res, () => cookiesIn(res).some(isOurs));
    const all = [...others, ...lines, ...outdated];
    res.setHeader('Set-Cookie', all.length === 1 ? all[0]! : all); // an array takes Node.js longer to write
  };
  return {
    carries: ({ headers: { cookie } }) => cookie !== undefined && marks.some((one) => cookie.includes(one)),
    read({ headers: { cookie } }) {
      if (cookie === undefined) return null;
      for (const { name, isOnlyV1 } of names) {
        let newest: Touch | null = null;
        for (const token of valuesOf(cookie, name)) {
          const touch = tokens.read(token);
          if (!touch || !isFresh(touch) || (isOnlyV1 && typeof touch.referral === 'number')) continue;
          if (!newest || touch.clickedAt > newest.clickedAt) newest = touch;
        }
        if (newest) return newest;
      }
      return null;
    },
    write: (req, res, touch, isShared) => set(req, res, [mark + tokens.sign(touch) + attributes], isShared),
    clear: (req, res, isShared) => set(req, res, current!.cleared, isShared),
  };
}

/** The lines of `Set-Cookie` of a response. */
function cookiesIn(res: ServerResponse): string[] {
  const lines = res.getHeader('Set-Cookie');
  if (typeof lines === 'string') return [lines];
  return lines === undefined ? [] : [lines].flat().map(String);
}

/**
 * Returns the values of all cookies of a name. There may be several: of this host and of its domain, or from a subdomain.
 */
function valuesOf(header: string, name: string): string[] {
  const mark = `${name}=`;
  const values: string[] = [];
  for (let at = header.indexOf(mark); at !== -1; at = header.indexOf(mark, at + mark.length)) {
    const isName = header.slice(header.lastIndexOf(';', at) + 1, at).trim() === ''; // not the end of a longer name or a value
    if (!isName) continue;
    const end = header.indexOf(';', at);
    values.push(header.slice(at + mark.length, end === -1 ? undefined : end).trimEnd());
  }
  return values;
}

/** What `req.session.referral` holds: plain data, as session stores serialise it. */
interface StoredTouch {
  referralId?: number;
  /** In place of `referralId`, in a session of an older version. */
  code?: string;
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

  function session(req: IncomingMessage): { referral?: StoredTouch } {
    const found = (req as { session?: { referral?: StoredTouch } | null }).session;
    if (found) {
      isMounted = true;
      isReported = false;
      return found;
    }
    const error = referralError('SESSION_MISSING');
    isMounted ||= hasSessionLayer(req as Request);
    if (!isMounted) throw error;
    if (!isReported) onError(error);
    isReported = true;
    return {};
  }

  return {
    carries: (req) => session(req).referral !== undefined,
    read(req) {
      const stored = session(req).referral;
      if (!stored) return null;
      const { referralId, code, visitorId, clickedAt } = stored;
      const referral = Number.isSafeInteger(referralId) ? referralId : code;
      if (typeof referral !== 'number' && !isCode(referral)) return null;
      const touch = { referral, visitorId, clickedAt: new Date(clickedAt) };
      return isFresh(touch) ? touch : null;
    },
    write(req, res, { referral, visitorId, clickedAt }, isShared) {
      session(req).referral = { referralId: referral, visitorId, clickedAt: clickedAt.getTime() };
      if (isShared) keepPrivate(res, () => true); // the session may set its own cookie
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
