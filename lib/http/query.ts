/** Returns the query of a URL with its `?`, or an empty text. */
export function queryOf(url: string): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start);
}

/**
 * Returns the first value of a parameter of a query, or null. The query is that of the URL, because the host chooses
 * the parser of `req.query`.
 */
export function queryParameter(query: string, name: string): string | null {
  return query.includes(name) ? new URLSearchParams(query).get(name) : null;
}
