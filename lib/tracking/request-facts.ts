import type { IncomingMessage } from 'node:http';
import { RESPONDED } from '../entities/referral-response';
import { lengths } from '../limits';
import type { Settings } from '../options';
import { storedReferrer } from './http-referrer';
import { storedIp } from './ip';
import type { NewResponse } from './response-insert';
import type { StoredTarget } from './targets';
import type { Touch } from './visitor-token';

/** The fields of a response that do not come from the request. */
export interface RequestFacts {
  referralId: number;
  userId: string | null;
  action: string;
  target: StoredTarget | null;
  /** The time of the touch that the response is attributed by; null if the response is a touch itself. */
  touchedAt: Date | null;
}

/** Returns all fields of a response: the given ones, and those of the request. */
export function requestFacts(
  req: IncomingMessage,
  settings: Settings,
  touch: Touch | null,
  { referralId, userId, action, target, touchedAt }: RequestFacts,
): NewResponse {
  return {
    referralId,
    visitorId: touch && touch.visitorId,
    userId,
    ...requestSource(req, settings),
    httpReferrer: storedReferrer(req.headers.referer, settings.httpReferrer),
    action,
    targetType: target && target.targetType,
    targetId: target && target.targetId,
    createdAt: null,
    touchedAt,
    isNewVisitor: action === RESPONDED && isNewVisitor(touch, referralId, userId),
  };
}

/**
 * Whether a click on a referral is the visitor's first: surely if the visitor comes without a touch, and not if the touch
 * is on this referral. Null for a visitor who was at another referral, and for a signed-in user, who carries no touch.
 */
function isNewVisitor(touch: Touch | null, referralId: number, userId: string | null): boolean | null {
  if (touch?.referral === referralId) return false;
  return touch === null && userId === null ? true : null;
}

/** Returns the address and the user agent of a request, as they are stored. */
export function requestSource(
  req: IncomingMessage,
  settings: Settings,
): { ipAddress: string | null; userAgent: string | null } {
  return {
    ipAddress: ipAddressOf(req, settings),
    userAgent: req.headers['user-agent']?.slice(0, lengths.header) ?? null,
  };
}

function ipAddressOf(req: IncomingMessage, { clientIp, ip, onError }: Settings): string | null {
  if (ip === 'none') return null;
  try {
    return storedIp(clientIp(req), ip);
  } catch (error) {
    onError(error);
    return null;
  }
}
