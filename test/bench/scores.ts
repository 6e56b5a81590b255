import type { Numbers, Part } from './options';
import { type Row, type RowId, rowsOf } from './rows';

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** A figure, or why there is none. */
type Result = number | string;

/** What was measured on one Node. */
export class Scores {
  readonly results: Partial<Record<RowId, Result>> = {};

  add(id: RowId, value: number, detail = ''): void {
    this.results[id] = value;
    console.log(`  ${id}: ${shown(value)}  ${detail}`);
  }

  addMedian(id: RowId, values: readonly number[]): void {
    this.add(id, median(values), `${shown(Math.min(...values))}–${shown(Math.max(...values))}`);
  }

  /** Adds the median of pairs, each measured one after the other. */
  addRatio(id: RowId, some: readonly number[], others: readonly number[]): void {
    const pairs = some.map((value, round) => value / others[round]!);
    const spread = `pairs ${shown(Math.min(...pairs))}–${shown(Math.max(...pairs))}`;
    this.add(id, median(pairs), `medians ${shown(median(some))} and ${shown(median(others))}; ${spread}`);
  }

  /** Says why a row can't be measured here. */
  skip(id: RowId, why: string): void {
    this.results[id] = why;
    console.log(`  ${id}: skipped: ${why}`);
  }
}

/** What was measured on a Node of this major. */
export interface Column {
  major: number;
  results: Scores['results'];
}

/**
 * Prints a table with a column for each Node.
 *
 * @returns whether each bound is reached. A row that was not measured, without a reason, has not reached its bound.
 */
export function printTable(parts: readonly Part[], numbers: Numbers, columns: readonly Column[]): boolean {
  const all = rowsOf(numbers);
  let isReached = true;
  const line = (cells: readonly string[]): void => console.log(`| ${cells.join(' | ')} |`);
  line(['measured', 'must be', ...columns.map(({ major }) => `Node ${major}`)]);
  line(['measured', 'must be', ...columns].map(() => '---'));
  for (const [id, row] of parts.flatMap((part) => Object.entries<Row>(all[part]))) {
    const cells = columns.map(({ major, results }) => {
      const result = results[id as RowId];
      if (typeof result === 'string') return `skipped: ${result}`;
      const isMet = result !== undefined && meets(row, result, major);
      isReached &&= isMet;
      return result === undefined ? 'not measured' : `${shown(result)}${isMet ? '' : ' missed'}`;
    });
    line([row.measured, mustBe(row), ...cells]);
  }
  return isReached;
}

function meets({ atMost, atLeast }: Row, value: number, major: number): boolean {
  const [most, least] = [atMost, atLeast].map((bound) => (typeof bound === 'object' ? bound[major] : bound));
  return value <= (most ?? Infinity) && value >= (least ?? -Infinity);
}

function mustBe({ atMost, atLeast, unit }: Row): string {
  const bound = atMost ?? atLeast;
  if (bound === undefined) return '';
  const sign = atMost === undefined ? '≥' : '≤';
  const texts =
    typeof bound === 'object' ? Object.entries(bound).map(([major, value]) => `${value} on ${major}`) : [String(bound)];
  return `${sign} ${texts.join(', ')}${unit ? ` ${unit}` : ''}`;
}

/** Three digits are more than a measurement is worth. */
export function shown(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
