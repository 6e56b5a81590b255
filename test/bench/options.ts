import { parseArgs } from 'node:util';

/** What can be measured, and what of it. */
export const parts = {
  requests: 'clicks and pages over HTTP',
  recorder: 'how clicks are written, and what that costs PostgreSQL',
  lists: 'lists, counts and attribution where much is stored',
  crowd: 'thousands of connections at once',
  credits: 'sign-ups and spends',
  api: "the API's pages, purchases and earn-outs",
  pages: "what a user's own pages show",
};

export type Part = keyof typeof parts;

/** Names for several parts. */
const groups: Record<string, readonly Part[]> = { links: ['requests', 'recorder', 'lists', 'crowd'] };
const usualGroup = 'links';

/** The numbers that can be given, each with its default and what `--quick` makes of it. */
const numbers = {
  rounds: { usual: 9, quick: 1, says: 'how often each figure is measured; the median counts' },
  seconds: { usual: 1.5, quick: 0.2, says: 'how long one figure is measured in a round' },
  responses: { usual: 5_000_000, quick: 2_000, says: 'in the big table of responses' },
  connections: { usual: 10_000, quick: 200, says: 'of the crowd' },
  entries: { usual: 1_000_000, quick: 1_000, says: 'in the ledger that verify() reads' },
  commissions: { usual: 1_000_000, quick: 5_000, says: 'of the user with many, and of an earn-out run' },
};

export type Numbers = Record<keyof typeof numbers, number>;

const flags = {
  node: { type: 'string', says: 'Node versions out of npm to measure on, as in 20,22,24; default: the Node that runs' },
  against: { type: 'string', says: 'the folder of a built checkout to compare the recorder with' },
  quick: { type: 'boolean', says: 'shows in a minute that everything runs: a missed bound does not count' },
  profile: { type: 'string', says: 'a folder for a CPU profile of each measured process' },
  verify: { type: 'boolean', says: 'runs verify() on what was stored' },
} as const;

export interface Options extends Numbers {
  parts: readonly Part[];
  /** Versions as npm understands them, such as `22`; null for the Node that runs. */
  nodes: readonly (string | null)[];
  against: string | null;
  isQuick: boolean;
  /** The folder for CPU profiles. */
  profile: string | null;
  isVerified: boolean;
}

/** Reads the arguments of `npm run bench`; throws with the list of what there is. */
export function optionsOf(args: readonly string[]): Options {
  const { values, positionals } = read(args);
  const named = positionals.length > 0 ? positionals : [usualGroup];
  const isQuick = values.quick === true;
  const text = (name: string): string | null => (values as Record<string, string | undefined>)[name] ?? null;
  const given = Object.entries(numbers).map(([name, { usual, quick }]) => {
    // BENCH_ROUNDS=3 is --rounds 3.
    const value = text(name) ?? process.env[`BENCH_${name.toUpperCase()}`];
    return [name, value === undefined ? (isQuick ? quick : usual) : positive(name, value)];
  });
  return {
    ...(Object.fromEntries(given) as Numbers),
    parts: [...new Set(named.flatMap(partsOf))],
    nodes: text('node')?.split(',').map(version) ?? [null],
    against: text('against'),
    isQuick,
    profile: text('profile'),
    isVerified: values.verify === true,
  };
}

function read(args: readonly string[]) {
  try {
    const settable = Object.keys(numbers).map((name) => [name, { type: 'string' }] as const);
    const options = { ...Object.fromEntries(settable), ...flags };
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw refused((error as Error).message);
  }
}

function partsOf(name: string): readonly Part[] {
  if (Object.hasOwn(groups, name)) return groups[name]!;
  if (!Object.hasOwn(parts, name)) throw refused(`there is no part "${name}".`);
  return [name as Part];
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw refused(`--${name} is "${text}", not a number above 0.`);
  return value;
}

/** Only digits and dots, because it becomes part of a command and of a path. */
function version(text: string): string {
  const trimmed = text.trim();
  if (!/^\d+(\.\d+){0,2}$/.test(trimmed)) throw refused(`--node has "${text}", not a version such as 22 or 22.13.0.`);
  return trimmed;
}

function refused(why: string): Error {
  const line = (name: string, says: string): string => `  ${name.padEnd(22)}${says}`;
  const lines = [
    `npm run bench: ${why}`,
    '',
    `npm run bench -- [part …] [option …]        without a part: ${usualGroup}`,
    ...Object.entries(parts).map(([name, says]) => line(name, says)),
    ...Object.entries(groups).map(([name, of]) => line(name, of.join(', '))),
    ...Object.entries(flags).map(([name, { type, says }]) => line(`--${name}${type === 'string' ? ' …' : ''}`, says)),
    ...Object.entries(numbers).map(([name, { usual, quick, says }]) =>
      line(`--${name} ${usual}`, `${says}${usual === quick ? '' : ` (--quick: ${quick})`}`),
    ),
  ];
  return new Error(lines.join('\n'));
}
