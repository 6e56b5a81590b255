import { median, rounds, type Scores } from './scores';

/** Something that is done over and over. */
export type Work = () => Promise<void>;

/** Something of ours, and the same rows written without us. */
export interface Pair {
  measured: string;
  atLeast: number;
  ours: Work;
  bare: Work;
}

/** How often a second it is done, by so many workers. */
export async function perSecond(work: Work, workers: number, during: number): Promise<number> {
  const start = performance.now();
  const end = start + during * 1000;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  return done / ((performance.now() - start) / 1000);
}

/** Measures all pairs in turn, round by round, and scores the medians of their ratios. */
export async function comparePairs(
  pairs: readonly Pair[],
  workers: number,
  during: number,
  scores: Scores,
): Promise<void> {
  for (const { ours, bare } of pairs) for (const work of [ours, bare]) await perSecond(work, workers, during);
  const rates = pairs.map(() => ({ ours: [] as number[], bare: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, pair] of pairs.entries()) {
      // Every other round the other way round.
      for (const side of round % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const))
        rates[index]![side].push(await perSecond(pair[side], workers, during));
    }
    const line = rates.map(({ ours, bare }) => `${ours.at(-1)!.toFixed(0)} / ${bare.at(-1)!.toFixed(0)}`);
    console.log(`  round ${round + 1} of ${rounds}, ours / bare a second: ${line.join(', ')}`);
  }
  for (const [index, { measured, atLeast }] of pairs.entries()) {
    const { ours, bare } = rates[index]!;
    const ratios = ours.map((rate, round) => rate / bare[round]!);
    const spread = `pairs ${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    const medians = `medians ${median(ours).toFixed(0)} and ${median(bare).toFixed(0)}/s`;
    scores.atLeast(measured, median(ratios), atLeast, `${medians}; ${spread}`);
  }
}
