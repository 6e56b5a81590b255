import type { IncomingMessage } from 'node:http';
import { lengths } from '../limits';
import type { Settings } from '../options';
import { storedReferrer } from './http-referrer';
import { storedIp } from './ip';
import type { NewResponse } from './response-insert';
import type { StoredTarget } from './targets';

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
  visitorId: string | null,
  { referralId, userId, action, target, touchedAt }: RequestFacts,
): NewResponse {
  const { headers } = req;
  return {
    referralId,
    visitorId,
    userId,
    ipAddress: ipAddressOf(req, settings),
    userAgent: headers['user-agent']?.slice(0, lengths.header) ?? null,
    httpReferrer: storedReferrer(headers.referer, settings.httpReferrer),
    action,
    targetType: target && target.targetType,
    targetId: target && target.targetId,
    createdAt: null,
    touchedAt,
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
