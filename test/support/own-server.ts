import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { EmbeddedOptions } from '../postgres/start';
import { startProcess } from './processes';

/** A PostgreSQL server of a test's own, to be paused and stopped. */
export interface OwnServer {
  url: string;
  /** Stops every process of the server in its tracks (SIGSTOP); answers what lets them go on. */
  pause(): () => void;
  stop(): Promise<void>;
}

/** Starts one in a process of its own: Jest has no `import()` for the ES module that starts it. */
export async function startOwnServer(options: EmbeddedOptions): Promise<OwnServer> {
  const { child, said: url } = await startProcess<string>('own-server-process.ts', {
    args: [JSON.stringify(options)],
    execArgv: ['--import', 'tsx'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    url,
    pause() {
      const processes = processesOf(options.folder);
      for (const pid of processes) process.kill(pid, 'SIGSTOP');
      return () => processes.forEach((pid) => process.kill(pid, 'SIGCONT'));
    },
    async stop() {
      if (child.connected) child.send('stop');
      await ended;
    },
  };
}

/** The server of a data folder and all the processes that it started. */
function processesOf(folder: string): number[] {
  const server = Number(readFileSync(path.join(folder, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const children = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
    .filter(([, parent]) => parent === server)
    .map(([pid]) => pid);
  return [server, ...children];
}
