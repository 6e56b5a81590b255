import type { RequestHandler } from 'express';

/**
 * Sets security headers. The pages have no inline script or style, and must not be cached, because they differ by
 * visitor.
 */
export const securityHeaders: RequestHandler = (_req, res, next) => {
  res.set({
    'Content-Security-Policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'private, no-cache',
  });
  next();
};
