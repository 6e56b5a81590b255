import type { ListName, ListRecords } from '../../../rewards/stories/lists';
import type { Filter } from './filter';
import type { ListColumn } from './value';

/** An action that a row offers: its name, and what fills its form. */
export interface RowAction {
  readonly name: string;
  readonly params: Readonly<Record<string, string | number>>;
}

/** A list of staff, described once: its page, its filters and its CSV follow. */
export interface List<L extends ListName = ListName> {
  readonly name: L;
  /** Its path below the mount path. */
  readonly path: `/${string}`;
  readonly columns: readonly ListColumn<ListRecords[L]>[];
  readonly filters: readonly Filter[];
  /** What staff can do with a row. */
  actions?(record: ListRecords[L]): readonly RowAction[];
  /** What makes a record of the list. */
  readonly create?: string;
}
