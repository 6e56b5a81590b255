import type { Response } from 'express';
import { storeNowhere } from '../../tracking/private-response';

/** Who may show a page in a frame: nobody, or pages of the same origin. */
export type Framing = 'nobody' | 'same-origin';

/**
 * Sets the headers of a page with private data: nothing from elsewhere, no inline script or style, in no cache, and no address
 * of it to other sites.
 */
export function setPageHeaders(res: Response, framing: Framing = 'nobody'): void {
  const isFramed = framing === 'same-origin';
  res.set({
    'Content-Security-Policy': [
      "default-src 'self'",
      "base-uri 'none'",
      "form-action 'self'",
      "object-src 'none'",
      `frame-ancestors ${isFramed ? "'self'" : "'none'"}`,
    ].join('; '),
    'X-Frame-Options': isFramed ? 'SAMEORIGIN' : 'DENY',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
  });
  storeNowhere(res);
}
