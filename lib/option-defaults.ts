import { randomInt } from 'node:crypto';
import type { Request, Response } from 'express';

/** Digits and capitals without 0, O, 1, I and L. Ten of these 31 characters have 49 bits of entropy. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';

/** The default of the option `generateCode`. */
export function randomCode(): string {
  return Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/**
 * The default of the option `clientIp`: `req.ip`. Without `X-Forwarded-For` that is the address of the socket, which is
 * faster to read directly.
 */
export function addressOfRequest(req: Request): string | undefined {
  return req.headers['x-forwarded-for'] === undefined ? req.socket.remoteAddress : req.ip;
}

/**
 * The default of the option `csrf`. It finds the token where csurf, csrf-csrf, csrf-sync and most hand-written
 * middleware put it.
 */
export function csrfFieldOfHost(req: Request, res: Response): { name: string; value: string } | null {
  const ofRequest = (req as { csrfToken?: unknown }).csrfToken;
  const value: unknown =
    typeof ofRequest === 'function' ? ofRequest.call(req) : (res.locals['csrfToken'] ?? res.locals['_csrf']);
  return typeof value === 'string' ? { name: '_csrf', value } : null;
}

/**
 * Returns a function that calls the option `onError`, or `console.error` without it. The function never throws, because
 * no caller could handle the error: what `onError` throws is printed.
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
