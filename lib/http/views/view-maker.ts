import type { Request, Response } from 'express';
import { refused } from '../../option-checks';
import type { Settings } from '../../options';
import { publicUrl } from '../api/public-url';
import { csrfFieldOf } from '../csrf-field';
import { queryOf } from '../query';
import { csrfField, type CsrfTokens } from './csrf';
import type { Texts } from './texts/texts';
import { queryText, type View } from './view';

/** What all views of a router have in common. */
export interface ViewParts {
  readonly settings: Settings;
  readonly texts: ReadonlyMap<string, Texts>;
  readonly tokens: CsrfTokens;
  readonly assets: { readonly css: string; readonly js: string };
  /** Whether the script shows times in the browser's time zone where the host says none. Default: yes. */
  readonly followsBrowser?: boolean;
}

/** What a view is made for. */
export interface ViewPlace {
  /** Where the pages are mounted, as Express has it in `req.baseUrl`. */
  readonly mount: string;
  readonly path: string;
  /** The parameters of the page. Default: those of the request. */
  readonly query?: URLSearchParams;
  /** The id of who is signed in: forms are theirs. Empty for nobody, whose pages have no form. */
  readonly id: string;
  readonly now: Date;
}

/** Makes the view of a request. */
export function viewOf(parts: ViewParts, req: Request, res: Response, place: ViewPlace): View {
  const { settings, texts, tokens, assets, followsBrowser = true } = parts;
  const { mount, path, id, now, query = new URLSearchParams(queryOf(req.originalUrl)) } = place;
  const locale = localeOf(parts, req);
  const zone = zoneOf(settings, req);
  // One slash at the beginning: after two, a browser reads the name of another site.
  const base = new URL(publicUrl(settings, mount)).pathname.replace(/^[\\/]+/, '/').replace(/\/$/, '');
  const url: View['url'] = (to, query = {}) => `${to === '/' ? base || '/' : base + to}${queryText(query)}`;
  const host = id === '' ? null : csrfFieldOf(settings.csrf(req, res));
  return {
    texts: texts.get(languageOf(locale))!,
    locale,
    timeZone: zone ?? 'UTC',
    isZoneKnown: zone !== null || !followsBrowser,
    currency: settings.currency.code,
    now,
    base,
    path,
    query,
    hidden: id === '' ? [] : [{ name: csrfField, value: tokens.sign(id, now) }, ...(host ? [host] : [])],
    assets: { css: url(`/assets/${assets.css}`), js: url(`/assets/${assets.js}`) },
    url,
  };
}

/** The language of a locale: `de` of `de-AT`. */
function languageOf(locale: string): string {
  return new Intl.Locale(locale).language;
}

/**
 * Returns the first locale, of what the host says and what the browser asks for, in whose language there are words. A page is in
 * one language: words, dates and money.
 */
function localeOf({ settings, texts }: ViewParts, req: Request): string {
  const ofHost = asked(settings, 'locale', () => settings.pages.locale(req), canonical);
  const wanted = [...(ofHost === null ? [] : [ofHost]), ...req.acceptsLanguages().map(canonical)];
  return wanted.find((locale) => locale !== null && texts.has(languageOf(locale))) ?? 'en';
}

/** Returns the time zone that the host says; null if it says none. */
function zoneOf(settings: Settings, req: Request): string | null {
  return asked(
    settings,
    'timeZone',
    () => settings.pages.timeZone(req),
    (name) => {
      try {
        return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
      } catch {
        return null;
      }
    },
  );
}

/** Asks the host. A wrong answer is reported, and the page is shown without it. */
function asked(
  { onError }: Settings,
  option: 'locale' | 'timeZone',
  ask: () => string | null | undefined,
  read: (text: string) => string | null,
): string | null {
  try {
    const given: unknown = ask();
    if (given === null || given === undefined || given === '') return null;
    const found = typeof given === 'string' ? read(given) : null;
    if (found === null) throw refused(`pages.${option}`, wanted[option], given);
    return found;
  } catch (error) {
    onError(error);
    return null;
  }
}

const wanted = {
  locale: "a function that returns a language tag, such as 'de-AT', or null",
  timeZone: "a function that returns the name of a time zone, such as 'Europe/Berlin', or null",
};

function canonical(tag: string): string | null {
  try {
    return Intl.getCanonicalLocales(tag.replaceAll('_', '-'))[0] ?? null; // `de_AT`, as POSIX writes it
  } catch {
    return null; // `*`, which stands for any language
  }
}
