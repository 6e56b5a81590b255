import connectPgSimple from 'connect-pg-simple';
import type { CookieOptions, Request, RequestHandler, Response } from 'express';
import session from 'express-session';
import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { issueCsrfToken } from './csrf';
import { User } from './entities';

declare module 'express-session' {
  interface SessionData {
    userId?: string;
    csrfToken?: string;
  }
}

const name = 'shop.sid';
const cookie = { httpOnly: true, sameSite: 'lax', path: '/' } satisfies CookieOptions;

export function sessions(pool: Pool, secret: string): RequestHandler {
  const Store = connectPgSimple(session);
  return session({
    name,
    secret,
    store: new Store({ pool, tableName: 'shop_sessions', createTableIfMissing: true }),
    resave: false,
    saveUninitialized: false,
    cookie: { ...cookie, secure: 'auto', maxAge: 14 * 86_400_000 },
  });
}

/**
 * Signs a user in with a new session id, so that an attacker who knows the old id is not signed in (session fixation).
 */
export async function signIn(req: Request, res: Response, user: User): Promise<void> {
  await done((callback) => req.session.regenerate(callback));
  req.session.userId = user.id;
  issueCsrfToken(req, res);
  await done((callback) => req.session.save(callback));
}

export async function signOut(req: Request, res: Response): Promise<void> {
  await done((callback) => req.session.destroy(callback));
  res.clearCookie(name, cookie);
}

function done(start: (callback: (error?: Error) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}

/** Loads the signed-in user, for templates and {@link currentUser}. */
export function loadUser(dataSource: DataSource): RequestHandler {
  return async (req, res, next) => {
    const id = req.session.userId;
    res.locals['currentUser'] = id === undefined ? null : await dataSource.manager.findOneBy(User, { id });
    next();
  };
}

export function currentUser(res: Response): User | null {
  return (res.locals['currentUser'] as User | null | undefined) ?? null;
}
