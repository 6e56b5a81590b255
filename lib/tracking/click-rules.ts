import type { Request } from 'express';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { lengths } from '../limits';

/** Crawlers are told by a list of over a hundred patterns; browsers in use are few, so each is tried once. */
const bots = new LRUCache<string, boolean>({ max: 2000 });

function isBot(userAgent: string | undefined): boolean {
  if (!userAgent || userAgent.length > lengths.header) return userAgent !== undefined && isbot(userAgent);
  let answer = bots.get(userAgent);
  if (answer === undefined) bots.set(userAgent, (answer = isbot(userAgent)));
  return answer;
}

/**
 * Whether a request is a person who opens an address: a GET that is no prefetch or prerender, that the browser, where it
 * says so, made as a top-level navigation (so that no `<img>` or frame can stuff cookies), and that no known bot made.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function isNavigation(req: Request): boolean {
  const { headers } = req;
  if (req.method !== 'GET') return false;
  if (isPrefetch(headers['sec-purpose']) || isPrefetch(headers['purpose']) || isPrefetch(headers['x-moz']))
    return false;
  const mode = headers['sec-fetch-mode'];
  const dest = headers['sec-fetch-dest'];
  if ((mode !== undefined && mode !== 'navigate') || (dest !== undefined && dest !== 'document')) return false;
  return !isBot(headers['user-agent']);
}

function isPrefetch(purpose: string | string[] | undefined): boolean {
  return purpose !== undefined && /prefetch|prerender|preview/i.test(String(purpose));
}
