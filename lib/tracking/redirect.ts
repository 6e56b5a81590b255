import { posix } from 'node:path';
import { unescape } from 'node:querystring';
import { lengths } from '../limits';
import type { Settings } from '../options';

/**
 * Returns the URL that a redirect may lead to, or null. The text is parsed by the WHATWG URL parser, as browsers do it.
 * The parsed URL is both what is checked and what is returned. It must be http(s), have no user info, have an origin
 * that the host has allowed, and not be a link itself: a link that leads to a link would count several clicks for one,
 * or lead to itself.
 *
 * @see https://url.spec.whatwg.org/#concept-url-parser
 */
export function safeDestination(destination: unknown, settings: Settings): string | null {
  const { baseFolder, redirect } = settings;
  if (typeof destination !== 'string' || destination === '' || destination.length > lengths.redirectTo) return null;
  if (!URL.canParse(destination, baseFolder.href)) return null;
  const url = new URL(destination, baseFolder);
  const isAllowed =
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    redirect.allowedOrigins.has(url.origin) &&
    !isLink(url, settings);
  return isAllowed ? url.href : null;
}

/** Whether a stored destination is `baseUrl`, however it is written: `/`, or with or without the slash at its end. */
export function isBaseUrl(destination: string, settings: Settings): boolean {
  const withoutSlash = (url: string): string => url.replace(/\/$/, '');
  const href = safeDestination(destination, settings);
  return href !== null && withoutSlash(href) === withoutSlash(settings.baseUrl.href);
}

/**
 * Whether a URL of the site, with or without `www.`, is at or below `linkPath`. The path is read as generously as any
 * proxy in front of the app may read it: without regard to case, and with `%2F`, `\`, `//` and `..` resolved.
 */
function isLink(url: URL, { baseUrl, sitePath, linkPath }: Settings): boolean {
  if (siteOf(url) !== siteOf(baseUrl)) return false;
  const links = plainPath(sitePath + linkPath);
  return `${plainPath(url.pathname)}/`.startsWith(`${links}/`);
}

function siteOf({ host }: URL): string {
  return host.replace(/^www\./, '');
}

function plainPath(path: string): string {
  return posix.normalize(unescape(path).replaceAll('\\', '/')).toLowerCase();
}

/**
 * Returns a URL as the `Location` header names it. A URL of the site is sent as an absolute path, so that a visitor who
 * came to another host name of the site, such as `www.`, stays where the cookie is. A path that begins with `//` would
 * be read as a host, so it is sent with scheme and host. (It can't begin with `/\`: the URL parser has replaced `\`.)
 */
export function asLocation(url: URL, { baseUrl }: Pick<Settings, 'baseUrl'>): string {
  if (url.origin !== baseUrl.origin) return url.href;
  const path = url.href.slice(url.origin.length);
  return path.startsWith('//') ? url.href : path;
}

/**
 * Returns the `Location` of a click: the destination, with those parameters of the link that it does not have itself. A
 * destination that is too long for the header, because each of its characters takes up to nine, gives way to `baseUrl`.
 *
 * @param destination a result of {@link safeDestination}.
 * @param query the parameters of the link.
 */
export function locationOf(destination: string, query: string, settings: Settings): string {
  const { baseUrl, codeParameter } = settings;
  const url = new URL(destination);
  if (url.href.length > lengths.location) return asLocation(baseUrl, settings);
  // The destination would count a second click.
  if (codeParameter && url.searchParams.has(codeParameter)) url.searchParams.delete(codeParameter);
  if (query !== '') passQuery(query, url, settings);
  return asLocation(url, settings);
}

/**
 * Adds parameters of the link to the destination, as many as fit. They are appended to its text, because
 * `url.searchParams.append` would encode the destination's own parameters anew.
 */
function passQuery(query: string, url: URL, { redirect, codeParameter }: Settings): void {
  const { passQuery: passed, parameter } = redirect;
  if (passed === false) return;
  const kept = new Set<string | false>([parameter, codeParameter, ...url.searchParams.keys()]);
  let room = lengths.location - url.href.length;
  let { search } = url;
  for (const [name, value] of new URLSearchParams(query)) {
    if (kept.has(name) || (passed !== true && !passed.includes(name))) continue;
    const added = `${search === '' ? '?' : '&'}${new URLSearchParams([[name, value]]).toString()}`;
    if (added.length > room) continue;
    room -= added.length;
    search += added;
  }
  url.search = search;
}
