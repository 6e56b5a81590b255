import type { Request } from 'express';

/**
 * Whether a page of this site sent the request. Browsers say so in `Sec-Fetch-Site`, older browsers in `Origin`. A page
 * of another site can set neither header. The check needs no token, and does not replace the host's own CSRF
 * protection.
 */
export function isSameOrigin({ headers }: Request, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined ? headers.origin === origin : site === 'same-origin';
}
