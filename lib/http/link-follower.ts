import type { IncomingMessage, ServerResponse } from 'node:http';
import { unescape } from 'node:querystring';
import { cutCode } from '../input';
import { isPrefetch } from '../tracking/click-rules';
import { storeNowhere } from '../tracking/private-response';
import { locationOf, safeDestination } from '../tracking/redirect';
import type { Link } from '../tracking/referral-lookup';
import type { Tracking } from '../tracking/tracking';
import type { Visitor } from '../tracking/visitor';
import { scriptName } from './create-link-script';
import { refusePrefetch } from './prefetch';
import { queryOf, queryParameter } from './query';

type VisitorOf = (req: IncomingMessage, res: ServerResponse) => Visitor;

/** Follows links: for the router, and for the listener, which has nothing of Express. */
export class LinkFollower {
  readonly #tracking: Tracking;
  /** Which code of a request no referral has. The router does not ask again what the listener has asked. */
  readonly #unknown = new WeakMap<IncomingMessage, string>();

  constructor(tracking: Tracking) {
    this.#tracking = tracking;
  }

  /**
   * Records the click of a request and redirects it. Returns false if no referral has the code: then nothing was done.
   *
   * @param url the request's URL, or what follows the path of the links in it.
   */
  async follow(
    req: IncomingMessage,
    res: ServerResponse,
    code: string,
    url: string,
    visitorOf: VisitorOf,
  ): Promise<boolean> {
    if (this.#unknown.get(req) === code) return false;
    const found = this.#tracking.lookup.find(code);
    const link = found instanceof Promise ? await found : found;
    if (!link) {
      this.#unknown.set(req, code);
      return false;
    }
    if (isPrefetch(req)) {
      refusePrefetch(res, link.referral);
      return true;
    }
    const location = this.#locationOf(link, queryOf(url));
    const visitor = visitorOf(req, res);
    const signingIn = visitor.signIn();
    if (signingIn) await signingIn;
    await visitor.click(link);
    // Not res.redirect(), because that writes a body, which nobody reads.
    res.statusCode = 302;
    res.setHeader('Location', location);
    storeNowhere(res);
    res.end();
    return true;
  }

  #locationOf({ destination, location }: Link, query: string): string {
    if (query === '') return location;
    const { settings } = this.#tracking;
    const { parameter } = settings.redirect;
    const wanted = parameter && queryParameter(query, parameter);
    return locationOf((wanted && safeDestination(wanted, settings)) || destination, query, settings);
  }
}

/**
 * Returns the part of the URL between the first slash and the query, decoded, without a trailing slash.
 *
 * @param url what follows the path of the links.
 */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  let end = query === -1 ? url.length : query;
  if (end > 1 && url[end - 1] === '/') end--;
  const path = url.slice(1, end);
  return path.includes('%') ? unescape(path) : path; // unlike decodeURIComponent, it leaves what is malformed
}

/** Whether a request is for the script of `createForm`. */
export function isForScript(method: string | undefined, path: string): boolean {
  return isRead(method) && path === scriptName;
}

/** Returns the code of the link that a request is for; an empty text if it is for none. */
export function codeOf(method: string | undefined, path: string): string {
  return isRead(method) && path !== scriptName ? cutCode(path) : '';
}

function isRead(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD';
}
