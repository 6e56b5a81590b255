import type { Bench } from './bench';
import type { RowId } from './rows';

/** Something that is done over and over. */
export type Work = () => Promise<void>;

/** Something of ours, and the same rows written without us. */
export interface Pair {
  id: RowId;
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
  bench: Bench,
  pairs: readonly Pair[],
  workers: number,
  during: number,
): Promise<void> {
  for (const { ours, bare } of pairs) for (const work of [ours, bare]) await perSecond(work, workers, during);
  const rates = pairs.map(({ id, ours, bare }) => ({ id, sides: [side(ours), side(bare)] as const }));
  for (const { sides } of rates)
    await bench.eachRound(sides, async ({ work, measured }) => {
      measured.push(await perSecond(work, workers, during));
    });
  for (const { id, sides } of rates) bench.scores.addRatio(id, sides[0].measured, sides[1].measured);
}

function side(work: Work): { work: Work; measured: number[] } {
  return { work, measured: [] };
}
