import { isIPv4 } from 'node:net';
import { dayMs } from './limits';
import { refused } from './option-checks';
import type { ReferralsOptions } from './options';

/** The name of a cookie that browsers take from this host alone, over https. */
const hostName = '__Host-referral';
const plainName = 'referral';

/** A name that the cookie has, or had under other options or in an older version. */
export interface CookieName {
  readonly name: string;
  /** Whether only tokens of the form `v1` count. */
  readonly isOnlyV1: boolean;
  /** The values of `Domain` that a cookie of the name may have been set with; undefined for none. */
  readonly domains: readonly (string | undefined)[];
}

/**
 * Checks the options of the cookie against each other, and fills in the defaults.
 *
 * @throws ReferralError `INVALID_OPTION` for a cookie that browsers would refuse.
 */
export function cookieSettings(options: NonNullable<ReferralsOptions['cookie']>, baseUrl: URL) {
  const { maxAgeDays = 30, domain, secure = 'auto', sameSite = 'lax' } = options;
  const isHttps = baseUrl.protocol === 'https:';
  const isSecure = secure === 'auto' ? isHttps : secure;
  if (sameSite === 'none' && !isSecure)
    throw refused('cookie.sameSite', "'none' only for a cookie that is Secure", sameSite);
  return {
    names: cookieNames(options.name, domain, isSecure, baseUrl),
    maxAgeMs: maxAgeDays * dayMs,
    domain,
    isSecure,
    sameSite,
    /** Whom tokens are for. The first one signs; those of the host were signed before `domain` was set. */
    audiences: [...(domain === undefined ? [] : [domain.replace(/^\./, '').toLowerCase()]), baseUrl.host],
  };
}

/** The name of the cookie, and then those that count while no cookie of the name is valid. */
function cookieNames(
  given: string | undefined,
  domain: string | undefined,
  isSecure: boolean,
  baseUrl: URL,
): readonly [CookieName, ...CookieName[]] {
  const anyForm = (name: string): CookieName => {
    const domains = isPrefixed('host', name) ? [] : domain === undefined ? domainsOf(baseUrl) : [domain];
    return { name, isOnlyV1: false, domains: [undefined, ...domains] };
  };
  if (given !== undefined) {
    if (!isSecure && isPrefixed('host|secure|http', given))
      throw refused('cookie.name', 'a prefixed name only for a cookie that is Secure', given);
    if (domain !== undefined && isPrefixed('host', given))
      throw refused('cookie.name', 'no name with "__Host-" where cookie.domain is set', given);
    return [anyForm(given)];
  }
  if (!isSecure || baseUrl.protocol !== 'https:') return [anyForm(plainName)];
  // A subdomain can set a cookie of the plain name. New tokens under that name are not believed, because the visitor of
  // the subdomain may be somebody else.
  if (domain === undefined) return [anyForm(hostName), { ...anyForm(plainName), isOnlyV1: true }];
  return [anyForm(plainName), anyForm(hostName)];
}

/** Whether a name has one of these prefixes, without regard to case, as browsers compare them. */
function isPrefixed(prefixes: string, name: string): boolean {
  return new RegExp(`^__(${prefixes})-`, 'i').test(name);
}

/** The host of a URL and its parent domains. Browsers ignore those that are public, such as `com`. */
function domainsOf({ hostname }: URL): string[] {
  if (isIPv4(hostname) || hostname.startsWith('[')) return [];
  const labels = hostname.split('.');
  return labels.slice(1).map((_label, index) => labels.slice(index).join('.'));
}
