import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { HiddenField } from './csrf';
import type { Texts } from './texts/texts';

/** Values of a query; what is null or undefined is left out. */
export type Query = Readonly<Record<string, string | number | null | undefined>>;

/** What every page and every component knows about the request that it answers. It is built once a request. */
export interface View {
  /** The words of the page, in the reader's language. */
  readonly texts: Texts;
  /** How dates, numbers and money are written: a language tag of BCP 47, in the language of {@link texts}. */
  readonly locale: string;
  /** The time zone in which times are shown: a name of IANA, such as `'Europe/Berlin'`. */
  readonly timeZone: string;
  /** Whether times are only of {@link timeZone}. If not, it is UTC, and the script shows the browser's instead. */
  readonly isZoneKnown: boolean;
  /** The program's currency, a code of ISO 4217. */
  readonly currency: string;
  /** The time of the request. */
  readonly now: Date;
  /** Where the pages are mounted, with a path prefix of `baseUrl` and without a slash at the end: `'/referrals'`. */
  readonly base: string;
  /** The path of this page below {@link base}, such as `'/links'`. */
  readonly path: string;
  /** The parameters of this page. */
  readonly query: URLSearchParams;
  /** The fields that each form of the method post carries: our token, and the host's. */
  readonly hidden: readonly HiddenField[];
  /** The addresses of the style and the script of this frame. */
  readonly assets: { readonly css: string; readonly js: string };
  /** Returns the address of a path of these pages: `view.url('/links', { after: 7 })` is `/referrals/links?after=7`. */
  url(path: string, query?: Query): string;
}

/** Each component reads the view from here, so that pages need not hand it down. `renderPage` sets it. */
export const ViewContext = createContext<View | null>(null);

/** The view of the page that is being rendered. */
export function useView(): View {
  return useContext(ViewContext)!;
}

/** Returns a query with its `?`, or an empty text. */
export function queryText(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}
