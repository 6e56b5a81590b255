/** Returns a stored address if it is one of the web, which may be a link; null for any other, such as `javascript:…`. */
export function webAddress(stored: string | null | undefined): string | null {
  if (!stored || !URL.canParse(stored)) return null;
  const { protocol, href } = new URL(stored);
  return protocol === 'https:' || protocol === 'http:' ? href : null;
}
