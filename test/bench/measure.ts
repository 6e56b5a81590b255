import { api } from './api';
import { Bench, type Setting } from './bench';
import { given, tell } from './child';
import { credits } from './credits';
import { crowd } from './crowd';
import { lists } from './lists';
import type { Part } from './options';
import { pagesOfUsers as pages } from './pages';
import { recorder } from './recorder';
import { requests } from './requests';
import type { Column } from './scores';

const measures: Record<Part, (bench: Bench) => Promise<void>> = {
  requests,
  recorder,
  lists,
  crowd,
  credits,
  api,
  pages,
};

/** Measures the parts that are asked for on the Node that runs this. */
async function measure(): Promise<void> {
  const bench = new Bench(given<Setting>());
  for (const part of bench.options.parts) {
    console.log(`\nNode ${process.version}, ${part}`);
    await measures[part](bench);
  }
  const major = Number(process.versions.node.split('.')[0]);
  tell({ major, results: bench.scores.results } satisfies Column);
}

void measure();
