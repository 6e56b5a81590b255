import type { View } from '../../views/view';
import type { ActionName } from './action';

/** The parameter of the page to which an action leads: its name, or that it has changed nothing. */
const parameter = 'done';

/** Returns the address of the page to which an action leads, which says that it is done; with null, that nothing has changed. */
export function doneUrl(url: string, name: ActionName | null): string {
  return `${url}${url.includes('?') ? '&' : '?'}${parameter}=${encodeURIComponent(name ?? 'nothing')}`;
}

/** What is said at the top of the page to which an action leads; null on any other. */
export function doneNotice({ query, texts }: View): { tone: 'good' | 'neutral'; text: string } | null {
  const { names, flow } = texts.admin.actions;
  const done = query.get(parameter) ?? '';
  if (done === 'nothing') return { tone: 'neutral', text: flow.nothingDone };
  return Object.hasOwn(names, done) ? { tone: 'good', text: names[done as ActionName].done } : null;
}
