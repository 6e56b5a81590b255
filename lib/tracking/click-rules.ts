import type { Request } from 'express';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { lengths } from '../limits';

/** Results of `isbot` by user agent: it tries over a hundred patterns, and few user agents are in use. */
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
 * Why a request is not a person who opens an address; null if it is one. A click is a GET that is no prefetch or prerender, that is a
 * top-level navigation where the browser tells (so that no `<img>` or frame can plant an attribution), and that no known bot sends.
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
