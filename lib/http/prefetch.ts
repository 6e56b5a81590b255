import type { ServerResponse } from 'node:http';
import { debug } from '../debug';
import type { Referral } from '../entities/referral';
import { storeNowhere } from '../tracking/private-response';

/**
 * Refuses a request of a browser that fetches or renders a link in advance, because somebody may click on it. The
 * browser would use any other response for the visit, and the click would never arrive. After an error it sends the
 * request again once the person clicks. Without `Retry-After`, because a browser would then prefetch nothing from this site for that time.
 */
export function refusePrefetch(res: ServerResponse, { code }: Referral): void {
  debug('%s: not counted: prefetch', code);
  res.statusCode = 503;
  storeNowhere(res);
  res.end();
}
