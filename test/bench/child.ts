import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';

/** Starts a file of this folder in a process of its own, to which `options` go as the environment's `BENCH`. */
export function startChild(file: string, options: object): ChildProcess {
  return fork(path.join(__dirname, file), {
    // BENCH_PROFILE=folder leaves a CPU profile of each process there, to see where the time goes.
    execArgv: [
      '--import',
      'tsx',
      ...(process.env['BENCH_PROFILE'] ? ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROFILE']}`] : []),
    ],
    env: { ...process.env, NODE_ENV: 'production', BENCH: JSON.stringify(options) },
  });
}

/** What the process says next; an error if it ends before. */
export function messageOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as T);
    });
  });
}

export function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill();
  });
}
