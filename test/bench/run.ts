import { api } from './api';
import { credits } from './credits';
import { links } from './links';

const benchmarks: Record<string, () => Promise<void>> = { links, credits, api };
const [name = 'links'] = process.argv.slice(2);
const benchmark = benchmarks[name];
if (!benchmark)
  throw new Error(`There is no benchmark "${name}": the benchmarks are ${Object.keys(benchmarks).join(', ')}.`);
void benchmark();
