import type { Request } from 'express';
import { badField, notFound } from './problem';

const defaultPageSize = 25;
const maxPageSize = 100;

/** The parameters of a request, whatever query parser the host uses; of one that is given twice, the last. */
export function queryOf(req: Request): ReadonlyMap<string, string> {
  const start = req.url.indexOf('?');
  return new Map(start === -1 ? [] : new URLSearchParams(req.url.slice(start)));
}

/** A parameter that is one of some words; undefined if it is missing or empty. */
export function wordOf<W extends string>(
  query: ReadonlyMap<string, string>,
  name: string,
  words: readonly W[],
): W | undefined {
  const value = query.get(name) || undefined;
  if (value === undefined || words.includes(value as W)) return value as W | undefined;
  throw badField(name, `One of ${words.join(', ')}.`, 'invalid_choice');
}

/** The id in a path; what can't be one is found nowhere. */
export function idOf(text: unknown): number {
  const id = wholeOf(text);
  if (id === null || id < 1) throw notFound();
  return id;
}

export function wholeOf(text: unknown): number | null {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** A page of a list. */
export interface Page {
  page: number;
  pageSize: number;
}

export function pageOf(query: ReadonlyMap<string, string>): Page {
  const page = query.get('page') ?? '1';
  if (!/^0*[1-9]\d*$/.test(page)) throw badField('page', 'A whole number from 1.');
  const pageSize = wholeOf(query.get('page_size') ?? String(defaultPageSize));
  if (pageSize === null || pageSize < 1 || pageSize > maxPageSize)
    throw badField('page_size', `A whole number from 1 to ${maxPageSize}.`);
  return { page: Number(page), pageSize };
}

/**
 * The answer of a list: `results` of the page, asked for only where it is not past the end, and the addresses of its neighbours,
 * which keep the other parameters.
 */
export async function paged(
  req: Request,
  baseUrl: URL,
  { page, pageSize }: Page,
  count: number,
  results: (take: number, skip: number) => Promise<object[]>,
): Promise<object> {
  const pages = Math.max(1, Math.ceil(count / pageSize));
  if (page > pages) throw notFound();
  const address = (to: number): string | null => (to < 1 || to > pages ? null : addressOf(req, baseUrl, to));
  return {
    count,
    next: address(page + 1),
    previous: address(page - 1),
    results: count === 0 ? [] : await results(pageSize, (page - 1) * pageSize),
  };
}

/** This request's address with another page, on the site's public origin: what a client says of its host counts for nothing. */
function addressOf(req: Request, { origin, pathname }: URL, page: number): string {
  const below = pathname.replace(/\/$/, '');
  const path = req.baseUrl + req.path;
  const query = new URLSearchParams([...queryOf(req)]);
  query.set('page', String(page));
  // Below a path of baseUrl, the app itself may be mounted there.
  return `${origin}${path.startsWith(`${below}/`) ? '' : below}${path}?${query.toString()}`;
}
