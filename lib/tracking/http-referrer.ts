import { lengths } from '../limits';
import type { Settings } from '../options';

/** Returns the header `Referer` as it is stored. Null for what is no http(s) URL, such as the address of an app. */
export function storedReferrer(header: string | undefined, mode: Settings['httpReferrer']): string | null {
  if (mode === 'none' || header === undefined || !URL.canParse(header)) return null;
  const { protocol, origin, pathname, search, hash } = new URL(header);
  if (protocol !== 'https:' && protocol !== 'http:') return null;
  const parts = { origin, path: origin + pathname, full: origin + pathname + search + hash };
  return parts[mode].slice(0, lengths.header);
}
