import { randomInt } from 'node:crypto';
import type { Request, Response } from 'express';

/** Digits and capitals without 0, O, 1, I and L: 31 characters, so that ten of them have 49 bits. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';

/** The default of the option `generateCode`. */
export function randomCode(): string {
  return Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/**
 * The default of the option `clientIp`. Without the header, `req.ip` is the socket's address, which costs less to read
 * here.
 */
export function addressOfRequest(req: Request): string | undefined {
  return req.headers['x-forwarded-for'] === undefined ? req.socket.remoteAddress : req.ip;
}

/**
 * The default of the option `csrf`: the token where csurf, csrf-csrf, csrf-sync and most hand-written middleware leave
 * it.
 */
export function csrfFieldOfHost(req: Request, res: Response): { name: string; value: string } | null {
  const ofRequest = (req as { csrfToken?: unknown }).csrfToken;
  const value: unknown =
    typeof ofRequest === 'function' ? ofRequest.call(req) : (res.locals['csrfToken'] ?? res.locals['_csrf']);
  return typeof value === 'string' ? { name: '_csrf', value } : null;
}

/**
 * The option `onError`, or `console.error`. The result never throws, because it is called where nobody could catch the
 * error: what the host's function throws is printed.
 */
export function safeReporter(onError: ((error: unknown) => void) | undefined): (error: unknown) => void {
  const print = (error: unknown): void => console.error('express-referrals:', error);
  if (!onError) return print;
  return (error) => {
    try {
      Promise.resolve(onError(error)).catch(print);
    } catch (failure) {
      print(failure);
    }
  };
}
