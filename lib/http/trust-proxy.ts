import type { IncomingMessage } from 'node:http';
import proxyAddr from 'proxy-addr';
import { invalid } from '../errors';
import { listOf } from '../input';

/** Whether an address of the chain of proxies is trusted; `hop` counts from 0, the address of the connection. */
type Trust = (address: string, hop: number) => boolean;

/**
 * Which proxies in front of the app are trusted: what Express' setting `trust proxy` takes. `true` for all, a number of
 * them, their addresses or networks (`'loopback'`, `'10.0.0.0/8, uniquelocal'`, or a list), or a function.
 */
export type TrustProxy = boolean | number | string | readonly string[] | Trust;

const takes =
  "what Express' \"trust proxy\" takes: true, false, a number of proxies, addresses such as 'loopback' or '10.0.0.0/8', or a function";

/**
 * Returns whom Express would trust.
 *
 * @throws ReferralError `INVALID_INPUT` naming `trustProxy`.
 */
export function trustOf(value: TrustProxy): Trust {
  if (typeof value === 'function') return value;
  if (value === true) return () => true;
  if (value === false) return () => false;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return (_address, hop) => hop < value;
  try {
    const addresses = typeof value === 'string' ? value.split(',') : listOf('trustProxy', value as readonly string[]);
    return proxyAddr.compile(addresses.map((address) => address.trim()));
  } catch {
    throw invalid('trustProxy', takes, value);
  }
}

/** Whom an Express app trusts now, by its own setting. Nobody, if it is no Express app. */
export function trustOfApp(app: unknown): Trust {
  const { settings } = app as { settings?: Record<string, unknown> };
  const trust = settings?.['trust proxy fn'];
  return typeof trust === 'function' ? (trust as Trust) : trustOf(false);
}

/** Returns the address of the client, as `req.ip` of Express does. */
export function addressOf(req: IncomingMessage, trust: () => Trust): string | undefined {
  return req.headers['x-forwarded-for'] === undefined ? req.socket.remoteAddress : proxyAddr(req, trust());
}
