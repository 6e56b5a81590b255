import type { FunctionComponent } from 'preact';
import type { PagesData, TemplateName } from '../../types/pages';
import type { PageCall, Reader } from '../views/page-router';
import type { Texts } from '../views/texts/texts';

/** A signed-in user who looks at the pages. */
export interface PagesReader extends Reader {
  readonly data: PagesData;
}

export type ScreenCall = PageCall<PagesReader>;

/** What was typed into a form that was refused, and what is wrong with it, by the names of the fields. */
export interface Refused {
  readonly typed: Readonly<Record<string, string>>;
  readonly errors: Readonly<Record<string, string>>;
}

/** A page: where it is, what it loads, and how it shows that. */
export interface Screen<Data> {
  readonly name: Exclude<TemplateName, 'frame' | 'banner'>;
  readonly path: string;
  title(texts: Texts): string;
  /** @param refused is what was typed into the form of this page, if it was refused. */
  load(call: ScreenCall, refused: Refused | null): Promise<Data>;
  readonly Body: FunctionComponent<{ data: Data }>;
  /** Does what the form of this page asks for: returns where to go then, or what is wrong with the fields. */
  readonly submit?: (call: ScreenCall) => Promise<{ goTo: string } | Refused>;
}

/** Names what a screen loads and what it shows as one type, so that screens of different data can be in one list. */
export function screen<Data>(given: Screen<Data>): Screen<unknown> {
  return given as Screen<unknown>;
}
