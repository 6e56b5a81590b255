import { lengths } from '../limits';
import type { Settings } from '../options';

/**
 * Returns the URL that a redirect may lead to, or null. The text is parsed by the WHATWG URL parser, as browsers do it.
 * The parsed URL is both what is checked and what is returned. It must be http(s), have no user info, and have an
 * origin that the host has allowed.
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

/** Whether a stored destination is `baseUrl`, however it is written: `/`, or with or without the slash at its end. */
export function isBaseUrl(destination: string, settings: Pick<Settings, 'baseUrl' | 'redirect'>): boolean {
  const withoutSlash = (url: string): string => url.replace(/\/$/, '');
  const href = safeDestination(destination, settings);
  return href !== null && withoutSlash(href) === withoutSlash(settings.baseUrl.href);
}
