import type { Bench } from './bench';
import { linkPaths } from './fill';
import { Connections } from './load';
import { openFilesLimit } from './machine';
import { headers } from './requests';
import type { RowId } from './rows';
import type { ServerOptions, Usage } from './server';

/** How long the connections send requests. */
const usualSeconds = 15;
/** Files that a process has open besides the connections. */
const otherFiles = 200;

/** What happens to a server, and to those who wait, with very many connections at once. */
export async function crowd(bench: Bench): Promise<void> {
  const { scores } = bench;
  const { connections: count, isQuick } = bench.options;
  if (openFilesLimit() < count + otherFiles) {
    const ids: RowId[] = ['crowd failures', 'crowd p99', 'crowd memory', 'crowd next'];
    for (const id of ids) scores.skip(id, `ulimit -n is below ${count + otherFiles}`);
    return;
  }
  bench.become('load');
  const options: ServerOptions = { app: 'listener', schema: 'empty', databaseUrl: bench.databaseUrl };
  const server = bench.start('server.ts', options);
  const { url } = await server.next<{ url: string }>();
  const connections = await Connections.open(url, count);
  const requests = { paths: linkPaths, headers };
  const load = await connections.load(requests, { seconds: isQuick ? 1 : usualSeconds });
  const start = performance.now();
  const another = await Connections.open(url, 1);
  const next = await another.load(requests, { requests: 1 });
  const took = performance.now() - start;
  const { memory } = await server.ask<Usage>({});
  const failures = [...load.failures, ...next.failures];
  const { lost } = connections;
  for (const opened of [connections, another]) opened.close();
  await server.stop();
  const { requests: made, perSecond, p50, p99 } = load;
  scores.add('crowd failures', failures.length + lost, failures[0]);
  const share = (1000 * count) / perSecond;
  const detail = `${made} requests, ${perSecond.toFixed(0)}/s; p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`;
  scores.add('crowd p99', p99 / share, `${detail}; an even share is ${share.toFixed(0)} ms`);
  scores.add('crowd memory', memory / 1024 / 1024);
  scores.add('crowd next', took);
}
