import type { Request } from 'express';
import { HttpError } from './http-error';

/**
 * Returns a field of a posted form; an empty text for a field that is missing.
 *
 * @throws HttpError 400 for a field that is repeated, or has a NUL, which PostgreSQL does not store.
 */
export function field(req: Request, name: string): string {
  const value = (req.body as Record<string, unknown> | undefined)?.[name] ?? '';
  if (typeof value !== 'string' || value.includes('\0')) throw new HttpError(400, 'We could not read this form.');
  return value;
}

/** Returns the path to go to after signing in, if it is a page of this site; else the front page. */
export function localPath(wanted: unknown): string {
  const here = 'http://localhost';
  if (typeof wanted !== 'string' || !URL.canParse(wanted, here)) return '/';
  const { origin, pathname, search } = new URL(wanted, here);
  // A path such as /.//other.example is normalised to //other.example, which browsers treat as another host.
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/';
}
