import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { optionsOf } from './bench/options';
import { printTable } from './bench/scores';

const run = promisify(execFile);

/** The lines that a function prints, and what it returns. */
function printed<T>(print: () => T): { lines: string[]; returned: T } {
  const lines: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)));
  try {
    return { lines, returned: print() };
  } finally {
    log.mockRestore();
  }
}

describe('the arguments of the benchmark', () => {
  test('without any, clicks and pages are measured on the Node that runs', () => {
    const options = optionsOf([]);
    expect(options.parts).toEqual(['requests', 'recorder', 'lists', 'crowd']);
    expect(options).toMatchObject({ nodes: [null], responses: 5_000_000, connections: 10_000, isQuick: false });
  });

  test('parts, Nodes and numbers', () => {
    const options = optionsOf(['api', 'credits', 'api', '--node', '20, 22,24.11.0', '--rounds=3', '--against', '/x']);
    expect(options.parts).toEqual(['api', 'credits']);
    expect(options).toMatchObject({ nodes: ['20', '22', '24.11.0'], rounds: 3, against: '/x' });
    expect(optionsOf(['--quick', '--rounds', '2'])).toMatchObject({ isQuick: true, rounds: 2, responses: 2000 });
  });

  test('a number from the environment is used if none is given', () => {
    process.env['BENCH_ROUNDS'] = '5';
    try {
      expect([optionsOf([]).rounds, optionsOf(['--rounds', '2']).rounds]).toEqual([5, 2]);
    } finally {
      delete process.env['BENCH_ROUNDS'];
    }
  });

  const wrong = ['--nodes 22', 'page', 'toString', '--rounds 0', '--rounds x', '--rounds', '--node', '--quick=1'];
  test.each([...wrong, '--node=', '--node 22,', '--node 22;ls', '--node ../22'])(
    '%s is refused with the list of what there is',
    (line) => {
      const list = /^npm run bench: (.|\n)*requests .*\n(.|\n)*--node …(.|\n)*--rounds 9/;
      expect(() => optionsOf(line.split(' '))).toThrow(list);
    },
  );
});

describe('the table', () => {
  const options = optionsOf(['recorder', 'requests']);
  const reached = {
    ...{ 'node redirect cpu': 0.2, 'node click cpu': 0.4 },
    ...{ 'listener cpu, 64': 0.5, 'listener cpu, 512': 0.4, 'router cpu, 64': 1, 'router cpu, 512': 1 },
    ...{ 'listener cpu, back': 0.5, 'router cpu, back': 1 },
    ...{ 'listener rate': 1.2, 'router rate': 1, 'by hand': 3, 'by hand, prepared': 2, 'big table': 1 },
    ...{ 'page': 1, 'referred page': 1, 'page statements': 0 },
    ...{ 'batch cpu': 20, 'batch cpu, against': 'without --against', 'wal': 700, 'ingest': 30_000 },
    ...{ 'ingest, by hand': 0.4 },
  };

  test('a bound differs by Node, and a row that can not be measured counts for no miss', () => {
    const on = (major: number) => printed(() => printTable(options.parts, options, [{ major, results: reached }]));
    expect([20, 22, 24, 26].map((major) => on(major).returned)).toEqual([false, false, true, true]);
    const { lines } = printed(() =>
      printTable(
        options.parts,
        options,
        [20, 24].map((major) => ({ major, results: reached })),
      ),
    );
    expect(lines[0]).toBe('| measured | must be | Node 20 | Node 24 |');
    expect(lines).toContainEqual(
      expect.stringMatching(/listener against .*64 connections .*\| 0.50 missed \| 0.50 \|$/),
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/\| skipped: without --against \| skipped: without --against \|$/),
    );
  });

  test('a row that was forgotten is a miss', () => {
    const { wal: _wal, ...others } = reached;
    const { lines, returned } = printed(() => printTable(options.parts, options, [{ major: 24, results: others }]));
    expect(returned).toBe(false);
    expect(lines).toContainEqual(expect.stringMatching(/^\| WAL .*\| not measured \|$/));
  });
});

test('a quick run measures every row', async () => {
  const args = ['--import', 'tsx', path.join(__dirname, 'bench', 'run.ts'), '--quick', '--responses', '500'];
  const { stdout } = await run(process.execPath, args);
  expect(stdout).toMatch(/\| measured \| must be \| Node \d+ \|/);
  expect(stdout).toContain('A quick run shows only that everything runs.');
  expect(stdout).not.toContain('not measured');
});
