import type { Request } from 'express';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { lengths } from '../limits';

/**
 * Caches the results of `isbot` by user agent, because it tries over a hundred patterns, and few user agents are in
 * use.
 */
const bots = new LRUCache<string, boolean>({ max: 2000 });

function isBot(userAgent: string | undefined): boolean {
  if (!userAgent || userAgent.length > lengths.header) return userAgent !== undefined && isbot(userAgent);
  let known = bots.get(userAgent);
  if (known === undefined) bots.set(userAgent, (known = isbot(userAgent)));
  return known;
}

/** Why a request for a link is not a click. */
export type NoClick = 'no GET' | 'prefetch' | 'no navigation' | 'bot';

/**
 * Returns why a request is not a click; null if it is one. A click is a GET request of a person who opens an address:
 * it is not a prefetch or prerender, and its user agent is not a known bot. If the browser sends Fetch Metadata
 * headers, they must say that it is a top-level navigation, so that no `<img>` or frame can set an attribution.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function noClickReason(req: Request): NoClick | null {
  const { headers } = req;
  if (req.method !== 'GET') return 'no GET';
  if (isPrefetch(headers['sec-purpose']) || isPrefetch(headers['purpose']) || isPrefetch(headers['x-moz']))
    return 'prefetch';
  const mode = headers['sec-fetch-mode'];
  const dest = headers['sec-fetch-dest'];
  if ((mode !== undefined && mode !== 'navigate') || (dest !== undefined && dest !== 'document'))
    return 'no navigation';
  return isBot(headers['user-agent']) ? 'bot' : null;
}

function isPrefetch(purpose: string | string[] | undefined): boolean {
  return purpose !== undefined && /prefetch|prerender|preview/i.test(String(purpose));
}
