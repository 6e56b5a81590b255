import { lengths } from '../limits';
import type { Settings } from '../options';

/**
 * Most referrers: an http(s) URL whose origin and path the URL parser would leave as they are. The host has no port and no
 * punycode, its last label is no number, and the path has neither escapes nor dots at the beginning of a segment.
 */
const plain =
  /^(https?:\/\/(?!(?:[a-z0-9-]+\.)*xn--)(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)((?:\/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*\/?)(?:[?#]|$)/;

/** Returns the header `Referer` as it is stored. Null for what is no http(s) URL, such as the address of an app. */
export function storedReferrer(header: string | undefined, mode: Settings['httpReferrer']): string | null {
  if (mode === 'none' || header === undefined) return null;
  if (mode !== 'full') {
    const found = plain.exec(header);
    if (found) return (mode === 'origin' ? found[1]! : found[1]! + (found[2] || '/')).slice(0, lengths.header);
  }
  if (!URL.canParse(header)) return null;
  const { protocol, origin, pathname, search, hash } = new URL(header);
  if (protocol !== 'https:' && protocol !== 'http:') return null;
  const parts = { origin, path: origin + pathname, full: origin + pathname + search + hash };
  return parts[mode].slice(0, lengths.header);
}
