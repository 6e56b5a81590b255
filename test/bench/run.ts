import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbedded } from '../postgres/start';
import { installNode } from '../support/node-binary';
import type { Setting } from './bench';
import { Child } from './child';
import { fillLinks } from './fill';
import { coresOfRoles, pin, processesOf } from './machine';
import { type Options, optionsOf, type Part } from './options';
import { type Column, printTable } from './scores';

/** The parts that read what `fillLinks` stores. */
const onLinks: readonly Part[] = ['requests', 'recorder', 'lists', 'crowd'];
/** In the checkout, and ignored. */
const nodesFolder = path.join(__dirname, '..', '..', 'node_modules', '.cache', 'express-referrals-nodes');

/** Measures on each Node, one after the other, on one PostgreSQL. */
async function measure(options: Options): Promise<Column[]> {
  const nodes = options.nodes.map((version) =>
    version === null ? process.execPath : installNode(version, nodesFolder),
  );
  const folder = path.join(tmpdir(), `express-referrals-bench-${randomBytes(4).toString('hex')}`);
  const postgres = await startEmbedded({
    ...{ folder, persistent: false },
    settings: { max_wal_size: '4GB', shared_buffers: '512MB' },
  });
  try {
    const postmaster = Number(readFileSync(path.join(folder, 'postmaster.pid'), 'utf8').split('\n')[0]);
    const cores = coresOfRoles();
    for (const pid of processesOf(postmaster)) pin(pid, 'database', cores);
    console.log(
      cores ? `Cores: ${JSON.stringify(cores)}` : 'Processes are not pinned: that takes taskset and two cores.',
    );
    if (options.parts.some((part) => onLinks.includes(part))) await fillLinks(postgres.url, options.responses);
    const columns: Column[] = [];
    for (const node of nodes) {
      const setting: Setting = { options, databaseUrl: postgres.url, postmaster, cores };
      const measuring = Child.start('measure.ts', setting, null, node);
      columns.push(await measuring.next<Column>());
      await measuring.stop();
    }
    return columns;
  } finally {
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function run(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  const columns = await measure(options);
  console.log(`\n${options.rounds} rounds of ${options.seconds} s for each figure.\n`);
  const isReached = printTable(options.parts, options, columns);
  if (options.isQuick) console.log('\nA quick run shows only that everything runs.');
  else if (!isReached) process.exitCode = 1;
}

run().catch((error: unknown) => {
  // Of an argument that is refused, the message says all.
  console.error(error instanceof Error && error.message.startsWith('npm run bench') ? error.message : error);
  process.exitCode = 1;
});
