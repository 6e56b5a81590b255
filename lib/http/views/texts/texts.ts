import { deAdmin } from './de-admin';
import { dePages } from './de-pages';
import { enAdmin } from './en-admin';
import { enPages } from './en-pages';
import type { Words } from './words';

/** All words that the pages show, in one language. */
export type Texts = Words<typeof enPages> & { readonly admin: Words<typeof enAdmin> };

/** Some of the words, as the option `pages.texts` takes them: what is left out stays as it is. */
export type SomeTexts = DeepPartial<Texts>;

type DeepPartial<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends object
    ? { readonly [Name in keyof T]?: DeepPartial<T[Name]> }
    : T;

const shipped: Readonly<Record<string, Texts>> = {
  en: { ...enPages, admin: enAdmin },
  de: { ...dePages, admin: deAdmin },
};

/** The words by language: those that ship, with the host's in their places. A language of the host's starts from English. */
export function textsByLanguage(given: Readonly<Record<string, SomeTexts>>): ReadonlyMap<string, Texts> {
  const languages = new Set([...Object.keys(shipped), ...Object.keys(given)]);
  return new Map(
    [...languages].map((language) => [
      language,
      merged(Object.hasOwn(shipped, language) ? shipped[language]! : shipped['en']!, given[language]) as Texts,
    ]),
  );
}

type Tree = Readonly<Record<string, unknown>>;

function merged(words: object, given: object | undefined): object {
  if (!given) return words;
  const changes = Object.entries(given as Tree).filter(([, value]) => value !== undefined);
  return Object.fromEntries([
    ...Object.entries(words as Tree),
    ...changes.map(([name, value]) => [name, isGroup(value) ? merged((words as Tree)[name] as object, value) : value]),
  ]) as object;
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Returns the path of a word of the host's that no page has, or that is of another kind; null if there is none. */
export function wrongText(given: Readonly<Record<string, SomeTexts>>): string | null {
  for (const [language, words] of Object.entries(given)) {
    const wrong = wrongIn(words, shipped['en'] as unknown as Tree, language);
    if (wrong !== null) return wrong;
  }
  return null;
}

function wrongIn(given: Tree, known: Tree, path: string): string | null {
  for (const [name, value] of Object.entries(given)) {
    const expected = Object.hasOwn(known, name) ? known[name] : undefined;
    const at = `${path}.${name}`;
    if (value === undefined) continue;
    if (typeof value !== typeof expected || value === null) return at;
    const wrong = isGroup(expected) ? wrongIn(value as Tree, expected as Tree, at) : null;
    if (wrong !== null) return wrong;
  }
  return null;
}
