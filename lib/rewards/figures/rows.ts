import { invalid } from '../../errors';
import { type FieldsOf, isNothing, objectOf, wholeOf } from '../../input';
import type { Rows, RowsAsked } from '../../types/figures';

/** Which rows of a list are read: after a mark that an earlier page has returned, or from the start. */
export interface Wanted {
  after: string | null;
  take: number;
}

/** Reads a page of a list of a user's. @throws ReferralError `INVALID_INPUT` for a mark that no page has returned. */
export type Reader<Row> = (user: string, wanted: Wanted) => Promise<Rows<Row>>;

export const rowsFields: FieldsOf<RowsAsked> = { after: true, take: true };
const defaultTake = 25;
const maxTake = 100;

/** Checks what a caller asked for. @throws ReferralError `INVALID_INPUT` naming the field. */
export function wantedOf(asked: RowsAsked): Wanted {
  const { after, take } = objectOf<RowsAsked>('page', asked, rowsFields);
  if (!isNothing(after) && typeof after !== 'string') throw notAMark(after);
  return { after: after ?? null, take: isNothing(take) ? defaultTake : wholeOf('take', take, 1, maxTake) };
}

/** Above every id: a list begins with the newest. */
const aboveAll = '9223372036854775807';

/** The id that the rows of a list by id are below. */
export function belowOf(after: string | null): string {
  if (after !== null && !/^\d{1,18}$/.test(after)) throw notAMark(after);
  return after ?? aboveAll;
}

export const notAMark = (after: unknown): Error => invalid('after', 'the `next` of an earlier page', after);

/** Makes a page of what was read with one row more than wanted: that there is one says that there is a next page. */
export function pageOf<Read, Row>(
  read: readonly Read[],
  { take }: Wanted,
  markOf: (last: Read) => string,
  rowOf: (row: Read) => Row,
): Rows<Row> {
  const wanted = read.slice(0, take);
  return { rows: wanted.map(rowOf), next: read.length > take ? markOf(wanted.at(-1)!) : null };
}

/** The mark of a list by id. */
export const idOf = ({ id }: { id: string }): string => id;
