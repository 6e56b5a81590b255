export const rounds = Number(process.env['BENCH_ROUNDS'] ?? 21);
export const seconds = Number(process.env['BENCH_SECONDS'] ?? 1.5);

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

interface Row {
  measured: string;
  ratio: number;
  must: string;
  isReached: boolean;
}

/** Ratios, each against what it must reach. */
export class Scores {
  readonly #rows: Row[] = [];

  atLeast(measured: string, ratio: number, bound: number, detail: string): void {
    this.#add({ measured, ratio, must: `≥ ${bound}`, isReached: ratio >= bound }, detail);
  }

  atMost(measured: string, ratio: number, bound: number, detail: string): void {
    this.#add({ measured, ratio, must: `≤ ${bound}`, isReached: ratio <= bound }, detail);
  }

  #add(row: Row, detail: string): void {
    this.#rows.push(row);
    console.log(`  ${row.measured}: ${row.ratio.toFixed(2)} (must be ${row.must})  ${detail}`);
  }

  print(): void {
    console.log('\n| measured | ratio | must be | reached |\n|---|---|---|---|');
    for (const { measured, ratio, must, isReached } of this.#rows)
      console.log(`| ${measured} | ${ratio.toFixed(2)} | ${must} | ${isReached ? 'yes' : 'no'} |`);
  }
}
