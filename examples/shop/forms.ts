import type { Request } from 'express';

/** A field of a posted form as text; missing and repeated ones are empty. */
export function field(req: Request, name: string): string {
  const value = (req.body as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : '';
}

/** Where to go after signing in, if that is a page of this site; else the front page. */
export function localPath(wanted: unknown): string {
  const here = 'http://localhost';
  if (typeof wanted !== 'string' || !URL.canParse(wanted, here)) return '/';
  const { origin, pathname, search } = new URL(wanted, here);
  // A path such as /.//other.example is normalised to //other.example, which browsers take for another host.
  return origin === here && !pathname.startsWith('//') ? pathname + search : '/';
}
