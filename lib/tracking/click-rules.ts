import type { IncomingMessage } from 'node:http';
import { isbot } from 'isbot';
import { LRUCache } from 'lru-cache';
import { lengths } from '../limits';
import { refused } from '../option-checks';
import type { Settings } from '../options';

/**
 * Caches the results of `isbot` by user agent, because it tries over a hundred patterns, and few user agents are in
 * use.
 */
const known = new LRUCache<string, boolean>({ max: 2000 });

/** The default of the option `bots`: the list of `isbot`. */
function isKnownBot(userAgent: string): boolean {
  if (userAgent.length > lengths.header) return isbot(userAgent);
  let result = known.get(userAgent);
  if (result === undefined) known.set(userAgent, (result = isbot(userAgent)));
  return result;
}

/** Whether a request comes from a program. Every browser that a person uses sends a user agent. */
function isBot(req: IncomingMessage, { bots, onError }: Settings): boolean {
  const userAgent = req.headers['user-agent']?.trim();
  if (!userAgent) return true;
  if (!bots) return isKnownBot(userAgent);
  try {
    const result: unknown = bots(req);
    if (typeof result === 'boolean') return result;
    Promise.resolve(result).catch(onError); // a promise may reject
    throw refused('bots', 'a function that returns true or false, without a promise', result);
  } catch (error) {
    onError(error);
    return true;
  }
}

/** Why a request for a link is not a click, as `NODE_DEBUG=express-referrals` prints it. */
export type NoClick = 'method' | 'navigation' | 'bot' | 'consent' | 'expired' | 'own' | 'suspended';

/**
 * Returns why a request, which is no prefetch, is not a click by its headers; null if it is one. A click is a GET request
 * of a person who opens an address: it does not come from a bot. If the browser sends Fetch Metadata
 * headers, they must say that it is a top-level navigation, so that no `<img>` or frame can set an attribution.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function noClickReason(req: IncomingMessage, settings: Settings): NoClick | null {
  if (req.method !== 'GET') return 'method';
  const mode = req.headers['sec-fetch-mode'];
  const dest = req.headers['sec-fetch-dest'];
  if ((mode !== undefined && mode !== 'navigate') || (dest !== undefined && dest !== 'document')) return 'navigation';
  return isBot(req, settings) ? 'bot' : null;
}

/** The headers in which browsers say that they fetch in advance. All but the first are of old ones. */
const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'] as const;

/** Whether a browser fetches or renders an address in advance, because the person may open it next. */
export function isPrefetch({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    purposes.some((name) => headers[name] !== undefined && /prefetch|prerender|preview/i.test(String(headers[name])))
  );
}
