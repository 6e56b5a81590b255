import { isStorable } from '../../../input';
import { lengths } from '../../../limits';
import type { Condition } from '../../../rewards/stories/conditions';
import type { StaffTexts } from '../../views/texts/en-staff';
import type { View } from '../../views/view';
import { startOfDay } from './start-of-day';
import type { WordGroup } from './value';

export type FilterKey = keyof StaffTexts['filters'];

/** A filter of a list: a parameter of its address, and the conditions that it stands for. */
export type Filter = { readonly key: FilterKey } &
  /** A text that a field equals, or begins with. */
  (
    | { readonly kind: 'text' | 'beginning'; readonly field: string }
    | { readonly kind: 'id' | 'visitor'; readonly field: string }
    /** The first day, and the last day, of a time, in the reader's time zone. */
    | { readonly kind: 'first-day' | 'last-day'; readonly field: string }
    | {
        readonly kind: 'choice';
        /** Where the texts say the choices. */
        readonly group: WordGroup;
        readonly choices: Readonly<Record<string, (now: Date) => readonly Condition[]>>;
      }
  );

/** What the address says about the filters of a list. */
export interface ReadFilters {
  readonly conditions: readonly Condition[];
  /** What was typed, by the keys. */
  readonly typed: ReadonlyMap<FilterKey, string>;
  /** The keys of what has no meaning, each with what it takes. */
  readonly wrong: ReadonlyMap<FilterKey, keyof StaffTexts['wrong']>;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Reads the filters of a list from the address of a page. */
export function readFilters(filters: readonly Filter[], view: View): ReadFilters {
  const typed = new Map<FilterKey, string>();
  const wrong = new Map<FilterKey, keyof StaffTexts['wrong']>();
  const conditions: Condition[] = [];
  for (const filter of filters) {
    const text = (view.query.get(filter.key) ?? '').trim();
    if (text === '') continue;
    typed.set(filter.key, text.slice(0, lengths.redirectTo));
    const found = conditionsOf(filter, text, view);
    if (typeof found === 'string') wrong.set(filter.key, found);
    else conditions.push(...found);
  }
  return { conditions, typed, wrong };
}

/** Returns the conditions, or what the filter takes. */
function conditionsOf(filter: Filter, text: string, view: View): readonly Condition[] | keyof StaffTexts['wrong'] {
  switch (filter.kind) {
    case 'text':
      if (text.length > lengths.reference || !isStorable(text)) return 'text';
      return [{ field: filter.field, is: 'equal', value: text }];
    case 'beginning':
      if (text.length > lengths.reference || !isStorable(text)) return 'text';
      return [{ field: filter.field, is: 'beginning', value: text }];
    case 'id':
      if (!/^\d{1,15}$/.test(text)) return 'id';
      return [{ field: filter.field, is: 'equal', value: Number(text) }];
    case 'visitor':
      if (!uuid.test(text)) return 'visitor';
      return [{ field: filter.field, is: 'equal', value: text }];
    case 'first-day':
    case 'last-day': {
      const isFirst = filter.kind === 'first-day';
      const time = startOfDay(text, view.timeZone, isFirst ? 0 : 1);
      return time === null ? 'day' : [{ field: filter.field, is: isFirst ? 'from' : 'below', value: time }];
    }
    case 'choice':
      if (!Object.hasOwn(filter.choices, text)) return 'choice';
      return filter.choices[text]!(view.now);
  }
}
