import type { Tone } from '../../views/components';
import type { StaffTexts } from '../../views/texts/en-staff';

export type ColumnKey = keyof StaffTexts['columns'];
export type WordGroup = keyof StaffTexts['words'];

/** What a cell holds. One value makes the cell of the page and that of the CSV. */
export type Value =
  | { readonly is: 'text' | 'code' | 'address'; readonly text: string | null }
  /** The story of a user is linked. */
  | { readonly is: 'user'; readonly id: string | null }
  /** The record of this id, which is called by its name. */
  | { readonly is: 'referral' | 'program' | 'creditType'; readonly id: number | null }
  | { readonly is: 'id'; readonly id: number | null }
  /** A decimal string; default: in the program's currency. */
  | { readonly is: 'money'; readonly amount: string | null; readonly currency?: string | null }
  /** A decimal string from 0 to 1. */
  | { readonly is: 'share'; readonly share: string | null }
  | { readonly is: 'count'; readonly count: number | null }
  | { readonly is: 'time'; readonly time: Date | null }
  /** One of our words, which the texts say in the reader's language. */
  | { readonly is: 'word'; readonly group: WordGroup; readonly word: string | null; readonly tone?: Tone }
  | { readonly is: 'flag'; readonly flag: boolean }
  | { readonly is: 'texts'; readonly texts: readonly string[] }
  /** What was found, or changed: values by their names. */
  | { readonly is: 'facts'; readonly facts: Readonly<Record<string, unknown>> | null }
  | {
      readonly is: 'change';
      readonly before: Readonly<Record<string, unknown>> | null;
      readonly after: Readonly<Record<string, unknown>> | null;
    };

/** A column of a list: its title is the word of `texts.admin.columns`, and its key is the heading in the CSV. */
export interface ListColumn<R> {
  readonly key: ColumnKey;
  value(record: R): Value;
  /** Whether only the CSV has it. */
  readonly isInCsvOnly?: boolean;
}

type Of<R, T> = (record: R) => T;

/** Builds the columns of a list of records `R`. */
export function columnsOf<R>() {
  return {
    text: (key: ColumnKey, of: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'text', text: of(record) }),
    }),
    code: (key: ColumnKey, of: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'code', text: of(record) }),
    }),
    address: (key: ColumnKey, of: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'address', text: of(record) }),
    }),
    user: (key: ColumnKey, of: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'user', id: of(record) }),
    }),
    named: (key: ColumnKey, is: 'referral' | 'program' | 'creditType', of: Of<R, number | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is, id: of(record) }),
    }),
    id: (key: ColumnKey, of: Of<R, number | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'id', id: of(record) }),
    }),
    money: (key: ColumnKey, of: Of<R, string | null>, currency?: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'money', amount: of(record), ...(currency && { currency: currency(record) }) }),
    }),
    share: (key: ColumnKey, of: Of<R, string | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'share', share: of(record) }),
    }),
    count: (key: ColumnKey, of: Of<R, number | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'count', count: of(record) }),
    }),
    time: (key: ColumnKey, of: Of<R, Date | null>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'time', time: of(record) }),
    }),
    word: (
      key: ColumnKey,
      group: WordGroup,
      of: Of<R, string | null>,
      tones: Readonly<Record<string, Tone>> = {},
    ): ListColumn<R> => ({
      key,
      value: (record) => {
        const word = of(record);
        const tone = word === null ? undefined : tones[word];
        return { is: 'word', group, word, ...(tone && { tone }) };
      },
    }),
    flag: (key: ColumnKey, of: Of<R, boolean>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'flag', flag: of(record) }),
    }),
    texts: (key: ColumnKey, of: Of<R, readonly string[]>): ListColumn<R> => ({
      key,
      value: (record) => ({ is: 'texts', texts: of(record) }),
    }),
    any: (key: ColumnKey, value: Of<R, Value>): ListColumn<R> => ({ key, value }),
  };
}

/** A column that only the CSV has. */
export function inCsvOnly<R>(column: ListColumn<R>): ListColumn<R> {
  return { ...column, isInCsvOnly: true };
}
