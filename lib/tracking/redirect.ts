import { lengths } from '../limits';
import type { Settings } from '../options';

/**
 * The address that a redirect may be sent to, or null. The WHATWG URL parser reads the text, as browsers do. The parsed URL is checked,
 * and the same parsed URL is sent: it must be http(s), have no user info, and be of an origin that the host has allowed.
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
