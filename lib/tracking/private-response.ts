import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';

/** Headers with which a host or its server tells shared caches more than `Cache-Control` does. */
const forSharedCaches = /(^|-)cdn-cache-control$|^surrogate-control$/;

/**
 * Keeps a response out of shared caches if it is sent with a cookie of ours: others would get the cookie from there. This
 * is decided when the head is written, because the host's handlers set their headers later than we do.
 */
export function keepPrivate(res: ServerResponse, hasCookie: () => boolean): void {
  onHeaders(res, () => {
    if (!hasCookie()) return;
    const directives = String(res.getHeader('Cache-Control') ?? '')
      .toLowerCase()
      .split(',')
      .map((directive) => directive.trim());
    for (const name of res.getHeaderNames()) if (forSharedCaches.test(name)) res.removeHeader(name);
    if (directives.includes('no-store') || (directives.includes('private') && !directives.includes('public'))) return;
    res.setHeader('Cache-Control', directives.includes('no-cache') ? 'private, no-cache' : 'private');
  });
}
