import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';

/** Headers that tell a shared cache more than `Cache-Control` does, and count before it. In lower case, as Node.js looks them up. */
const forSharedCaches = ['cdn-cache-control', 'cloudflare-cdn-cache-control', 'surrogate-control'];

/** Keeps a response out of all caches. Nothing else may set its headers after that. */
export function storeNowhere(res: ServerResponse): void {
  for (const name of forSharedCaches) if (res.hasHeader(name)) res.removeHeader(name);
  res.setHeader('Cache-Control', 'no-store');
}

/**
 * Keeps a response out of shared caches if it is sent with a cookie of ours: others would get the cookie from there. This
 * is decided when the head is written, because the host's handlers set their headers later than we do.
 */
export function keepPrivate(res: ServerResponse, hasCookie: () => boolean): void {
  onHeaders(res, () => {
    if (!hasCookie()) return;
    for (const name of forSharedCaches) if (res.hasHeader(name)) res.removeHeader(name);
    const given = String(res.getHeader('Cache-Control') ?? '');
    if (has(given, 'no-store') || (has(given, 'private') && !has(given, 'public'))) return;
    res.setHeader('Cache-Control', has(given, 'no-cache') ? 'private, no-cache' : 'private');
  });
}

/** Whether a value of `Cache-Control` has a directive, without a value of its own. */
function has(value: string, directive: string): boolean {
  return value === directive || value.split(',').some((one) => one.trim().toLowerCase() === directive);
}
