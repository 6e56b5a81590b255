import type { Request } from 'express';
import type { Settings } from '../../options';
import { badField, notFound } from '../http-error';
import { publicUrl } from './public-url';
import type { WirePage } from './wire-types';

const defaultPageSize = 25;
const maxPageSize = 100;

/** The parameters of a query string by name. */
export type QueryParameters = ReadonlyMap<string, string>;

/**
 * Returns the query parameters of a request. If several have the same name, the last one counts. It reads the URL,
 * because the host chooses the parser of `req.query`.
 */
export function queryOf(req: Request): QueryParameters {
  const start = req.url.indexOf('?');
  return new Map(start === -1 ? [] : new URLSearchParams(req.url.slice(start)));
}

/** Returns a parameter that must be one of the words; undefined if it is missing or empty. @throws HttpError 400 */
export function wordOf<W extends string>(query: QueryParameters, name: string, words: readonly W[]): W | undefined {
  const value = query.get(name) || undefined;
  if (value === undefined || words.includes(value as W)) return value as W | undefined;
  throw badField(name, `One of ${words.join(', ')}.`, 'invalid_choice');
}

/** Returns the parameter `id` of a path. @throws HttpError 404 for a text that is not an id. */
export function pathIdOf(req: Request): number {
  const id = parseDigits(req.params['id']);
  if (id === null || id < 1) throw notFound();
  return id;
}

/** Parses a number of 1 to 15 decimal digits. Returns null for anything else. */
export function parseDigits(text: unknown): number | null {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** The requested page of a list, counted from 1. */
export interface PageRequest {
  page: number;
  pageSize: number;
}

const wholeFrom1 = /^0*[1-9]\d*$/;

/** Returns the parameters `page` and `page_size`; a page has at most 100 results. @throws HttpError 400 */
export function pageOfQuery(query: QueryParameters): PageRequest {
  const page = query.get('page') ?? '1';
  if (!wholeFrom1.test(page)) throw badField('page', 'A whole number from 1.');
  const pageSize = query.get('page_size') ?? String(defaultPageSize);
  if (!wholeFrom1.test(pageSize)) throw badField('page_size', 'A whole number from 1.');
  return { page: Number(page), pageSize: Math.min(Number(pageSize), maxPageSize) };
}

/** A list, as `wirePage` needs it: its length, and a function that loads a part of it. */
export interface List<T> {
  count: number;
  load: (take: number, skip: number) => Promise<T[]>;
}

/**
 * Returns one page of a list, with the URLs of the pages before and after it, which keep the other parameters. It does
 * not load from an empty list.
 *
 * @throws HttpError 404 for a page past the end.
 */
export async function wirePage<T>(
  req: Request,
  settings: Settings,
  { page, pageSize }: PageRequest,
  { count, load }: List<T>,
): Promise<WirePage<T>> {
  const pages = Math.max(1, Math.ceil(count / pageSize));
  if (page > pages) throw notFound();
  const address = (to: number): string | null => (to < 1 || to > pages ? null : addressOf(req, settings, to));
  return {
    count,
    next: address(page + 1),
    previous: address(page - 1),
    results: count === 0 ? [] : await load(pageSize, (page - 1) * pageSize),
  };
}

/** Returns the URL of this request for another page. */
function addressOf(req: Request, settings: Settings, page: number): string {
  const query = new URLSearchParams([...queryOf(req)]);
  query.set('page', String(page));
  return `${publicUrl(settings, req.baseUrl + req.path)}?${query.toString()}`;
}
