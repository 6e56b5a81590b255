import { lengths } from '../limits';
import type { Settings } from '../options';

/**
 * The address that a redirect may be sent to, or null. The text is read by the WHATWG URL parser, as browsers do, and what
 * is judged is exactly what is sent: the parsed URL, with http(s), without user info, of an origin that the host allowed.
 *
 * @see https://url.spec.whatwg.org/#concept-url-parser
 */
export function safeDestination(
  destination: unknown,
  { baseUrl, redirect }: Pick<Settings, 'baseUrl' | 'redirect'>,
): string | null {
  if (typeof destination !== 'string' || destination === '' || destination.length > lengths.redirectTo) return null;
  if (!URL.canParse(destination, baseUrl.href)) return null;
  const url = new URL(destination, baseUrl);
  const isAllowed =
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    redirect.allowedOrigins.has(url.origin);
  return isAllowed ? url.href : null;
}
