import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { HttpError } from './http-error';

export const notFound: RequestHandler = (_req, _res, next) => next(new HttpError(404, 'There is no such page here.'));

/**
 * Errors of express-referrals, of Express and of the shop have a `status`. An error without one is a bug (500). Only the
 * shop's own messages are written for visitors, and that of a limit.
 */
export const errorPage: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error);
  const { status: given } = (error ?? {}) as { status?: unknown };
  const status = Number.isInteger(given) && Number(given) >= 400 && Number(given) < 600 ? Number(given) : 500;
  if (status >= 500) console.error(error);
  res.status(status).render('error', {
    status,
    heading: STATUS_CODES[status] ?? 'Error',
    message: messageOf(error, status),
  });
};

function messageOf(error: unknown, status: number): string {
  if (error instanceof HttpError) return error.message;
  if (status === 429) return 'Too many attempts. Please try again in a minute.';
  if (status < 500) return 'We could not read this request. Please go back and try again.';
  return 'Something went wrong on our side. Please try again.';
}
