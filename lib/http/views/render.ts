import { h, type VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';
import { type View, ViewContext } from './view';

/** Renders a part of a page as HTML. Every text in it is escaped. */
export function renderPart(view: View, part: VNode): string {
  return renderToString(h(ViewContext.Provider, { value: view }, part));
}

/** Renders a whole document. */
export function renderPage(view: View, page: VNode): string {
  return `<!doctype html>\n${renderPart(view, page)}\n`;
}
